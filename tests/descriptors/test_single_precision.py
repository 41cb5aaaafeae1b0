"""Single precision: as exact far from the origin as near it, whatever cells atoms are in."""

import numpy as np
import pytest
import torch
from environments import CUTOFF, SPECS, crystal, fitted, molecule

from atomplete.descriptors import build, gradients
from atomplete.nn import DeepSetSpec
from atomplete.potentials import DescriptorPotential, DescriptorPotentialSpec
from atomplete.potentials.tight_binding.tight_binding import TightBinding, TightBindingSpec
from atomplete.system import System

#: What rounding of vectors, products and sums leaves of 6e-8.
TOLERANCE = 2e-6


def moved(atoms, distance):
    """The same structure far away, its atoms in other cells if it is periodic."""
    atoms = atoms.copy()
    atoms.positions += distance * np.array([1.0, -0.7, 0.3])
    if atoms.pbc.any():
        cells = np.random.default_rng(0).integers(-9, 10, (len(atoms), 3))
        atoms.positions += cells @ atoms.cell.array
    return atoms


def close(found, expected):
    assert found.dtype == torch.float32
    difference = torch.linalg.vector_norm(found.double() - expected)
    assert difference < TOLERANCE * torch.linalg.vector_norm(expected)


@pytest.mark.parametrize("name", SPECS)
def test_features(name):
    descriptor = fitted(SPECS[name])
    for atoms in (molecule(3), crystal()):
        # sums: the rows of a centre come in another order
        expected = descriptor(System.from_atoms(atoms, CUTOFF)).sum_over_neighbors()
        for distance in (0.0, 1e3, 1e5):
            system = System.from_atoms(moved(atoms, distance), CUTOFF, dtype=torch.float32)
            close(descriptor(system).sum_over_neighbors(), expected)


@pytest.mark.parametrize("distance", [1e3, 1e5])
@pytest.mark.parametrize("name", ["power_spectrum-gto", "three_center-gto"])
def test_gradients_of_rows(name, distance):
    descriptor, atoms = build(SPECS[name]), molecule(3)
    expected = gradients(descriptor, System.from_atoms(atoms, CUTOFF))
    system = System.from_atoms(moved(atoms, distance), CUTOFF, dtype=torch.float32)
    found = gradients(descriptor, system)
    close(found.positions, expected.positions)
    close(found.strain, expected.strain)


@pytest.mark.parametrize("distance", [1e3, 1e5])
@pytest.mark.parametrize("atoms", [molecule(3), crystal()], ids=["molecule", "crystal"])
def test_potentials(atoms, distance):
    spec = DescriptorPotentialSpec(
        descriptor=SPECS["pair-gto"],
        readout=DeepSetSpec(hidden=(16,), head=(8,)),
        species=(1, 6, 8),
    )
    model = DescriptorPotential(spec)
    training = model.system([molecule(s) for s in (10, 11)])
    model.normalise(model.descriptor(training), torch.arange(2))
    properties = ("energy", "forces", "stress")[: 3 if atoms.pbc.any() else 2]
    expected = model.predict(atoms, properties)
    found = model.predict(moved(atoms, distance), properties, dtype=torch.float32)
    for name in properties:
        one, other = getattr(found, name), getattr(expected, name)
        assert (one - other).norm() < 1e-5 * other.norm()


@pytest.mark.parametrize("distance", [1e3, 1e5])
def test_tight_binding(distance):
    model, atoms = TightBinding(TightBindingSpec()), molecule(3, n=5, symbols="B")
    expected = model.predict(atoms, ("energy", "forces"))
    found = model.predict(moved(atoms, distance), ("energy", "forces"), dtype=torch.float32)
    assert (found.energy - expected.energy).abs() < 1e-6 * expected.energy.abs()
    assert (found.forces - expected.forces).norm() < 1e-6 * expected.forces.norm()
