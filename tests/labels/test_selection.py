import gzip
from pathlib import Path

import pytest
from ase import Atoms
from fake_methods import Fake

from atomplete.data import write_structures
from atomplete.errors import InputError
from atomplete.labels import Selection, label_file

FAKE = Fake(log="nowhere")
TOLERANT = Selection(skip_unreadable=True)


@pytest.fixture
def frames(tmp_path):
    """Writes five structures of two atoms, the third of them as given."""

    def write(third, name="in.xyz"):
        good = [f"2\nindex={index}\nH 0 0 {index}\nH 1 0 0.5\n" for index in range(5)]
        text = "".join([*good[:2], third, *good[3:]])
        opened = gzip.open if name.endswith(".gz") else open
        with opened(tmp_path / name, "wt") as file:
            file.write(text)
        return tmp_path / name

    return write


@pytest.mark.parametrize("name", ["in.xyz", "in.extxyz.gz"])
@pytest.mark.parametrize(
    ("third", "reason"),
    [
        ("2\n\nH 0 zero 0\nH 1 0 0\n", "not understood as extended XYZ"),
        ("2\n\nH 0 nan 0\nH 1 0 0\n", "the y coordinate of atom 0 is nan"),
        ("2\n\nH 0 0 0\nH 0 0 0\n", "atoms 0 and 1 are 0 Å apart"),
        ("2\n\nH 0 0 0\n", "it announces 2 atoms but has 1"),
        ("2\n\nH 0 0 0\nH 1 0 0\nH 2 0 0\n", "it announces 2 atoms but has 3"),
        ("0\n\n", "there are no atoms"),
        ("1\n\nOg 0 0 0\n", "fake has no parameters for Og"),
        ('1\na"b=1\nH 0 0 0\n', "its header opens a quote or bracket that it does not close"),
        ("2\n17\nH 0 0 0\nH 1 0 0\nH 2 0 0\n\n", "it announces 2 atoms but has 3"),
    ],
)
def test_a_bad_structure_is_named_or_left_out(frames, name, third, reason):
    path = frames(third, name)
    with pytest.raises(InputError, match=rf"{path.name}, structure 2: "):
        Selection().read(path, FAKE)
    structures, failures = TOLERANT.read(path, FAKE)
    assert list(structures) == [0, 1, 3, 4]
    assert [atoms.info["index"] for atoms in structures.values()] == [0, 1, 3, 4]
    assert len(failures) == 1
    assert failures[0][0] == 2
    assert failures[0][1].startswith(reason)


def test_garbage_before_the_first_structure_is_one_structure(frames):
    path = frames("1\n\nH 0 0 0\n")
    path.write_text("lost line\n" + path.read_text())
    structures, failures = TOLERANT.read(path, FAKE)
    assert list(structures) == [1, 2, 3, 4, 5]
    assert failures == [(0, "line 1 must hold the number of atoms, not 'lost line'")]


def test_files_that_hold_nothing_usable(tmp_path, frames):
    with pytest.raises(InputError, match="no such file"):
        TOLERANT.read(tmp_path / "absent.xyz", FAKE)
    (tmp_path / "empty.xyz").touch()
    with pytest.raises(InputError, match=r"empty\.xyz: the file holds no structures"):
        TOLERANT.read(tmp_path / "empty.xyz", FAKE)
    (tmp_path / "bad.xyz.gz").write_bytes(b"no gzip")
    with pytest.raises(InputError, match=r"bad\.xyz\.gz is not a compressed file"):
        TOLERANT.read(tmp_path / "bad.xyz.gz", FAKE)
    with pytest.raises(InputError, match="no structure of 2:3 can be labelled: there are no atoms"):
        Selection("2:3", skip_unreadable=True).read(frames("0\n\n"), FAKE)


def test_values_without_sense():
    for part in ("3", "a:b", "1:2:3", ""):
        with pytest.raises(InputError, match="it must be A:B, as in 0:500"):
            Selection(part)
    with pytest.raises(InputError, match="option limit must be positive, not 0"):
        Selection(limit=0)
    with pytest.raises(InputError, match="option max_hours must be positive, not -1"):
        Selection(max_hours=-1)


def test_parts_and_limits_add_up_to_the_whole(tmp_path):
    structures = [Atoms("H", positions=[[0, 0, z]], info={"z": z}) for z in range(10)]
    write_structures(tmp_path / "in.xyz", structures)
    fake = Fake(log=str(tmp_path / "calls.log"))

    def run(**selection):
        return label_file(
            tmp_path / "in.xyz",
            tmp_path / "out.xyz",
            fake,
            progress=False,
            selection=Selection(**selection),
        )

    first = run(part="2:8", limit=4)
    assert (first.labelled, first.resumed, first.remaining) == (4, 0, 2)
    assert str(first).endswith("0 failed, 2 left for another run")
    second = run(part="2:8", limit=4)
    assert (second.labelled, second.resumed, second.remaining) == (6, 4, 0)
    Path(second.output).unlink()
    third = run(part=":2", max_hours=1e-9)
    assert (third.labelled, third.remaining) == (0, 2)
    assert not third.output.exists()
    whole = run(max_hours=1)
    assert (whole.labelled, whole.resumed, whole.remaining) == (10, 6, 0)
