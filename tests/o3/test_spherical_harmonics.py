"""Real spherical harmonics against SciPy's complex ones, and their identities."""

import numpy as np
import pytest
import scipy.special
import torch

from atomplete.o3 import lm_slice, spherical_harmonics

MAX_ANGULAR = 8


@pytest.fixture
def directions():
    vectors = torch.randn(60, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    # the poles and the axes are where recursions in angles go wrong
    axes = torch.eye(3, dtype=torch.float64)
    vectors = torch.cat([vectors, axes, -axes])
    return vectors / torch.linalg.vector_norm(vectors, dim=1, keepdim=True)


def scipy_real(l, m, directions):
    """sqrt(2) Re or Im of Y_l|m|, without the Condon–Shortley phase that SciPy's carries."""
    x, y, z = directions.numpy().T
    theta, phi = np.arctan2(np.hypot(x, y), z), np.arctan2(y, x)
    values = scipy.special.sph_harm_y(l, abs(m), theta, phi)
    if m == 0:
        return values.real
    return np.sqrt(2) * (-1) ** m * (values.real if m > 0 else values.imag)


def test_against_scipy(directions):
    ours = spherical_harmonics(directions, MAX_ANGULAR).numpy()
    expected = [
        scipy_real(l, m, directions) for l in range(MAX_ANGULAR + 1) for m in range(-l, l + 1)
    ]
    np.testing.assert_allclose(ours, np.stack(expected, 1), rtol=0, atol=1e-12)


def test_addition_theorem(directions):
    harmonics = spherical_harmonics(directions, MAX_ANGULAR)
    cosines = (directions @ directions.T).numpy()
    for l in range(MAX_ANGULAR + 1):
        block = harmonics[:, lm_slice(l)].numpy()
        legendre = scipy.special.eval_legendre(l, cosines)
        np.testing.assert_allclose(
            block @ block.T, (2 * l + 1) / (4 * np.pi) * legendre, rtol=0, atol=1e-12
        )


def test_orthonormal_on_the_sphere():
    # exact for the products of two harmonics: Gauss–Legendre in z, trapezium in the azimuth
    z, weight = np.polynomial.legendre.leggauss(MAX_ANGULAR + 1)
    phi = np.linspace(0, 2 * np.pi, 2 * MAX_ANGULAR + 1, endpoint=False)
    s = np.sqrt(1 - z**2)
    grid = [
        s[:, None] * np.cos(phi),
        s[:, None] * np.sin(phi),
        np.broadcast_to(z[:, None], (len(z), len(phi))),
    ]
    points = torch.from_numpy(np.stack(grid, -1).reshape(-1, 3))
    weights = np.repeat(weight, len(phi)) * 2 * np.pi / len(phi)
    harmonics = spherical_harmonics(points, MAX_ANGULAR).numpy()
    overlap = harmonics.T @ (weights[:, None] * harmonics)
    np.testing.assert_allclose(overlap, np.eye(len(overlap)), rtol=0, atol=1e-13)


def test_parity(directions):
    here, there = (spherical_harmonics(r, MAX_ANGULAR) for r in (directions, -directions))
    for l in range(MAX_ANGULAR + 1):
        torch.testing.assert_close(
            there[:, lm_slice(l)], (-1) ** l * here[:, lm_slice(l)], rtol=0, atol=1e-14
        )


def test_derivatives(directions):
    def of_vectors(r):
        return spherical_harmonics(r / torch.linalg.vector_norm(r, dim=1, keepdim=True), 5)

    vectors = (1.7 * directions[-9:]).requires_grad_()
    assert torch.autograd.gradcheck(of_vectors, vectors, atol=1e-7)
    assert torch.autograd.gradgradcheck(of_vectors, vectors[-4:].detach().requires_grad_())


def test_laplacian_on_the_sphere(directions):
    """r^l Y_lm is harmonic: the trace of its second derivatives vanishes."""
    l = 4

    def solid(r):
        norm = torch.linalg.vector_norm(r)
        return norm**l * spherical_harmonics((r / norm)[None], l)[0, lm_slice(l)]

    hessian = torch.func.jacrev(torch.func.jacrev(solid))(1.3 * directions[0])
    assert hessian.diagonal(dim1=1, dim2=2).sum(1).abs().max() < 1e-11
    assert hessian.abs().max() > 1.0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_and_empty_input(directions, dtype):
    harmonics = spherical_harmonics(directions.to(dtype), 3)
    assert harmonics.dtype == dtype
    exact = spherical_harmonics(directions, 3)
    assert (harmonics.double() - exact).abs().max() < 20 * torch.finfo(dtype).eps
    assert spherical_harmonics(directions[:0].to(dtype), 3).shape == (0, 16)
