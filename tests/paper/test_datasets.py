import gzip

import numpy as np
import pytest
import yaml

from atomplete.data import pair_structures, read_structures, split_pairs
from atomplete.degenerate.families.registry import generate
from atomplete.errors import InputError
from atomplete.labels import PBE, Journal, Label
from atomplete.labels.card import fingerprint
from atomplete.paper.datasets import DATASETS, dataset
from atomplete.paper.datasets.campaign import main, order, ship


@pytest.fixture(scope="module")
def pbe():
    path = dataset("pbe")
    card = yaml.safe_load(path.with_name("b8_pbe.card.yaml").read_text(encoding="utf-8"))
    return read_structures(path), card


def test_the_pbe_dataset_is_what_its_card_says(pbe):
    structures, card = pbe
    failed = len(card["failures"])
    assert card["counts"] == {
        "structures": len(structures) + failed,
        "labelled": len(structures),
        "failed": failed,
        "remaining": 0,
    }
    assert card["theory"]["settings"] == PBE().settings
    results = [atoms.calc.results for atoms in structures]
    labels = [Label(r["energy"], r["forces"], True, 0.0, "pbe", {}) for r in results]
    assert fingerprint(list(zip(structures, labels, strict=True))) == card["sha256"]


def test_the_pbe_dataset_holds_whole_pairs_of_the_papers_draw(pbe):
    structures, card = pbe
    pairs = pair_structures(structures, "pbe")
    assert not pairs.dropped
    assert len(pairs.ids) == card["counts"]["structures"] / 2
    assert len(pairs.ids) >= 400  # it grows, and never shrinks
    drawn = generate("b8", 4000)
    for pair, pair_id in zip(pairs.indices, pairs.ids, strict=True):
        for index, expected in zip(pair, drawn[2 * pair_id : 2 * pair_id + 2], strict=True):
            assert np.array_equal(structures[index].positions, expected.positions)
    # every tenth pair is one that nothing is chosen on
    expected = sum(pair >= 3500 for pair in order()[: len(pairs.ids)])
    assert len(split_pairs(pairs.ids).test) == pytest.approx(expected, abs=1)


def test_pairs_are_labelled_in_an_order_that_keeps_every_tenth_for_tests():
    pairs = np.array(order())
    assert sorted(pairs) == list(range(4000))
    tests = np.cumsum(pairs >= 3500)[:3888]
    np.testing.assert_array_equal(tests, np.arange(1, 3889) // 10)
    assert pairs[3900:].tolist() == list(range(3900, 4000))
    for kind in (pairs[pairs < 3500], pairs[pairs >= 3500]):
        assert (np.diff(kind) == 1).all()


@pytest.fixture
def shipped_as(monkeypatch, tmp_path):
    """The dataset in a folder of its own, so that nothing is written over."""
    copy = tmp_path / "b8_pbe.xyz.gz"
    copy.write_bytes(dataset("pbe").read_bytes())
    monkeypatch.setitem(DATASETS, "pbe", copy)
    return copy


@pytest.mark.slow
def test_shipping_nothing_new_changes_no_label(pbe, shipped_as, tmp_path):
    (tmp_path / "empty.jsonl").touch()
    before = gzip.decompress(shipped_as.read_bytes())
    summary = ship(tmp_path / "empty.jsonl")
    once = shipped_as.read_bytes()
    assert gzip.decompress(once) == before
    card = yaml.safe_load((tmp_path / "b8_pbe.card.yaml").read_text(encoding="utf-8"))
    assert card["sha256"] == pbe[1]["sha256"]
    assert (card["file"], summary.labelled) == ("b8_pbe.xyz", len(pbe[0]))
    ship(tmp_path / "empty.jsonl")
    assert shipped_as.read_bytes() == once


@pytest.mark.slow
def test_whole_new_pairs_are_shipped_and_shipped_labels_stay(
    pbe, shipped_as, tmp_path, monkeypatch, capsys
):
    structures, drawn, method = pbe[0], generate("b8", 4000), PBE()

    def label(energy):
        return Label(energy, np.zeros((8, 3)), True, 5.0, "pbe", method.settings)

    failed = Label.failed("no SCF", 5.0, "pbe", method.settings)
    with Journal(tmp_path / "journal.jsonl") as journal:  # in use by the campaign meanwhile
        journal.append(structures[0], label(-1.0))  # contradicts the shipped one
        for index, new in ((7798, label(-2.0)), (7799, label(-3.0)), (7996, label(-4.0))):
            journal.append(drawn[index], new)
        journal.append(drawn[7998], label(-5.0))
        journal.append(drawn[7999], failed)
        monkeypatch.setattr("sys.argv", ["campaign", "ship", str(tmp_path / "journal.jsonl")])
        main()
    assert f"{len(structures) // 2 + 1} pairs, 1 failed structures" in capsys.readouterr().out
    after = read_structures(shipped_as)
    assert len(after) == len(structures) + 2
    assert [atoms.get_potential_energy() for atoms in after[-2:]] == [-2.0, -3.0]
    assert [int(atoms.info["pair_id"]) for atoms in after[-2:]] == [3899, 3899]
    assert after[0].get_potential_energy() == structures[0].get_potential_energy()
    card = yaml.safe_load((tmp_path / "b8_pbe.card.yaml").read_text(encoding="utf-8"))
    assert card["failures"] == [{"structure": 7999, "reason": "no SCF"}]
    assert len(card["conflicts"]) == 1


def test_a_campaign_from_a_fresh_clone_begins_where_the_dataset_ends(pbe, tmp_path):
    with Journal(tmp_path / "new.jsonl") as journal:
        journal.merge(dataset("pbe"))
        drawn = generate("b8", 4000)
        found = [
            journal.find(drawn[2 * pair + member], PBE()) is not None
            for pair in order()
            for member in (0, 1)
        ]
    assert sum(found) == len(pbe[0])
    assert all(found[: len(pbe[0]) - 20])


def test_energies_are_physical(pbe):
    structures, _ = pbe
    energy = np.array([atoms.get_potential_energy() for atoms in structures]).reshape(-1, 2)
    # published spreads over all pairs: 3.84 eV, and 0.25 eV for the difference
    assert energy.std() == pytest.approx(3.84, rel=0.25)
    assert np.diff(energy, axis=1).std() == pytest.approx(0.25, rel=0.5)
    for atoms in structures:
        assert np.abs(atoms.get_forces().sum(0)).max() < 0.05  # of the integration grid


def test_unknown_dataset():
    with pytest.raises(InputError, match="there is no dataset 'b9'; choose from pbe"):
        dataset("b9")


def test_files_are_small():
    for path in DATASETS.values():
        assert path.stat().st_size < 10e6
        with gzip.open(path) as file:
            assert file.read(1) == b"8"


@pytest.mark.slow
@pytest.mark.parametrize("index", [6, 301])
def test_labels_can_be_computed_again(pbe, index):
    pytest.importorskip("pyscf")
    atoms = pbe[0][index]
    label = PBE(forces=False).compute(atoms)
    assert label.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-6)
