"""Formats that do not name their elements, which ASE would guess."""

import gzip

import pytest
from ase import Atoms
from ase.build import bulk
from ase.constraints import FixAtoms, FixBondLength, FixCartesian

from atomplete.data import read_structures, write_structures
from atomplete.errors import InputError

LAMMPS = """LAMMPS

2 atoms
2 atom types
0 5 xlo xhi
0 5 ylo yhi
0 5 zlo zhi
{masses}
Atoms # atomic

1 1 0 0 0
2 2 1 1 1
"""
DUMP = """ITEM: TIMESTEP
0
ITEM: NUMBER OF ATOMS
2
ITEM: BOX BOUNDS pp pp pp
0 5
0 5
0 5
ITEM: ATOMS id {kind} x y z
1 {one} 0 0 0
2 {two} 1 1 1
"""
POSCAR = "C H\n1.0\n5 0 0\n0 5 0\n0 0 5\n{symbols}1 1\nDirect\n0 0 0\n0.5 0.5 0.5\n"
PDB = (
    "ATOM      1 CA   ALA A   1       0.000   0.000   0.119  {part}  0.00          {symbol}\nEND\n"
)
GRO = "t\n1\n    1WAT     OW    1   0.126   1.624   1.679\n   1.8 1.8 1.8\n"


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.lammps-data", LAMMPS.format(masses=""), "LAMMPS data without masses"),
        (
            "a.lammps-data",
            LAMMPS.format(masses="\nMasses\n\n1 1\n2 2\n"),
            "the mass 2 is that of",
        ),
        ("a.lammpstrj", DUMP.format(kind="type", one=1, two=2), "without the column element"),
        ("POSCAR", POSCAR.format(symbols=""), "a POSCAR without a line of symbols"),
        ("a.pdb", PDB.format(symbol="  ", part="1.00"), "PDB without the column of elements"),
        ("a.pdb", PDB.format(symbol=" C", part="0.50"), "atom 0 has an occupancy of 0.5"),
        ("a.gro", GRO, "a .gro file names atoms, not elements"),
        ("a.txt", "1\n\nH 0 0 0\n", "not understood as a file of structures"),
    ],
)
def test_guesses_are_refused_by_name(tmp_path, name, text, words):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError) as caught:
        read_structures(tmp_path / name)
    assert str(caught.value).startswith(str(tmp_path / name))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "symbols"),
    [
        ("a.lammps-data", LAMMPS.format(masses="\nMasses\n\n1 28.085\n2 15.999\n"), "SiO"),
        ("a.lammpstrj", DUMP.format(kind="element", one="Si", two="O"), "SiO"),
        ("POSCAR", POSCAR.format(symbols="C H\n"), "CH"),
        ("a.pdb", PDB.format(symbol=" C", part="1.00"), "C"),
    ],
)
def test_elements_that_a_file_names(tmp_path, name, text, symbols):
    (tmp_path / name).write_text(text)
    assert str(read_structures(tmp_path / name)[0].symbols) == symbols
    with gzip.open(tmp_path / f"{name}.gz", "wt") as file:
        file.write(text)
    if name != "POSCAR":
        assert str(read_structures(tmp_path / f"{name}.gz")[0].symbols) == symbols


@pytest.mark.parametrize("name", ["a@0.xyz", "a@1.extxyz", "b@0.cif", "c@1:2"])
def test_a_name_with_an_at_sign_is_a_name(tmp_path, name):
    """Which ASE takes for an index."""
    both = [Atoms("H"), Atoms("He")]
    if name.endswith("cif"):
        bulk("Si").write(tmp_path / "b.cif")
        (tmp_path / "b.cif").rename(tmp_path / name)
        assert len(read_structures(tmp_path / name)) == 1
        return
    write_structures(tmp_path / "in.xyz", both)
    (tmp_path / "in.xyz").rename(tmp_path / name)
    assert [str(atoms.symbols) for atoms in read_structures(tmp_path / name)] == ["H", "He"]


def test_files_of_another_name_are_read_by_the_same_reader(tmp_path):
    """ASE itself would end silently at the blank line."""
    (tmp_path / "frames").write_text("1\nProperties=species:S:1:pos:R:3\nH 0 0 0\n\n" * 3)
    assert len(read_structures(tmp_path / "frames")) == 3


@pytest.mark.parametrize(
    "constraint", [FixAtoms([0, 2]), FixCartesian(1, [True, False, False]), FixAtoms([0, 1, 2])]
)
def test_constraints_survive(tmp_path, constraint):
    atoms = Atoms("OH2", positions=[[0, 0, 0], [0, 0, 1], [0, 1, 0]], constraint=constraint)
    write_structures(tmp_path / "a.xyz", [atoms])
    (back,) = read_structures(tmp_path / "a.xyz")
    momenta = [[1.0, 2.0, 3.0]] * 3
    for one in (atoms, back):
        one.set_momenta(momenta)
    assert back.get_momenta().tolist() == atoms.get_momenta().tolist()


def test_constraints_that_have_no_place_are_refused(tmp_path):
    atoms = Atoms("OH", positions=[[0, 0, 0], [0, 0, 1]], constraint=FixBondLength(0, 1))
    with pytest.raises(InputError, match="a constraint FixBondLengths has no place in it"):
        write_structures(tmp_path / "a.xyz", [atoms])
