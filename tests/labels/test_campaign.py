import json
from pathlib import Path

import numpy as np
import pytest
from fake_methods import Fake, Unstartable

from atomplete.data import content_hash, read_structures, write_structures
from atomplete.errors import InputError
from atomplete.labels import XTB, label_file, label_structures


@pytest.fixture
def fake(tmp_path):
    return Fake(log=str(tmp_path / "calls.log"))


def calls(method):
    log = Path(method.log)
    return log.read_text().split() if log.exists() else []


def label_all(structures, method, tmp_path, **options):
    return label_structures(structures, method, tmp_path / "j.jsonl", progress=False, **options)


def test_the_number_of_workers_does_not_change_a_bit(rattled, tmp_path):
    structures = rattled(12)
    results = []
    for workers in (1, 2):
        journal = tmp_path / f"{workers}.jsonl"
        results.append(label_structures(structures, XTB(), journal, workers, progress=False))
    here = [XTB().compute(atoms) for atoms in structures]
    for one, two, direct in zip(*results, here, strict=True):
        assert one.energy == two.energy == direct.energy
        np.testing.assert_array_equal(one.forces, two.forces)
        np.testing.assert_array_equal(one.forces, direct.forces)


def test_labels_are_in_order_and_equal_structures_are_computed_once(rattled, fake, tmp_path):
    structures = rattled(5)
    structures += structures[::-1]
    labels = label_all(structures, fake, tmp_path, workers=2)
    expected = [np.sum(atoms.positions**2) for atoms in structures]
    np.testing.assert_array_equal([label.energy for label in labels], expected)
    assert len(calls(fake)) == 5


def test_what_the_journal_has_is_not_computed_again(rattled, fake, tmp_path):
    structures = rattled(6)
    label_all(structures[:4], fake, tmp_path)
    labels = label_all(structures, fake, tmp_path)
    assert len(calls(fake)) == 6
    assert [label.energy for label in labels] == [
        label.energy for label in label_all(structures, fake, tmp_path)
    ]
    assert len(calls(fake)) == 6
    label_all(structures, Fake(fake.log, scale=2.0), tmp_path)  # other settings, other labels
    assert len(calls(fake)) == 12


def test_a_failed_calculation_is_kept_with_its_reason_and_left_out(rattled, fake, tmp_path):
    structures = rattled(5)
    structures[2].info["act"] = "fail"
    write_structures(tmp_path / "in.xyz", structures)
    for resumed in (0, 5):
        done = label_file(tmp_path / "in.xyz", tmp_path / "out.xyz", fake, 2, progress=False)
        assert (done.labelled, done.resumed) == (4, resumed)
        assert done.failed == ((2, "SCF not converged"),)
    assert len(calls(fake)) == 5
    kept = [atoms.info["pair_id"] for atoms in read_structures(done.output)]
    assert kept == [0, 1, 3, 4]
    assert "4 structures labelled" in str(done)


def test_refusals(rattled, fake, tmp_path):
    structures = rattled(2)
    with pytest.raises(InputError, match="workers must be 1 or more, not 0"):
        label_all(structures, fake, tmp_path, workers=0)
    structures[1].info["act"] = "refuse"
    with pytest.raises(InputError, match="late refusal"):
        label_all(structures, fake, tmp_path)
    structures[1].numbers[3] = 118
    with pytest.raises(InputError, match=r"^structure 1: fake has no parameters for Og$"):
        label_all(structures, fake, tmp_path)
    write_structures(tmp_path / "in.xyz", structures)
    with pytest.raises(InputError, match=r"in\.xyz, structure 1: fake has no parameters"):
        label_file(tmp_path / "in.xyz", tmp_path / "out.xyz", fake)
    write_structures(tmp_path / "in.xyz", structures[:1])
    with pytest.raises(InputError, match=r"out\.txt: the name must end in \.xyz"):
        label_file(tmp_path / "in.xyz", tmp_path / "out.txt", fake)
    structures[0].info["act"] = "fail"
    write_structures(tmp_path / "in.xyz", structures[:1])
    with pytest.raises(InputError, match=r"in\.xyz: none of its 1 structures .*SCF not converged"):
        label_file(tmp_path / "in.xyz", tmp_path / "new" / "out.xyz", fake, progress=False)


def test_workers_that_cannot_start_end_the_run(rattled, fake, tmp_path):
    with pytest.raises(InputError, match=r"for fake labels did not start \(exit code 3\)"):
        label_all(rattled(1), Unstartable(fake.log), tmp_path)


def test_the_output_holds_labels_and_their_origin(pair_zero, tmp_path, capfd):
    for sign, atoms in zip("+-", pair_zero, strict=True):
        atoms.info = {"pair_id": 0, "sign": sign}
    write_structures(tmp_path / "in.xyz", pair_zero)
    done = label_file(tmp_path / "in.xyz", tmp_path / "deep" / "er" / "out.xyz", XTB())
    assert done.journal == tmp_path / "deep" / "er" / "out.xyz.journal.jsonl"
    assert "xtb labels: 2 of 2" in capfd.readouterr().err
    labelled = read_structures(done.output)
    assert content_hash(labelled) == content_hash(pair_zero)
    for atoms in labelled:
        label = XTB().compute(atoms)
        assert atoms.get_potential_energy() == label.energy
        np.testing.assert_array_equal(atoms.get_forces(), label.forces)
        assert atoms.info["label_method"] == "xtb"
        assert json.loads(atoms.info["label_settings"]) == XTB().settings
        assert atoms.info["label_seconds"] > 0
        assert atoms.info["label_converged"]
        assert atoms.info["label_rung"] == "plain"
        assert atoms.info["sign"] in "+-"
    again = label_file(done.output, tmp_path / "again.xyz", XTB(), progress=False)
    assert (again.labelled, again.resumed) == (2, 0)
