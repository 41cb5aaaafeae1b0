"""Radial functions against quadrature, closed forms and known zeros."""

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.linalg import sqrtm
from scipy.special import gamma, spherical_in, spherical_jn

from atomplete.radial import GaussianTypeOrbitals, LaplacianEigenstates

CUTOFF, MAX_RADIAL, MAX_ANGULAR = 2.0, 6, 3
SIZES = {"cutoff": CUTOFF, "max_radial": MAX_RADIAL, "max_angular": MAX_ANGULAR}


def gauss_legendre(low, high, degree):
    x, w = np.polynomial.legendre.leggauss(degree)
    return low + 0.5 * (high - low) * (x + 1), 0.5 * (high - low) * w


def orbitals(x):
    """Löwdin-orthonormalised x^n exp(−a_n x²), their overlaps by Gamma functions: (point, n)."""
    n = np.arange(MAX_RADIAL)
    a = 1 / (2 * (CUTOFF * np.maximum(np.sqrt(n), 1) / MAX_RADIAL) ** 2)
    power = (n[:, None] + n + 3) / 2
    overlap = gamma(power) / (2 * (a[:, None] + a) ** power)
    # the primitives are normalised first: Löwdin's result depends on it
    norm = 1 / np.sqrt(np.diag(overlap))
    lowdin = np.linalg.inv(sqrtm(norm[:, None] * overlap * norm)).real
    return x[:, None] ** n * np.exp(-a * x[:, None] ** 2) * norm @ lowdin


def test_gto_reference_is_orthonormal():
    x, w = gauss_legendre(0, 12.0, 300)
    overlap = orbitals(x).T @ (w[:, None] * x[:, None] ** 2 * orbitals(x))
    np.testing.assert_allclose(overlap, np.eye(MAX_RADIAL), rtol=0, atol=1e-10)


@pytest.mark.parametrize("width", [0.2, 0.5])
def test_gto_against_quadrature(width):
    """4π (πσ²)^(−3/4) ∫ x² φ_n(x) exp(−(x² + r²)/2σ²) i_l(x r/σ²) dx, adaptively."""
    r = np.array([0.0, 0.3, 1.2, 2.0])
    ours = GaussianTypeOrbitals(density_width=width).evaluate(r, **SIZES)
    prefactor = 4 * np.pi * (np.pi * width**2) ** -0.75

    def integrand(x, r, n, l):
        bessel = spherical_in(l, x * r / width**2)
        gauss = np.exp(-(x**2 + r**2) / (2 * width**2))
        return x**2 * orbitals(np.array([x]))[0, n] * gauss * bessel

    for p, n, l in [(0, 0, 0), (0, 2, 0), (1, 0, 1), (1, 5, 2), (2, 3, 3), (2, 1, 0), (3, 5, 3)]:
        low, high = max(0.0, r[p] - 9 * width), r[p] + 9 * width
        value, _ = quad(integrand, low, high, args=(r[p], n, l), epsabs=1e-13, limit=200)
        assert abs(ours[p, n, l] - prefactor * value) < 1e-11


def test_gto_of_a_narrow_density_are_the_orthonormal_orbitals():
    width = 0.01
    x = np.linspace(0.05, 3.5, 100)
    weight = (np.pi * width**2) ** -0.75 * (2 * np.pi * width**2) ** 1.5
    radial = GaussianTypeOrbitals(density_width=width).evaluate(x, **SIZES)[:, :, 0] / weight
    np.testing.assert_allclose(radial, orbitals(x), rtol=0, atol=5e-2 * np.abs(radial).max())
    assert np.abs(radial - orbitals(x)).mean() < 1e-2


def test_gto_depend_on_direction_only_away_from_the_centre():
    at_center = GaussianTypeOrbitals().evaluate(np.array([0.0]), **SIZES)
    assert np.isfinite(at_center).all()
    assert not at_center[0, :, 1:].any()
    near = GaussianTypeOrbitals().evaluate(np.array([1e-4]), **SIZES)
    np.testing.assert_allclose(near[0, :, 0], at_center[0, :, 0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("max_radial", [6, 10])
def test_laplacian_orthonormal_on_the_ball(max_radial):
    r, w = gauss_legendre(0, CUTOFF, 80)
    radial = LaplacianEigenstates().evaluate(r, cutoff=CUTOFF, max_radial=max_radial, max_angular=8)
    overlap = np.einsum("p,pnl,pml->lnm", w * r**2, radial, radial)
    np.testing.assert_allclose(
        overlap, np.broadcast_to(np.eye(max_radial), overlap.shape), rtol=0, atol=1e-12
    )


def test_laplacian_in_closed_form():
    r = np.linspace(0.1, CUTOFF, 20)
    radial = LaplacianEigenstates().evaluate(r, **SIZES)
    n = np.arange(1, MAX_RADIAL + 1)
    # j_0 = sin(x)/x: the zeros are multiples of π
    exact = np.sqrt(2 / CUTOFF) * np.sin(np.outer(r, n) * np.pi / CUTOFF) / r[:, None]
    signs = np.sign(radial[0, :, 0] * exact[0])
    np.testing.assert_allclose(radial[:, :, 0], exact * signs, rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    ("l", "zeros"),
    [
        (1, (4.493409457909064, 7.725251836937707, 10.904121659428899)),
        (2, (5.763459196894550, 9.095011330476355, 12.322940970566582)),
        (3, (6.987932000500519, 10.417118547379365, 13.698023153249249)),
    ],
)
def test_laplacian_zeros(l, zeros):
    """Inside the ball, R_nl vanishes where n − 1 zeros before the n-th say; and at the cutoff."""
    for n in range(1, 4):
        nodes = np.array(zeros[:n]) / zeros[n - 1] * CUTOFF
        radial = LaplacianEigenstates().evaluate(nodes, **SIZES)[:, n - 1, l]
        assert np.abs(radial).max() < 1e-12
    for z in zeros:
        assert abs(spherical_jn(l, z)) < 1e-14


def test_laplacian_solves_the_eigenvalue_equation():
    """−R'' − 2R'/r + l(l+1)R/r² = k² R, with one k for all r."""
    h = 1e-3
    r = np.linspace(0.4, 1.7, 9)
    below, here, above = (
        LaplacianEigenstates().evaluate(r + step, **SIZES) for step in (-h, 0.0, h)
    )
    l = np.arange(MAX_ANGULAR + 1)
    x = r[:, None, None]
    applied = -(above - 2 * here + below) / h**2 - (above - below) / (h * x)
    applied += l * (l + 1) / x**2 * here
    eigenvalues = (applied * here).sum(0) / (here**2).sum(0)
    assert np.abs(applied - eigenvalues * here).max() < 1e-3 * eigenvalues.max()
    assert (np.diff(eigenvalues, axis=0) > 0).all()
    assert abs(eigenvalues[0, 0] - (math.pi / CUTOFF) ** 2) < 1e-4
