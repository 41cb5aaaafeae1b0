"""Wigner matrices: a representation of O(3), and the one that the harmonics follow."""

import pytest
import torch

from atomplete.o3 import lm_slice, random_rotation, spherical_harmonics, wigner_d

ORDERS = range(9)


@pytest.fixture
def rotations():
    generator = torch.Generator().manual_seed(0)
    return [random_rotation(generator, proper=proper) for proper in (True, True, False, False)]


@pytest.mark.parametrize("l", ORDERS)
def test_harmonics_follow(l, rotations):
    generator = torch.Generator().manual_seed(1)
    points = torch.randn(40, 3, generator=generator, dtype=torch.float64)
    points = points / torch.linalg.vector_norm(points, dim=1, keepdim=True)
    here = spherical_harmonics(points, l)[:, lm_slice(l)]
    for rotation in rotations:
        there = spherical_harmonics(points @ rotation.T, l)[:, lm_slice(l)]
        torch.testing.assert_close(there, here @ wigner_d(l, rotation).T, rtol=0, atol=1e-12)


@pytest.mark.parametrize("l", ORDERS)
def test_homomorphism_and_orthogonality(l, rotations):
    unit = torch.eye(2 * l + 1, dtype=torch.float64)
    for first in rotations:
        d = wigner_d(l, first)
        torch.testing.assert_close(d @ d.T, unit, rtol=0, atol=1e-12)
        for second in rotations:
            torch.testing.assert_close(
                wigner_d(l, first @ second), d @ wigner_d(l, second), rtol=0, atol=1e-12
            )


@pytest.mark.parametrize("l", ORDERS)
def test_inversion_and_identity(l):
    unit = torch.eye(2 * l + 1, dtype=torch.float64)
    space = torch.eye(3, dtype=torch.float64)
    torch.testing.assert_close(wigner_d(l, space), unit, rtol=0, atol=1e-13)
    torch.testing.assert_close(wigner_d(l, -space), (-1) ** l * unit, rtol=0, atol=1e-13)


def test_vectors_turn_as_vectors(rotations):
    yzx = [1, 2, 0]
    for rotation in rotations:
        torch.testing.assert_close(wigner_d(1, rotation), rotation[yzx][:, yzx], rtol=0, atol=1e-13)


def test_dtype(rotations):
    d = wigner_d(3, rotations[0].float())
    assert d.dtype == torch.float32
    assert (d.double() - wigner_d(3, rotations[0])).abs().max() < 1e-5


def test_random_rotations():
    generator = torch.Generator().manual_seed(2)
    drawn = torch.stack([random_rotation(generator) for _ in range(2000)])
    determinants = torch.linalg.det(drawn)
    assert (determinants.abs() - 1).abs().max() < 1e-13
    assert 800 < (determinants > 0).sum() < 1200
    # uniform: every entry has mean 0 and mean square 1/3
    assert drawn.mean(0).abs().max() < 0.06
    assert (drawn.square().mean(0) - 1 / 3).abs().max() < 0.04
    for proper in (True, False):
        determinant = torch.linalg.det(random_rotation(generator, proper=proper))
        assert (determinant > 0) == proper
