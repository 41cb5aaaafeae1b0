"""Radial functions against quadrature, closed forms and known zeros."""

import math
import time

import mpmath
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.linalg import sqrtm
from scipy.special import gamma, spherical_in, spherical_jn

from atomplete.errors import InputError
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


@pytest.mark.parametrize("max_radial", [9, 16, 24])
def test_many_gto_against_sixty_digits(max_radial):
    """∫ x² φ_n(x) φ_m(x) dx = δ, and the radial function of a density on the centre."""
    sizes = {"cutoff": CUTOFF, "max_radial": max_radial, "max_angular": 0}
    width = 0.2
    found = GaussianTypeOrbitals(density_width=width).evaluate(np.array([0.0]), **sizes)[0, :, 0]
    with mpmath.workdps(60):
        sigma = mpmath.mpf(width)
        order = range(max_radial)
        widths = [CUTOFF * math.sqrt(max(n, 1)) / max_radial for n in order]
        a = [1 / (2 * mpmath.mpf(w) ** 2) for w in widths]

        def moment(power, exponent):
            return mpmath.gamma((power + 3) / mpmath.mpf(2)) / (
                2 * exponent ** ((power + 3) / mpmath.mpf(2))
            )

        norms = [moment(2 * n, 2 * a[n]) ** -0.5 for n in order]
        overlap = mpmath.matrix(
            [[norms[n] * norms[m] * moment(n + m, a[n] + a[m]) for m in order] for n in order]
        )
        # on the centre, the integral of a primitive has a closed form
        projections = mpmath.matrix(
            [norms[n] * moment(n, a[n] + 1 / (2 * sigma**2)) for n in order]
        )
        u, squares, v = mpmath.svd_r(overlap)
        root = u * mpmath.diag([mpmath.sqrt(square) for square in squares]) * v
        expected = 4 * mpmath.pi * (mpmath.pi * sigma**2) ** mpmath.mpf(-0.75)
        expected = expected * mpmath.lu_solve(root, projections)
    expected = np.array([float(mpmath.re(value)) for value in expected])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


def test_laplacian_of_high_orders_against_sixty_digits():
    n, o3_lambda, r = 60, 12, 1.37
    found = LaplacianEigenstates().evaluate(
        np.array([r]), cutoff=CUTOFF, max_radial=n, max_angular=o3_lambda
    )[0, -1, -1]
    with mpmath.workdps(60):
        half = o3_lambda + mpmath.mpf(1) / 2
        z = mpmath.besseljzero(half, n)

        def bessel(order, x):
            return mpmath.sqrt(mpmath.pi / (2 * x)) * mpmath.besselj(order, x)

        norm = mpmath.sqrt(2 / mpmath.mpf(CUTOFF) ** 3) / abs(bessel(half + 1, z))
        expected = norm * bessel(half, z * mpmath.mpf(r) / mpmath.mpf(CUTOFF))
    assert abs(found - float(expected)) < 1e-11


def test_a_narrow_density_is_quick_to_expand_and_right():
    """Where a density is narrow, R_nl is the orbital times its weight, to second order."""
    start = time.perf_counter()
    r = np.linspace(0.2, CUTOFF, 500)
    narrow, narrower = (
        GaussianTypeOrbitals(density_width=width).evaluate(r, **SIZES)[:, :, 0]
        / ((np.pi * width**2) ** -0.75 * (2 * np.pi * width**2) ** 1.5)
        for width in (0.005, 0.01)
    )
    assert time.perf_counter() - start < 3
    limit = narrow - (narrower - narrow) / 3
    np.testing.assert_allclose(limit, orbitals(r), rtol=0, atol=1e-5 * np.abs(limit).max())


def test_orbitals_and_densities_that_are_too_different_are_refused():
    with pytest.raises(InputError, match="too different to be integrated"):
        GaussianTypeOrbitals(density_width=1e-4).evaluate(np.array([1.0]), **SIZES)
