import gzip

import numpy as np
import pytest
import yaml

from atomplete.data import pair_structures, read_structures, split_pairs
from atomplete.degenerate.families.registry import generate
from atomplete.errors import InputError
from atomplete.labels import PBE, Label
from atomplete.labels.card import fingerprint
from atomplete.paper.datasets import DATASETS, dataset


@pytest.fixture(scope="module")
def pbe():
    path = dataset("pbe")
    card = yaml.safe_load(path.with_name("b8_pbe.card.yaml").read_text(encoding="utf-8"))
    return read_structures(path), card


def test_the_pbe_dataset_is_what_its_card_says(pbe):
    structures, card = pbe
    assert card["counts"] == {
        "structures": len(structures), "labelled": len(structures), "failed": 0, "remaining": 0
    }  # fmt: skip
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
    assert len(split_pairs(pairs.ids).test) == pytest.approx(len(pairs.ids) / 10, abs=1)


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
