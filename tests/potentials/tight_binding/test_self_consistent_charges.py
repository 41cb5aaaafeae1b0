"""Electrons in their own field, against diagonalisation and iteration with SciPy."""

import numpy as np
import pytest
import torch
from scipy.linalg import eigh
from scipy.optimize import brentq

from atomplete.potentials.tight_binding.self_consistent_charges import (
    NoGroundStateError,
    ground_state,
)

N_ATOMS, SMEARING = 3, 0.3
FREE = torch.tensor([2.0, 1.0] * N_ATOMS, dtype=torch.float64)
SHELL = np.arange(4 * N_ATOMS) // 4 * 2 + (np.arange(4 * N_ATOMS) % 4 > 0)


def random_molecules(n=2, seed=0):
    """Some H, S and γ: symmetric, the latter two positive definite."""
    generator = torch.Generator().manual_seed(seed)
    size = 4 * N_ATOMS

    def symmetric(size):
        some = torch.randn(n, size, size, generator=generator, dtype=torch.float64)
        return some + some.transpose(1, 2)

    matrix = symmetric(size) - 5 * torch.eye(size, dtype=torch.float64)
    overlap = torch.linalg.matrix_exp(symmetric(size) / 20)
    repulsion = 2 * torch.linalg.matrix_exp(symmetric(2 * N_ATOMS) / 10)
    return matrix, overlap, repulsion


def by_iteration(matrix, overlap, repulsion, mixing=0.1):
    """Mix the charges of each iteration a little into those before."""
    free, charge = FREE.numpy(), np.zeros(2 * N_ATOMS)
    while True:
        potential = (repulsion @ charge)[SHELL]
        levels, orbitals = eigh(matrix + overlap * (potential[:, None] + potential) / 2, overlap)

        def occupations(mu, levels=levels):
            return 1 / (1 + np.exp((levels - mu) / SMEARING))

        mu = brentq(lambda mu: 2 * occupations(mu).sum() - free.sum(), -90, 90, xtol=1e-13)
        f = occupations(mu)
        density = 2 * (orbitals * f) @ orbitals.T
        found = np.bincount(SHELL, (density * overlap).sum(1)) - free
        if np.abs(found - charge).max() < 1e-10:
            break
        charge = charge + mixing * (found - charge)
    entropy = -2 * (f * np.log(f) + (1 - f) * np.log1p(-f)).sum()
    energy = (density * matrix).sum() - SMEARING * entropy + charge @ repulsion @ charge / 2
    return energy, density, charge


def test_ground_state_is_where_iteration_ends():
    molecules = random_molecules()
    state = ground_state(*molecules, FREE, SMEARING)
    for index, parts in enumerate(zip(*(part.numpy() for part in molecules), strict=True)):
        energy, density, charge = by_iteration(*parts)
        assert np.abs(charge).max() > 0.1  # else there is nothing to see
        assert state.energy[index].item() == pytest.approx(energy, abs=1e-9)
        np.testing.assert_allclose(state.density[index], density, atol=1e-8)
        np.testing.assert_allclose(state.charge[index], charge, atol=1e-8)
    assert state.charge.sum(1).abs().max() < 1e-9


def test_derivatives_of_the_energy_in_all_matrices():
    matrix, overlap, repulsion = random_molecules()
    state = ground_state(matrix, overlap, repulsion, FREE, SMEARING)
    changes = random_molecules(seed=1)
    of_overlap = state.density * state.potential - state.energy_density
    of_repulsion = state.charge[:, :, None] * state.charge[:, None] / 2
    slopes = state.density, of_overlap, of_repulsion
    step = 1e-5
    for index, (slope, change) in enumerate(zip(slopes, changes, strict=True)):
        found = []
        for sign in (1, -1):
            parts = [matrix, overlap, repulsion]
            parts[index] = parts[index] + sign * step * change
            found.append(ground_state(*parts, FREE, SMEARING).energy)
        numerical = (found[0] - found[1]) / (2 * step)
        torch.testing.assert_close((slope * change).sum((1, 2)), numerical, rtol=1e-6, atol=1e-7)


def test_levels_that_coincide():
    """Free atoms, which stay neutral in a field of their own."""
    levels = torch.tensor([-9.0, -5, -5, -5] * N_ATOMS, dtype=torch.float64)
    size = len(levels)
    one = torch.eye(size, dtype=torch.float64)[None]
    repulsion = 5 * torch.eye(2 * N_ATOMS, dtype=torch.float64)[None]
    state = ground_state(levels.diag()[None], one, repulsion, FREE, 0.05)
    assert state.charge.abs().max() < 1e-8
    entropy = 6 * (np.log(6) - 5 / 6 * np.log(5))  # of one electron in six places, each atom
    expected = N_ATOMS * (2 * -9.0 - 5.0) - 0.05 * N_ATOMS * entropy
    assert state.energy.item() == pytest.approx(expected, abs=1e-9)


def test_the_same_alone_and_among_others():
    molecules = random_molecules(n=5)
    together = ground_state(*molecules, FREE, SMEARING).energy
    alone = [
        ground_state(*(part[[k]] for part in molecules), FREE, SMEARING).energy for k in range(5)
    ]
    torch.testing.assert_close(torch.cat(alone), together, rtol=0, atol=1e-12)


def test_refuses_orbitals_that_are_not_independent():
    matrix, overlap, repulsion = random_molecules()
    overlap[1] -= 2 * torch.eye(len(overlap[1]), dtype=torch.float64)
    with pytest.raises(NoGroundStateError, match="structure 1: the orbitals are not independent"):
        ground_state(matrix, overlap, repulsion, FREE, SMEARING)


def test_says_where_charges_do_not_converge():
    """Charges that attract each other have no ground state."""
    matrix, overlap, repulsion = random_molecules()
    repulsion[1] = -200 * repulsion[1]
    with pytest.raises(NoGroundStateError, match="structure 1: the charges do not converge"):
        ground_state(matrix, overlap, repulsion, FREE, SMEARING)
