import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from atomplete.errors import InputError
from atomplete.runs.disk import open_tolerant
from atomplete.runs.files import atomic_write, check_replaceable, protected
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
        with pytest.raises(InputError, match="it is an input"):
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


def test_writers_at_the_same_time_do_not_meet(tmp_path):
    path = tmp_path / "a.txt"
    with atomic_write(path) as one, atomic_write(path) as other:
        assert one != other
        one.write_text("one")
        other.write_text("other, and longer")
    assert path.read_text() == "one"  # which ended last, and whole
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_has_left_goes_with_the_next_write(tmp_path):
    script = (
        "import os, sys\nfrom atomplete.runs.files import atomic_write\n"
        "with atomic_write(sys.argv[1]) as temporary:\n"
        "    temporary.write_text('half')\n    os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "a.txt")])
    assert len(list(tmp_path.iterdir())) == 1
    with atomic_write(tmp_path / "b.txt") as temporary:
        temporary.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == ["b.txt"]


def test_a_new_file_has_the_rights_that_the_user_wants(tmp_path):
    before = os.umask(0o027)
    try:
        with atomic_write(tmp_path / "a.txt") as temporary:
            temporary.write_text("")
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o640


def test_a_full_disk_is_one_sentence(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fill():
        with atomic_write(path), open_tolerant(Path("/dev/full")) as file:
            assert file.write(b"12345") == 5
            raise ValueError("what a library makes of it")

    with pytest.raises(InputError, match=r"a\.txt: it cannot be written \(No space left"):
        fill()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_inputs_are_protected_under_any_name(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    (tmp_path / "hard").hardlink_to(path)
    with protected([tmp_path / "absent", tmp_path / "hard"]):
        with pytest.raises(InputError, match="it is an input"), atomic_write(path):
            pass
        check_replaceable(tmp_path / "b.txt")
    check_replaceable(path)
