"""Signs of forces, told from energies of structures alone."""

import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from atomplete.data.checks.signs import forces_sign
from atomplete.data.dataset import Dataset


def labelled(atoms, of_energy=1.0, of_forces=1.0):
    atoms.calc = EMT()
    energy, forces = of_energy * atoms.get_potential_energy(), of_forces * atoms.get_forces()
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
    return atoms


def molecules(n, **signs):
    rng, found = np.random.default_rng(0), []
    for _ in range(n):
        atoms = molecule("CH3CH2OH")
        atoms.positions += rng.normal(scale=0.05, size=atoms.positions.shape)
        atoms.rotate(rng.uniform(0, 360), rng.normal(size=3))
        atoms.positions += rng.normal(scale=5, size=3)
        found.append(labelled(atoms, **signs))
    return found


def crystals(n, **signs):
    rng, found = np.random.default_rng(0), []
    for _ in range(n):
        atoms = bulk("Cu", cubic=True)
        atoms.positions += rng.normal(scale=0.1, size=(4, 3))
        atoms.wrap()  # some atoms stand at the other side of the cell
        found.append(labelled(atoms, **signs))
    return found


@pytest.mark.parametrize("structures", [molecules, crystals])
@pytest.mark.parametrize(
    ("signs", "says"),
    [
        ({}, "sign of the forces: agrees with −dE/dr"),
        ({"of_forces": -1.0}, "WARNING, sign of the forces: OPPOSITE"),
        ({"of_energy": -1.0}, "WARNING, sign of the forces: OPPOSITE"),
    ],
)
def test_the_sign_of_the_forces(structures, signs, says):
    assert str(forces_sign(Dataset.from_structures(structures(20, **signs)))).startswith(says)


def test_forces_of_chance_have_no_sign():
    rng, structures = np.random.default_rng(1), molecules(30)
    for atoms in structures:
        forces = rng.normal(size=(len(atoms), 3))
        atoms.calc = SinglePointCalculator(atoms, energy=rng.normal(), forces=forces)
    found = forces_sign(Dataset.from_structures(structures))
    assert found.n_pairs >= 20
    assert "cannot be told" in str(found)


def test_few_structures_tell_no_sign():
    found = forces_sign(Dataset.from_structures([*molecules(2), *crystals(2)]))
    assert found.n_pairs == 2
    assert "too few structures" in str(found)


def test_structures_that_are_the_same_tell_no_sign():
    assert forces_sign(Dataset.from_structures(molecules(1) * 8)).n_pairs == 0


def test_forces_that_are_zero_tell_no_sign():
    structures = molecules(8, of_forces=0.0)
    assert forces_sign(Dataset.from_structures(structures)).n_pairs == 0
