"""Matrices in s and p orbitals: symmetric, and how they turn."""

import pytest
import torch

from atomplete.potentials.tight_binding.slater_koster import between_atoms, on_atoms


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


def test_symmetric():
    direction, between, on_site = random_elements()
    for matrix in (between_atoms(direction, between), on_atoms(direction, on_site)):
        torch.testing.assert_close(matrix, matrix.transpose(1, 2), rtol=0, atol=0)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_orbitals_turn_with_the_structure(sign):
    """s stays, p turns as a vector; under reflection as well."""
    direction, between, on_site = random_elements()
    some = torch.randn(3, 3, generator=torch.Generator().manual_seed(1)).double()
    turn = torch.linalg.qr(some)[0]
    turn = turn * sign * torch.det(turn)
    of_atom = torch.block_diag(torch.ones(1, 1, dtype=torch.float64), turn)
    of_all = torch.block_diag(*[of_atom] * 4)
    for matrix, elements in ((between_atoms, between), (on_atoms, on_site)):
        turned = matrix(direction @ turn.T, elements)[0]
        expected = of_all @ matrix(direction, elements)[0] @ of_all.T
        torch.testing.assert_close(turned, expected, rtol=0, atol=1e-13)
