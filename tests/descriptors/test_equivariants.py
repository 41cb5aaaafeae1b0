"""Products of equivariant blocks: complete, equivariant, and of the parities that are listed."""

from itertools import product

import pytest
import torch
from environments import CUTOFF, molecule

from atomplete.descriptors import Expansion, ExpansionSpec
from atomplete.descriptors.equivariants import blocks_of, blocks_of_order, couple, couplings
from atomplete.o3 import clebsch_gordan, random_rotation, wigner_d
from atomplete.system import System
from atomplete.testing import assert_equivariant

BASIS = ExpansionSpec(max_radial=2, max_angular=3, species=(6,))


def random(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def test_blocks_are_all_of_the_density():
    rho_i = random(4, 3, 16)
    blocks = blocks_of(rho_i)
    assert list(blocks) == [(0, 1), (1, 1), (2, 1), (3, 1)]
    assert torch.equal(torch.cat(list(blocks.values()), 2), rho_i)


@pytest.mark.parametrize(("l1", "l2"), [(0, 2), (1, 1), (2, 3)])
def test_couple_against_loops_over_components(l1, l2):
    left, right = random(2, 3, 2 * l1 + 1), random(2, 4, 2 * l2 + 1, seed=1)
    for o3_lambda in range(abs(l1 - l2), l1 + l2 + 1):
        block = clebsch_gordan(l1, l2, o3_lambda)
        coupled = couple(left, right, o3_lambda)
        assert coupled.shape == (2, 12, 2 * o3_lambda + 1)
        for a, b in product(range(3), range(4)):
            expected = torch.einsum("xyz,rx,ry->rz", block, left[:, a], right[:, b])
            torch.testing.assert_close(coupled[:, 4 * a + b], expected, rtol=0, atol=1e-13)


def test_all_orders_hold_the_whole_product():
    left, right = random(3, 2, 5), random(3, 4, 7, seed=1)
    parts = torch.cat([couple(left, right, o3_lambda) for o3_lambda in range(1, 6)], 2)
    squares = torch.einsum("rax,rby->rab", left**2, right**2).flatten(1)
    torch.testing.assert_close(parts.square().sum(2), squares, rtol=1e-12, atol=0)


def products(system, o3_lambda, o3_sigma):
    """Products of three densities, of that λ and σ."""
    density = blocks_of(Expansion(BASIS).density(system))
    blocks = density
    for keys in (list(product(range(4), (1, -1))), [(o3_lambda, o3_sigma)]):
        parts = {
            key: [
                couple(blocks[a], density[b], key[0])
                for a, b in couplings(list(blocks), list(density), *key)
            ]
            for key in keys
        }
        blocks = {key: torch.cat(found, 1) for key, found in parts.items() if found}
    return blocks[o3_lambda, o3_sigma]


@pytest.mark.parametrize("o3_sigma", [1, -1])
@pytest.mark.parametrize("o3_lambda", [0, 1, 2])
def test_listed_couplings_have_the_parity_that_they_are_listed_for(o3_lambda, o3_sigma):
    system = System.from_atoms(molecule(0, symbols="C"), CUTOFF)
    values = products(system, o3_lambda, o3_sigma)
    assert values.abs().max() > 1e-4
    assert_equivariant(
        lambda s: products(s, o3_lambda, o3_sigma),
        system,
        o3_lambda=o3_lambda,
        o3_sigma=o3_sigma,
    )


def test_every_coupling_is_listed_once():
    left, right = [(1, 1), (2, -1)], [(0, 1), (1, 1), (2, 1)]
    listed = [
        pair
        for o3_lambda in range(5)
        for sigma in (1, -1)
        for pair in couplings(left, right, o3_lambda, sigma)
    ]
    for a, b in product(left, right):
        assert listed.count((a, b)) == 2 * min(a[0], b[0]) + 1


def test_wigner_matrices_turn_the_product_of_turned_factors():
    rotation = random_rotation(torch.Generator().manual_seed(0), proper=True)
    left, right = random(1, 2, 3), random(1, 2, 5, seed=1)
    turned = couple(left @ wigner_d(1, rotation).T, right @ wigner_d(2, rotation).T, 3)
    expected = couple(left, right, 3) @ wigner_d(3, rotation).T
    torch.testing.assert_close(turned, expected, rtol=0, atol=1e-12)


def test_blocks_of_order():
    """The order of blocks in which the components of the literature are listed."""
    even = [(0, 1), (1, 1), (2, 1), (3, 1)]
    odd = [(1, -1), (2, -1), (3, -1)]
    assert blocks_of_order(1, 3, 3) == even
    assert blocks_of_order(2, 3, 3) == even + odd
    assert blocks_of_order(3, 3, 3) == [*even, *odd, (0, -1)]
    # two densities reach λ = 2 l only with σ = +1, and no pseudoscalar
    assert blocks_of_order(2, 1, 9) == [(0, 1), (1, 1), (2, 1), (1, -1)]
    assert blocks_of_order(4, 0, 3) == [(0, 1)]
    assert blocks_of_order(1, 2, 0) == [(0, 1), (1, 1), (2, 1)]
    assert blocks_of_order(2, 2, 0) == [(0, 1)]
