import gzip
import json
import warnings

import numpy as np
import pytest
from ase import Atoms
from fake_methods import Fake

from atomplete.data import content_hash, read_structures, write_structures
from atomplete.errors import InputError
from atomplete.labels import XTB, Journal, Label, label_file, label_structures
from atomplete.labels.labelled import with_label

SETTINGS = XTB().settings


def atom(z):
    return Atoms("H", positions=[[0.0, 0.0, z]])


def label(energy):
    return Label(energy, np.array([[0.1, 1 / 3, -2e-17]]), True, 0.5, "xtb", SETTINGS)


def test_labels_come_back_bit_for_bit(tmp_path):
    failed = Label.failed("no SCF", 2.0, "xtb", SETTINGS)
    with Journal(tmp_path / "j") as journal:
        journal.append(atom(0), label(-1 / 3))
        journal.append(atom(1), failed)
        assert journal.find(atom(0), XTB()).energy == -1 / 3
    with Journal(tmp_path / "j") as journal:
        found = journal.find(atom(0), XTB())
        assert (found.energy, found.seconds, found.settings) == (-1 / 3, 0.5, SETTINGS)
        np.testing.assert_array_equal(found.forces, [[0.1, 1 / 3, -2e-17]])
        assert journal.find(atom(1), XTB()).reason == "no SCF"
        assert not journal.find(atom(1), XTB()).converged
        assert journal.find(atom(2), XTB()) is None
        assert journal.find(atom(0), XTB(accuracy=0.1)) is None


def test_a_torn_last_line_is_dropped_wherever_it_tore(tmp_path):
    path = tmp_path / "j"
    with Journal(path) as journal:
        journal.append(atom(0), label(-1.0))
        first = path.read_bytes()  # in the file before it is closed
        journal.append(atom(1), label(-2.0))
    whole = path.read_bytes()
    assert whole.startswith(first)
    for kept in range(len(first) + 1, len(whole), 17):
        path.write_bytes(whole[:kept])
        with pytest.warns(UserWarning, match="last line is not complete"):
            journal = Journal(path)
        with journal:
            assert journal.find(atom(0), XTB()).energy == -1.0
            assert journal.find(atom(1), XTB()) is None
            journal.append(atom(1), label(-2.0))
        assert path.read_bytes() == whole
    path.write_bytes(whole[:5])
    with pytest.warns(UserWarning, match="last line is not complete"):
        Journal(path).close()
    assert path.read_bytes() == b""


@pytest.mark.parametrize("line", ["garbage", "[]", "{}", '{"energy": "x"}', ""])
def test_a_broken_line_inside_is_refused(tmp_path, line):
    path = tmp_path / "j"
    with Journal(path) as journal:
        journal.append(atom(0), label(-1.0))
    path.write_text(line + "\n" + path.read_text())
    with pytest.raises(InputError, match="j, line 1: this is no label"):
        Journal(path)
    path.write_text("")
    Journal(path).close()  # a refusal does not keep the lock


