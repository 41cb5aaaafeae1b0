import os

import numpy as np
import pytest
from ase import Atoms

from atomplete.errors import InputError
from atomplete.runs.files import atomic_write, check_replaceable
from atomplete.runs.fingerprint import content_hash


def test_atomic_write_replaces_at_the_end_only(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with atomic_write(path) as temporary:
        temporary.write_text("new")
        assert temporary.suffix == ".txt"
        assert temporary.parent == tmp_path
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail():
        with atomic_write(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_only_regular_files_are_replaced(tmp_path):
    file, link, pipe = (tmp_path / name for name in ("a.txt", "link", "pipe"))
    file.write_text("old")
    link.symlink_to(file)
    os.mkfifo(pipe)
    for path in (link, pipe, tmp_path, "/dev/null"):
        with pytest.raises(InputError, match="it is a"), atomic_write(path):
            pass
    for path in (link, file, tmp_path / "." / "a.txt"):
        with pytest.raises(InputError, match="it is the input"):
            check_replaceable(path, None, tmp_path / "absent", file)
    check_replaceable(file, tmp_path / "absent")
    assert file.read_text() == "old"
    assert sorted(tmp_path.iterdir()) == [file, link, pipe]


def test_content_hash_sees_the_structure_and_nothing_else():
    atoms = Atoms("BN", positions=[[0, 0, 0], [0, 0, 1.4]], cell=[3, 4, 5], pbc=True)
    original = content_hash([atoms])
    same = atoms.copy()
    same.info["energy"] = 1.0
    same.arrays["tag"] = np.array([1, 2])
    same.positions[0, 0] = -0.0
    assert content_hash([same]) == original
    changed = []
    for change in range(5):
        other = atoms.copy()
        if change == 0:
            other.positions[1, 2] = np.nextafter(1.4, 2)
        elif change == 1:
            other.numbers[0] = 6
        elif change == 2:
            other.cell[0, 0] += 1e-15
        elif change == 3:
            other.pbc = [True, True, False]
        else:
            other = other[::-1]
        changed.append(content_hash([other]))
    changed += [content_hash([atoms, atoms]), content_hash([])]
    assert len({original, *changed}) == 8
