"""Faults of a file of structures: training on it names them, or refuses it."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from atomplete.errors import InputError
from atomplete.training.options import TrainOptions
from atomplete.training.train import train

OPTIONS = {
    "descriptor": {
        "type": "density_correlations",
        "nu": [1],
        "expansion": {"max_radial": 2, "max_angular": 0},
    },
    "cutoff": 3.0,
    "forces_weight": 0.0,
}


def springs(name, n=6, seed=0):
    """Molecules near rest, with energies of springs."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(n):
        atoms = molecule(name)
        moved = 0.05 * rng.normal(size=(len(atoms), 3))
        atoms.positions += moved
        energy = 20 * (moved**2).sum() - 4 * len(atoms)
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=-40 * moved)
        found.append(atoms)
    return found


def said_of(structures, folder, **options):
    """Lines that training says of a file."""
    file, said = folder / "data.xyz", []
    write(file, structures, format="extxyz")
    given = TrainOptions(**{**OPTIONS, **options})
    train(file, folder / "run", given, progress=False, say=said.append)
    return said[0].replace(f"{file}, ", "").splitlines()


def one(lines, beginning):
    (found,) = [line.strip() for line in lines if line.strip().startswith(beginning)]
    return found


def test_nothing_to_say_of_sound_data(tmp_path):
    structures = [a for name in ("H2O", "H2O2", "H2") for a in springs(name)]
    lines = said_of(structures, tmp_path)
    assert not [line for line in lines if line.split(":")[0].strip().split(",")[0].isupper()]
    assert "sign of the forces: agrees" in "".join(lines)


def test_labels_that_are_missing_are_named(tmp_path):
    structures = springs("H2O", 8)
    for k in (1, 2, 4, 6):
        atoms = structures[k]
        atoms.calc = SinglePointCalculator(atoms, energy=atoms.get_potential_energy())
    structures[3].calc = SinglePointCalculator(structures[3], forces=structures[3].get_forces())
    lines = said_of(structures, tmp_path)
    assert one(lines, "MISSING: energies") == "MISSING: energies of structure 3"
    assert one(lines, "MISSING: forces") == (
        "MISSING: forces of structure 1; structure 2; structure 4 and 1 more"
    )


def test_energies_above_those_of_the_atoms(tmp_path):
    above = springs("H2O")
    for atoms in above:
        atoms.calc = SinglePointCalculator(atoms, energy=-atoms.get_potential_energy())
    lines = said_of(above, tmp_path, references={"H": 0.0, "O": 0.0})
    assert "above those of their atoms in 6 of 6 structures" in one(
        lines, "WARNING, sign of the en"
    )
    lines = said_of(springs("H2O"), tmp_path, references={"H": 0.0, "O": 0.0})
    assert not [line for line in lines if "sign of the energies" in line]


def test_compositions_that_leave_references_open(tmp_path):
    both = springs("CH3OH") + springs("CH3CH2OH")
    found = one(said_of(both, tmp_path), "NOT FIXED")
    assert "of H, C, O, by structures of C2H6O; CH4O alone" in found
    # an isolated atom fixes its own element, and with two compositions the others
    atom = Atoms("O", info={"energy": -1.0})
    lines = said_of([*both, atom], tmp_path)
    assert not [line for line in lines if "NOT FIXED" in line]
    # what one composition fixes is not named
    hydrogen = springs("CH3OH") + springs("H2")
    assert "energies of C, O, by" in one(said_of(hydrogen, tmp_path), "NOT FIXED")


def test_an_element_without_any_label_is_refused(tmp_path):
    bare = molecule("CH3SH")
    with pytest.raises(InputError, match=r"data.xyz, structure 6: no structure with S has any"):
        said_of([*springs("CH3OH"), bare], tmp_path)


def test_an_element_for_validation_alone_is_named(tmp_path):
    write(tmp_path / "other.xyz", springs("SH2", 3), format="extxyz")
    lines = said_of(springs("H2O"), tmp_path, validation=tmp_path / "other.xyz")
    assert one(lines, "NOT TRAINED").startswith("NOT TRAINED: S, which only structures for valid")


def test_an_atom_alone_in_its_cell_is_named(tmp_path):
    alone = Atoms("O", cell=[9, 9, 9], pbc=True, info={"energy": -2.0})
    crystal = Atoms("O", cell=[2, 2, 2], pbc=True, info={"energy": -2.0})
    found = one(said_of([*springs("H2O"), crystal, alone], tmp_path), "ALONE")
    assert "structure 7" in found
    assert "structure 6" not in found


def test_structures_that_occur_twice_are_named(tmp_path):
    structures = springs("H2O", 12)
    lines = said_of([*structures, structures[4]], tmp_path)
    assert one(lines, "DUPLICATES").startswith("DUPLICATES: structure 12 is structure 4 again")
    assert not [line for line in lines if "differ" in line]
    other = structures[5].copy()
    other.calc = SinglePointCalculator(other, energy=structures[5].get_potential_energy() + 0.5)
    lines = said_of([*structures, other], tmp_path)
    assert one(lines, "WARNING, energies of the same structure differ") == (
        "WARNING, energies of the same structure differ: structure 5 and structure 12 (0.5 eV)"
    )


def test_copies_in_training_and_validation_are_counted(tmp_path):
    structures = springs("H2O")
    write(tmp_path / "other.xyz", structures[:2], format="extxyz")
    lines = said_of(structures, tmp_path, validation=tmp_path / "other.xyz")
    assert one(lines, "DUPLICATES").endswith(", 2 of them in training and in validation")