def test_one_writer_at_a_time(tmp_path):
    path = tmp_path / "j"
    with Journal(path), pytest.raises(InputError, match="it is in use by process"):
        Journal(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Journal(path).close()


def test_paths_that_cannot_be_opened(tmp_path):
    for path in (tmp_path, tmp_path / "absent" / "j"):
        with pytest.raises(InputError, match=r"cannot be (opened|written)"):
            Journal(path)


def test_failed_labels_are_valid_json(tmp_path):
    with Journal(tmp_path / "j") as journal:
        journal.append(atom(0), Label.failed("no SCF", 2.0, "xtb", SETTINGS))
    entry = json.loads((tmp_path / "j").read_text())
    assert entry["energy"] is None


def test_a_line_that_does_not_fit_on_the_disk_leaves_no_trace(tmp_path):
    with Journal(tmp_path / "j") as journal:
        journal.append(atom(0), label(-1.0))
        before = (tmp_path / "j").read_bytes()
        file = journal._file

        class Full:
            truncate = file.truncate

            def write(self, line):
                return file.write(line[: len(line) // 2])

        journal._file = Full()
        with pytest.raises(InputError, match=r"j: it cannot be written \(No space left"):
            journal.append(atom(1), label(-2.0))
        assert journal.find(atom(1), XTB()) is None
        journal._file = file
        assert (tmp_path / "j").read_bytes() == before
        journal.append(atom(1), label(-2.0))
    with Journal(tmp_path / "j") as journal:
        assert journal.find(atom(1), XTB()).energy == -2.0


def test_journals_without_stress_and_ladder_are_read(tmp_path):
    entry = {"structure": content_hash([atom(0)]), "method": "xtb", "settings": SETTINGS}
    entry |= {"converged": True, "energy": -1.0, "forces": None, "seconds": 1.0, "reason": None}
    (tmp_path / "j").write_text(json.dumps(entry) + "\n")
    with Journal(tmp_path / "j") as journal:
        found = journal.find(atom(0), XTB())
    assert (found.energy, found.stress, found.rung, found.transient) == (-1.0, None, "plain", False)


def journal_of(path, labels):
    with Journal(path) as journal:
        for z, value in labels.items():
            journal.append(atom(z), value)
    return path


def test_merged_journals_complete_each_other(tmp_path):
    failed = Label.failed("no SCF", 2.0, "xtb", SETTINGS)
    journal_of(tmp_path / "ours", {0: label(-1.0), 1: failed, 3: label(-4.0), 4: label(-5.0)})
    theirs = journal_of(
        tmp_path / "theirs",
        {0: label(-1.5), 1: label(-2.0), 2: label(-3.0), 3: failed, 4: label(-5.000001)},
    )
    pushed = label(-7.0)
    pushed.forces[0, 0] += 0.1
    journal_of(tmp_path / "third", {2: pushed, 5: label(-6.0)})
    with theirs.open("ab") as file:
        file.write(b'{"structure": "still being writ')
    before = theirs.read_bytes()
    for _ in range(2):  # the second time changes nothing
        with Journal(tmp_path / "ours") as journal:
            conflicts = journal.merge(theirs)
            energies = [journal.find(atom(z), XTB()).energy for z in range(5)]
        assert energies == [-1.0, -2.0, -3.0, -4.0, -5.0]
        assert len(conflicts) == 1
        assert "theirs: xtb labels of structure" in conflicts[0]
        assert "-1.000000 and -1.500000 eV" in conflicts[0]
        assert (tmp_path / "ours").read_bytes().count(b"\n") == 6
    assert theirs.read_bytes() == before
    with Journal(tmp_path / "ours") as journal:
        assert "-3.000000 and -7.000000 eV" in journal.merge(tmp_path / "third")[0]
        assert journal.find(atom(5), XTB()).energy == -6.0
        moved = label(-6.0)
        moved.forces[0, 0] += 0.1
        journal_of(tmp_path / "fourth", {5: moved, 0: Label(-1.0, None, True, 1, "xtb", SETTINGS)})
        assert [text.rpartition(": ")[2] for text in journal.merge(tmp_path / "fourth")] == [
            "forces that differ by 0.1 eV/Å",
            "one with forces, one without",
        ]
        with pytest.raises(InputError, match="absent: the journal cannot be read"):
            journal.merge(tmp_path / "absent")


def test_labels_of_a_labelled_file_are_merged_bit_for_bit(tmp_path):
    stress = np.array([0.1, 0.2, 1 / 3, -1e-17, 0.5, 0.6])
    given = Label(-1 / 3, label(0).forces, True, 0.5, "xtb", SETTINGS, None, stress, "damping")
    cell = Atoms("H", cell=[3, 3, 3], pbc=True)
    plain = with_label(atom(0), label(-2 / 3))
    write_structures(tmp_path / "a.xyz", [with_label(cell, given), plain])
    (tmp_path / "a.xyz.gz").write_bytes(gzip.compress((tmp_path / "a.xyz").read_bytes()))
    for name in ("a.xyz", "a.xyz.gz"):
        with Journal(tmp_path / f"{name}.journal") as journal:
            assert journal.merge(tmp_path / name) == []
            found = journal.find(cell, XTB())
            assert (found.energy, found.seconds, found.rung) == (-1 / 3, 0.5, "damping")
            np.testing.assert_array_equal(found.forces, given.forces)
            np.testing.assert_array_equal(found.stress, stress)
            assert journal.find(atom(0), XTB()).energy == -2 / 3
            assert journal.find(atom(1), XTB()) is None


def test_a_file_without_labels_is_no_journal(tmp_path):
    write_structures(tmp_path / "a.xyz", [with_label(atom(0), label(-1.0)), atom(1)])
    with Journal(tmp_path / "j") as journal:
        with pytest.raises(InputError, match="structure 1: it carries no label"):
            journal.merge(tmp_path / "a.xyz")
        assert journal.find(atom(0), XTB()) is None


def test_labels_that_do_not_fit_their_structure_are_computed_again(tmp_path, rattled):
    """Also those of a journal that is merged: they would block the whole output."""
    structures = rattled(2)
    write_structures(tmp_path / "in.xyz", structures)
    fake = Fake(str(tmp_path / "log"))
    for name in ("own", "other"):
        with Journal(tmp_path / f"{name}.jsonl") as journal:
            wrong = Label(-1.0, np.zeros((9, 3)), True, 0.1, fake.name, fake.settings)
            journal.append(structures[0], wrong)
    for journal, merge in (("own.jsonl", ()), ("new.jsonl", (tmp_path / "other.jsonl",))):
        done = label_file(
            tmp_path / "in.xyz", tmp_path / f"{journal}.xyz", fake, journal=tmp_path / journal,
            merge=merge, progress=False,
        )  # fmt: skip
        assert (done.labelled, done.resumed, done.failed) == (2, 0, ())
        assert read_structures(done.output)[0].get_forces().shape == (8, 3)


@pytest.mark.parametrize(
    ("act", "shape"),
    [
        ("shape", "forces have shape (9, 3)"),
        ("scrambled", "forces have shape (3, 8)"),
        ("energies", "energy have shape (3,)"),
        ("complex", "the energy of fake is (-1+0j), not real numbers"),
    ],
)
def test_a_label_of_another_shape_fails_its_structure_alone(tmp_path, rattled, act, shape):
    structures = rattled(2)
    structures[0].info["act"] = act
    labels = label_structures(
        structures, Fake(str(tmp_path / "log")), tmp_path / "j", progress=False
    )
    assert [label.converged for label in labels] == [False, True]
    assert shape in labels[0].reason


def test_numbers_of_any_type_are_kept(tmp_path, rattled):
    structures = rattled(1)
    structures[0].info["act"] = "float32"
    fake = Fake(str(tmp_path / "log"))
    (found,) = label_structures(structures, fake, tmp_path / "j", progress=False)
    (again,) = label_structures(structures, fake, tmp_path / "j", progress=False)
    assert found.energy == again.energy == -1.0
    np.testing.assert_array_equal(again.forces, np.zeros((8, 3)))


def test_forces_on_other_numbers_of_atoms_contradict_each_other(tmp_path):
    wide = Label(-1.0, np.zeros((2, 3)), True, 0.5, "xtb", SETTINGS)
    other = journal_of(tmp_path / "other", {0: wide})
    with Journal(journal_of(tmp_path / "own", {0: label(-1.0)})) as journal:
        (conflict,) = journal.merge(other)
    assert "forces on different numbers of atoms" in conflict
