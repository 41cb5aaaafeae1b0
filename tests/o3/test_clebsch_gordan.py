"""Clebsch–Gordan blocks: orthonormal, equivariant, and equal to SymPy's up to a sign."""

import time
from itertools import product

import numpy as np
import pytest
import torch

from atomplete.o3 import (
    clebsch_gordan,
    coupled_triples,
    lm_slice,
    random_rotation,
    spherical_harmonics,
    wigner_d,
)

TRIPLES = coupled_triples(6)


def test_orthonormal():
    for l1, l2 in product(range(7), repeat=2):
        orders = range(abs(l1 - l2), l1 + l2 + 1)
        # all orders together: a unitary map from the product to the direct sum
        whole = torch.cat([clebsch_gordan(l1, l2, l).flatten(0, 1) for l in orders], 1)
        unit = torch.eye((2 * l1 + 1) * (2 * l2 + 1), dtype=torch.float64)
        torch.testing.assert_close(whole.T @ whole, unit, rtol=0, atol=1e-12)
        torch.testing.assert_close(whole @ whole.T, unit, rtol=0, atol=1e-12)


@pytest.mark.parametrize("proper", [True, False])
def test_equivariant(proper):
    rotation = random_rotation(torch.Generator().manual_seed(1), proper=proper)
    d = [wigner_d(l, rotation) for l in range(7)]
    for l1, l2, l3 in TRIPLES:
        block = clebsch_gordan(l1, l2, l3)
        # what two true tensors couple to has parity σ = (−1)^(l1+l2+l3)
        sigma = 1 if proper else (-1) ** (l1 + l2 + l3)
        first = torch.einsum("abc,ax,by->xyc", block, d[l1], d[l2])
        last = sigma * torch.einsum("xyz,cz->xyc", block, d[l3])
        torch.testing.assert_close(first, last, rtol=0, atol=1e-12)


def test_exchange_of_the_two_factors():
    for l1, l2, l3 in TRIPLES:
        exchanged = (-1) ** (l1 + l2 - l3) * clebsch_gordan(l2, l1, l3).transpose(0, 1)
        torch.testing.assert_close(clebsch_gordan(l1, l2, l3), exchanged, rtol=0, atol=1e-12)


def test_exchange_with_the_result():
    """C / sqrt(2 l3 + 1) is an invariant of three tensors: symmetric up to a sign."""
    for l1, l2, l3 in TRIPLES:
        block = clebsch_gordan(l1, l2, l3) / (2 * l3 + 1) ** 0.5
        other = clebsch_gordan(l3, l2, l1).transpose(0, 2) / (2 * l1 + 1) ** 0.5
        assert min((block - other).abs().max(), (block + other).abs().max()) < 1e-12


def sphere_integral(l):
    """Points and weights that integrate polynomials of degree l exactly over the sphere."""
    z, weight = np.polynomial.legendre.leggauss(l // 2 + 1)
    phi = np.linspace(0, 2 * np.pi, l + 1, endpoint=False)
    theta, phi = np.arccos(z), phi
    theta, phi = np.meshgrid(theta, phi, indexing="ij")
    return theta.ravel(), phi.ravel(), np.repeat(weight, l + 1) * 2 * np.pi / (l + 1)


def harmonics_at(theta, phi, l):
    points = [np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)]
    points = torch.from_numpy(np.stack(points, -1))
    return spherical_harmonics(points, l)[:, lm_slice(l)].numpy()


