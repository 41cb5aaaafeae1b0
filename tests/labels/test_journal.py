import json
import warnings

import numpy as np
import pytest
from ase import Atoms

from atomplete.errors import InputError
from atomplete.labels import XTB, Journal, Label

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
    with Journal(path), pytest.raises(InputError, match="another process is writing"):
        Journal(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Journal(path).close()


def test_paths_that_cannot_be_opened(tmp_path):
    for path in (tmp_path, tmp_path / "absent" / "j"):
        with pytest.raises(InputError, match="the journal cannot be opened"):
            Journal(path)


def test_failed_labels_are_valid_json(tmp_path):
    with Journal(tmp_path / "j") as journal:
        journal.append(atom(0), Label.failed("no SCF", 2.0, "xtb", SETTINGS))
    entry = json.loads((tmp_path / "j").read_text())
    assert entry["energy"] is None
