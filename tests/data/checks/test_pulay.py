"""Stresses beside the change of the energy with strain, told from labels alone."""

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from atomplete.data.checks.pulay import FEWEST_PAIRS, stress_offset
from atomplete.data.dataset import Dataset
from atomplete.training.options import TrainOptions


def cells(per_atom, n=8, cell=2, displaced=0.005, seed=0):
    """Strained copper with moved atoms and EMT's labels, and c N / V more stress."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(n):
        atoms = bulk("Cu", cubic=True) * (cell, cell, 1)
        strain = rng.uniform(-0.01, 0.01) * np.eye(3) + rng.normal(scale=5e-4, size=(3, 3))
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
        atoms.positions += rng.normal(scale=displaced, size=atoms.positions.shape)
        atoms.wrap()
        atoms.calc = EMT()
        stress = atoms.get_stress() + per_atom * len(atoms) / atoms.get_volume() * np.eye(6)[
            :3
        ].sum(0)
        atoms.calc = SinglePointCalculator(
            atoms, energy=atoms.get_potential_energy(), forces=atoms.get_forces(), stress=stress
        )
        found.append(atoms)
    return found


@pytest.mark.parametrize("per_atom", [0.18, -0.1])
@pytest.mark.parametrize("displaced", [0.0, 0.005])
def test_an_offset_is_found(per_atom, displaced):
    offset = stress_offset(Dataset.from_structures(cells(per_atom, displaced=displaced)))
    assert offset.n_pairs >= FEWEST_PAIRS
    assert offset.matters
    assert offset.per_atom == pytest.approx(per_atom, rel=0.05)
    assert offset.pressure == pytest.approx(per_atom / 11.76, rel=0.1)  # Å³ an atom


def test_cells_of_other_sizes_count_together():
    both = cells(0.18, n=4) + cells(0.18, n=4, cell=1, seed=1)
    offset = stress_offset(Dataset.from_structures(both))
    assert offset.per_atom == pytest.approx(0.18, rel=0.05)


def test_labels_that_agree_have_none_and_are_fitted():
    dataset = Dataset.from_structures(cells(0.0))
    offset = stress_offset(dataset)
    assert offset.n_pairs >= FEWEST_PAIRS
    assert abs(offset.per_atom) < 0.01
    assert not offset.matters
    assert TrainOptions().loss(dataset).stress == 0.1


def test_a_fit_leaves_wrong_stresses_out_unless_they_are_asked_for():
    dataset = Dataset.from_structures(cells(0.18))
    assert TrainOptions().loss(dataset).stress == 0
    assert TrainOptions(stress_weight=0.2).loss(dataset).stress == 0.2


def test_too_few_cells_tell_nothing():
    offset = stress_offset(Dataset.from_structures(cells(0.18, n=2)))
    assert not offset.matters
    assert not stress_offset(Dataset.from_structures(cells(0.18, n=1))).n_pairs