@pytest.mark.parametrize(
    "orders", [(1, 1, 0), (1, 1, 1), (1, 1, 2), (2, 1, 2), (2, 2, 3), (3, 2, 1), (3, 2, 4)]
)
def test_against_sympy(orders):
    """The real blocks are SymPy's complex ones between real harmonics, found by quadrature."""
    wigner = pytest.importorskip("sympy.physics.wigner")
    scipy_special = pytest.importorskip("scipy.special")
    basis = []
    for l in orders:
        theta, phi, weight = sphere_integral(2 * l)
        complex_values = np.stack(
            [scipy_special.sph_harm_y(l, m, theta, phi) for m in range(-l, l + 1)], 1
        )
        basis.append((harmonics_at(theta, phi, l) * weight[:, None]).T @ complex_values)
    l1, l2, l3 = orders
    block = np.zeros([2 * l + 1 for l in orders])
    for m1, m2 in product(range(-l1, l1 + 1), range(-l2, l2 + 1)):
        if abs(m1 + m2) <= l3:
            value = wigner.clebsch_gordan(l1, l2, l3, m1, m2, m1 + m2)
            block[l1 + m1, l2 + m2, l3 + m1 + m2] = float(value)
    # <q r| = Σ <q|m> ..., with <real|complex> = ∫ Y_real* Y_complex
    real = np.einsum("ai,bj,ck,ijk->abc", *(u.conj() for u in basis[:2]), basis[2], block)
    # a phase of the whole block is a convention
    part = real.real if np.abs(real.real).max() > np.abs(real.imag).max() else real.imag
    assert np.abs(np.abs(real) - np.abs(part)).max() < 1e-12
    ours = clebsch_gordan(*orders).numpy()
    assert min(np.abs(ours - part).max(), np.abs(ours + part).max()) < 1e-12


def test_gaunt_integrals():
    """∫ Y Y Y is proportional to the even blocks, and zero where l1 + l2 + l3 is odd."""
    for l1, l2, l3 in coupled_triples(3):
        theta, phi, weight = sphere_integral(l1 + l2 + l3)
        harmonics = (harmonics_at(theta, phi, l) for l in (l1, l2, l3))
        gaunt = np.einsum("p,pa,pb,pc->abc", weight, *harmonics)
        block = clebsch_gordan(l1, l2, l3).numpy()
        factor = (gaunt * block).sum() / (2 * l3 + 1)
        if (l1 + l2 + l3) % 2:
            assert np.abs(gaunt).max() < 1e-13
        else:
            assert abs(factor) > 1e-3
            np.testing.assert_allclose(gaunt, factor * block, rtol=0, atol=1e-13)


def test_cross_product():
    generator = torch.Generator().manual_seed(2)
    a, b = torch.randn(2, 3, generator=generator, dtype=torch.float64)
    yzx = [1, 2, 0]
    coupled = torch.einsum("i,j,ijk->k", a[yzx], b[yzx], clebsch_gordan(1, 1, 1))
    cross = torch.linalg.cross(a, b)[yzx] / 2**0.5
    assert min((coupled - cross).abs().max(), (coupled + cross).abs().max()) < 1e-14


@pytest.mark.parametrize("orders", [(0, 0, 1), (1, 3, 1), (2, 1, 4)])
def test_triangle_rule(orders):
    with pytest.raises(ValueError, match="breaks the triangle rule"):
        clebsch_gordan(*orders)


def test_blocks_are_not_shared_with_the_caller():
    clebsch_gordan(1, 1, 1).zero_()
    assert clebsch_gordan(1, 1, 1).abs().sum() > 1
    assert clebsch_gordan(2, 2, 2, dtype=torch.float32).dtype == torch.float32


def test_triples_of_the_paper():
    triples = coupled_triples(3)
    assert [sum(sum(t) % 2 == parity for t in triples) for parity in (0, 1)] == [23, 11]
    assert len(set(triples)) == len(triples)


def test_large_orders_are_quick_and_orthonormal():
    clebsch_gordan(1, 1, 1)
    start = time.perf_counter()
    block = clebsch_gordan(12, 11, 12)
    assert time.perf_counter() - start < 0.2
    gram = torch.einsum("xyz,xyw->zw", block, block)
    torch.testing.assert_close(gram, torch.eye(25).double(), rtol=0, atol=1e-12)
