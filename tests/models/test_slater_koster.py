"""Hamiltonians of s and p orbitals: how they turn, and the electrons on their levels."""

import numpy as np
import pytest
import torch
from scipy.optimize import brentq

from atomplete.models.slater_koster import free_energy, hamiltonian


def random_elements(n_atoms=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(1, n_atoms, 3, generator=generator, dtype=torch.float64)
    separation = x[:, None] - x[:, :, None]
    length = separation.norm(dim=-1, keepdim=True)
    direction = torch.where(length > 0, separation / length.clamp_min(1e-12), 0.0)
    between, on_site = torch.randn(
        2, 1, n_atoms, n_atoms, 4, generator=generator, dtype=torch.float64
    )
    off = 1 - torch.eye(n_atoms, dtype=torch.float64)[..., None]
    return direction, (between + between.transpose(1, 2)) * off, on_site * off


LEVELS = torch.tensor([-9.0, -5.0], dtype=torch.float64)


def test_symmetric():
    h = hamiltonian(*random_elements(), LEVELS)
    torch.testing.assert_close(h, h.transpose(1, 2), rtol=0, atol=0)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_orbitals_turn_with_the_structure(sign):
    """s stays, p turns as a vector; under reflection as well."""
    direction, between, on_site = random_elements()
    turn = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(1)).double())[
        0
    ]
    turn = turn * sign * torch.det(turn)
    of_atom = torch.block_diag(torch.ones(1, 1, dtype=torch.float64), turn)
    of_all = torch.block_diag(*[of_atom] * 4)
    turned = hamiltonian(direction @ turn.T, between, on_site, LEVELS)[0]
    expected = of_all @ hamiltonian(direction, between, on_site, LEVELS)[0] @ of_all.T
    torch.testing.assert_close(turned, expected, rtol=0, atol=1e-13)


def test_electrons_are_those_of_a_root_finder():
    h = hamiltonian(*random_elements(), LEVELS)
    smearing, electrons = 0.3, 12
    energy, density = free_energy(h, electrons, smearing)
    levels = np.linalg.eigvalsh(h[0].numpy())

    def occupations(potential):
        return 1 / (1 + np.exp((levels - potential) / smearing))

    potential = brentq(lambda mu: 2 * occupations(mu).sum() - electrons, -50, 50, xtol=1e-13)
    f = occupations(potential)
    entropy = -(f * np.log(f) + (1 - f) * np.log1p(-f)).sum()
    assert energy.item() == pytest.approx(2 * (f @ levels - smearing * entropy), abs=1e-9)
    assert density[0].trace().item() == pytest.approx(electrons, abs=1e-10)


def test_density_matrix_is_the_derivative_even_of_levels_that_coincide():
    h = torch.diag(torch.tensor([-2.0, -1.0, -1.0, -1.0], dtype=torch.float64))[None]
    change = torch.randn(1, 4, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    change = change + change.transpose(1, 2)
    _, density = free_energy(h, 3, 0.2)
    up, down = (free_energy(h + step * change, 3, 0.2)[0] for step in (1e-5, -1e-5))
    numerical = (up - down) / 2e-5
    torch.testing.assert_close((density * change).sum((1, 2)), numerical, rtol=1e-8, atol=1e-8)
