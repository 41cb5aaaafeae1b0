"""NICE against integrals over rotations, plain density correlations, and brute force."""

from functools import cache
from itertools import pairwise, product
from math import cos, pi, sin

import numpy as np
import pytest
import torch
from ase import Atoms
from environments import CUTOFF, molecule
from pydantic import ValidationError

from atomplete.degenerate.families.registry import generate
from atomplete.descriptors import (
    NICE_COMPONENTS,
    Expansion,
    ExpansionSpec,
    Nice,
    NiceSpec,
    build,
    estimate,
)
from atomplete.descriptors.density.correlations import bispectrum_block, nu1, nu2
from atomplete.descriptors.equivariants import couple, couplings
from atomplete.descriptors.memory import OVERHEAD, LiveBytes
from atomplete.descriptors.nice import nice
from atomplete.descriptors.nice import sizes as nice_sizes
from atomplete.errors import InputError
from atomplete.o3 import coupled_triples, lm_slice, random_rotation, wigner_d
from atomplete.system import System
from atomplete.testing import assert_equivariant, permuted, rotated

BASIS = ExpansionSpec(max_radial=2, max_angular=2, species=(6,))
SMALL = BASIS.model_copy(update={"species": (5,)})


def carbon(seeds=range(4), n=6, **options):
    return System.from_atoms([molecule(s, n=n, symbols="C") for s in seeds], CUTOFF, **options)


def exactly(max_nu, expansion=BASIS):
    """All products, with all intermediate orders that the invariants need."""
    return NiceSpec(
        expansion=expansion,
        max_nu=max_nu,
        max_lambda=max_nu // 2 * expansion.max_angular,
        components=None,
        candidates=None,
    )


def turn(axis, angle):
    c, s = cos(angle), sin(angle)
    matrix = (
        [[c, -s, 0], [s, c, 0], [0, 0, 1]] if axis == "z" else [[c, 0, s], [0, 1, 0], [-s, 0, c]]
    )
    return torch.tensor(matrix, dtype=torch.float64)


def haar_kernels(rho_i, nu):
    """∫ dR <rho|R|rho'>^ν over SO(3) by Euler angles, in its parts even and odd under inversion.

    The integrand is a polynomial of degree ν·l_max in the matrix elements: equal angles and
    Gauss–Legendre points of that degree make the quadrature exact.
    """
    max_angular = round(rho_i.shape[2] ** 0.5) - 1
    degree = nu * max_angular
    angles = [2 * pi * k / (degree + 1) for k in range(degree + 1)]
    z, weights = np.polynomial.legendre.leggauss(degree // 2 + 1)
    integrals = []
    for inversion in (1, -1):
        overlap = 0
        for l in range(max_angular + 1):
            part = rho_i[:, :, lm_slice(l)]
            both = torch.einsum("iqm,jqn->ijmn", part, part) * inversion**l
            about_z = torch.stack([wigner_d(l, turn("z", angle)) for angle in angles])
            about_y = torch.stack([wigner_d(l, turn("y", np.arccos(x))) for x in z])
            overlap += torch.einsum("amp,bpq,cqn,ijmn->ijabc", about_z, about_y, about_z, both)
        integrals.append((overlap**nu).mean((2, 4)) @ torch.from_numpy(weights / 2))
    return {1: (integrals[0] + integrals[1]) / 2, -1: (integrals[0] - integrals[1]) / 2}


def invariants(descriptor, system):
    """(ν, σ) → (center, feature)."""
    values = descriptor(system).values
    return {
        (nu, sigma): values[:, (descriptor.nu == nu) & (descriptor.parity == sigma)]
        for nu, sigma in product(range(1, descriptor.spec.max_nu + 1), (1, -1))
    }


@pytest.mark.parametrize(("max_radial", "max_angular", "max_nu"), [(2, 1, 5), (2, 2, 4), (1, 3, 4)])
def test_without_contraction_inner_products_are_haar_integrals(max_radial, max_angular, max_nu):
    basis = ExpansionSpec(max_radial=max_radial, max_angular=max_angular, species=(6,))
    system = carbon(range(2))
    found = invariants(Nice(exactly(max_nu, basis)).fit([system]), system)
    for nu in range(1, max_nu + 1):
        kernels = haar_kernels(Expansion(basis).density(system), nu)
        for sigma, kernel in kernels.items():
            difference = found[nu, sigma] @ found[nu, sigma].T - kernel
            assert difference.abs().max() < 1e-12 * kernels[1].abs().max()
        if nu >= 4 and max_angular > 1:
            assert kernels[-1].abs().max() > 1e-6 * kernels[1].abs().max()


def test_intermediate_orders_that_are_left_out_are_missed():
    """The integral needs λ = 4 of two densities with l ≤ 2 at ν = 4: λ ≤ 2 is less."""
    system = carbon(range(2))
    spec = exactly(4).model_copy(update={"max_lambda": None})
    values = invariants(Nice(spec).fit([system]), system)[4, 1]
    missing = haar_kernels(Expansion(BASIS).density(system), 4)[1].diag() - values.square().sum(1)
    assert (missing > 1e-6 * values.square().sum(1)).all()


def test_first_orders_are_density_correlations():
    """Each multiset of factors comes as often as it has orders."""
    system = carbon()
    rho_i = Expansion(BASIS).density(system)
    found = invariants(Nice(exactly(3)).fit([system]), system)
    first, second = torch.triu_indices(2, 2)
    orders = (2.0 - (first == second).double()).repeat(3)
    bispectra = {1: 0.0, -1: 0.0}
    for l1, l2, l3 in coupled_triples(2):
        block = bispectrum_block(rho_i, l1, l2, l3).flatten(1) / (2 * l3 + 1) ** 0.5
        bispectra[(-1) ** (l1 + l2 + l3)] += block @ block.T
    expected = {
        (1, 1): nu1(rho_i) @ nu1(rho_i).T,
        (2, 1): nu2(rho_i) * orders @ nu2(rho_i).T,
        (3, 1): bispectra[1],
        (3, -1): bispectra[-1],
    }
    for key, kernel in expected.items():
        difference = found[key] @ found[key].T - kernel
        assert difference.abs().max() < 1e-12 * kernel.abs().max()


@pytest.mark.parametrize("components", [None, 0.99])
def test_every_block_is_equivariant(components):
    max_nu = 3 if components is None else 4
    basis = ExpansionSpec(max_radial=1, max_angular=2, species=(1, 6, 8))
    spec = NiceSpec(
        expansion=basis,
        max_nu=max_nu,
        max_lambda=3,
        components=components,
        candidates=components and 40,
    )
    system = System.from_atoms(molecule(0), CUTOFF)
    descriptor = Nice(spec).fit([system])
    seen = set()
    for nu, blocks in enumerate(descriptor.blocks(system)):
        for key, block in blocks.items():
            assert block.shape[2] == 2 * key[0] + 1
            if not block.numel() or block.abs().max() < 1e-9:
                continue
            seen.add((nu + 1, *key))
            assert_equivariant(
                lambda s, nu=nu, key=key: descriptor.blocks(s)[nu][key],
                system,
                o3_lambda=key[0],
                o3_sigma=key[1],
            )
    expected = {(nu, *key) for nu, keys in enumerate(spec.blocks(), 2) for key in keys}
    assert seen == expected | {(1, l, 1) for l in range(3)}
    assert {(3, 0, -1), (2, 1, -1)} <= seen
    assert (components is not None) == ((2, 3, 1) in seen)


@cache
def pair_of_b8():
    return System.from_atoms(generate("b8", 1), cutoff=2.0, centers="info")


def relative_differences(descriptor, system):
    """‖ξ(+) − ξ(−)‖ / ‖ξ(+)‖ of each order and parity."""
    norm = torch.linalg.vector_norm
    return {
        key: (norm(values[0] - values[1]) / norm(values[0])).item()
        for key, values in invariants(descriptor, system).items()
        if values.shape[1]
    }


@cache
def lossless_to_nu7():
    """Contracted without loss on the pair: its blocks have few independent components."""
    spec = NiceSpec(expansion=SMALL, max_nu=7, max_lambda=6, components=1.0, candidates=None)
    return Nice(spec).fit([pair_of_b8()])


def test_b8_to_nu7_is_the_haar_integral():
    """Blind to the pair up to ν = 3; beyond, the difference is that of the integrals."""
    differences = relative_differences(lossless_to_nu7(), pair_of_b8())
    rho_i = Expansion(SMALL).density(pair_of_b8())
    for (nu, sigma), difference in differences.items():
        if nu <= 3:
            assert difference < 1e-12
            continue
        kernel = haar_kernels(rho_i, nu)[sigma]
        square = kernel[0, 0] + kernel[1, 1] - 2 * kernel[0, 1]
        assert difference == pytest.approx((square / kernel[0, 0]).sqrt().item(), rel=1e-7)
        assert difference > 1e-4
    assert set(differences) >= {(nu, sigma) for nu in range(4, 8) for sigma in (1, -1)}


def test_b8_difference_at_nu7_is_stable():
    """The same to ten digits for rotated, reflected and permuted copies."""
    descriptor, system = lossless_to_nu7(), pair_of_b8()
    generator = torch.Generator().manual_seed(0)
    order = torch.cat([torch.arange(8).roll(3), 8 + torch.arange(8).roll(5)])
    expected = relative_differences(descriptor, system)
    for proper in (True, False):
        copy = permuted(rotated(system, random_rotation(generator, proper=proper)), order)
        found = relative_differences(descriptor, copy)
        for key in [(nu, sigma) for nu in range(4, 8) for sigma in (1, -1)]:
            assert found[key] == pytest.approx(expected[key], rel=1e-10)


def test_components_of_the_literature_keep_the_difference():
    training = System.from_atoms(generate("b8", 60), cutoff=2.0, centers="info")
    components = (*NICE_COMPONENTS[:2], NICE_COMPONENTS[2][::7])
    spec = NiceSpec(max_nu=4, components=components, candidates=300)
    differences = relative_differences(Nice(spec).fit([training]), pair_of_b8())
    assert all(differences[nu, 1] < 1e-12 for nu in (1, 2, 3))
    # with all components and λ ≤ 3: 1.04e-3 and 4.0e-2
    assert differences[4, 1] > 0.9e-3
    assert differences[4, -1] > 3.5e-2


def test_contraction_against_singular_values():
    """Each block holds as much of the products of its factors as any of that size can."""
    system = carbon()
    spec = NiceSpec(expansion=BASIS, max_nu=4, components=0.99, candidates=None)
    descriptor = Nice(spec).fit([system])
    orders = descriptor.blocks(system)
    density = orders[0]
    reports = iter(descriptor.kept)
    for nu, (before, after) in enumerate(pairwise(orders), 2):
        for key, block in after.items():
            report = next(reports)
            assert (report.nu, report.o3_lambda, report.o3_sigma) == (nu, *key)
            pairs = couplings(list(before), list(density), *key)
            products = torch.cat([couple(before[a], density[b], key[0]) for a, b in pairs], 1)
            squares = torch.linalg.svdvals(products.transpose(1, 2).flatten(0, 1)).square()
            assert report.products == report.candidates == products.shape[1]
            assert report.kept == block.shape[1]
            assert report.mean_square == pytest.approx(squares.sum().item() / len(block))
            torch.testing.assert_close(
                block.square().sum(), squares[: report.kept].sum(), rtol=1e-10, atol=0
            )
            lost = squares[report.kept :].sum() / squares.sum()
            assert report.lost == pytest.approx(lost.item(), abs=1e-12)
            # as few components as hold that much
            assert lost <= 0.01 < squares[report.kept - 1 :].sum() / squares.sum()


def test_the_largest_products_are_formed():
    system = carbon()
    spec = NiceSpec(expansion=BASIS, max_nu=3, components=1.0, candidates=25)
    descriptor = Nice(spec).fit([system])
    density, before, after = descriptor.blocks(system)
    report = [line for line in descriptor.kept if line.nu == 3]
    for (key, block), line in zip(after.items(), report, strict=True):
        scores, products = [], []
        for a, b in couplings(list(before), list(density), *key):
            rms = [part.square().mean((0, 2)).sqrt() for part in (before[a], density[b])]
            scores.append(torch.outer(*rms).flatten())
            products.append(couple(before[a], density[b], key[0]))
        largest = torch.cat(scores).argsort(descending=True)[:25]
        formed = torch.cat(products, 1)[:, largest]
        assert line.candidates == min(25, line.products)
        gram, expected = (
            torch.einsum("ifm,jfn->imjn", values, values) for values in (block, formed)
        )
        assert (gram - expected).abs().max() < 1e-10 * expected.abs().max()
        whole = torch.cat(products, 1).square().sum()
        assert line.not_formed == pytest.approx((1 - formed.square().sum() / whole).item())


def test_given_components_are_bounded_by_the_rank():
    components = ((3, 5, 2, 9, 0), (1000, 1))
    spec = NiceSpec(expansion=BASIS, max_nu=3, components=components)
    with_five = Nice(spec).fit([carbon(range(1), n=5)])
    kept = [line.kept for line in with_five.kept]
    # ρ_1 × ρ_1 and ρ_2 × ρ_2 of two channels, and five environments have five scalars
    assert kept == [3, 5, 2, 2, 0, 5, 1]
    assert len(with_five.parity) == 2 + 3 + 5 + 1
    assert with_five.nu.tolist() == [1] * 2 + [2] * 3 + [3] * 6
    assert with_five.parity.tolist() == [1] * 10 + [-1]


def test_more_components_lose_less():
    system = carbon(range(10, 13))
    lost = []
    for kept in (0.9, 0.99, 0.9999, 1.0):
        spec = NiceSpec(expansion=BASIS, components=kept, candidates=200)
        descriptor = Nice(spec).fit([carbon()])
        lost.append(sum(line.lost - line.not_formed for line in descriptor.kept))
        assert descriptor(system).values.isfinite().all()
    assert lost == sorted(lost, reverse=True)
    assert lost[-1] < 1e-9 < 0.1 < lost[0]


def test_state_dict_has_the_shapes_of_the_fit():
    spec = NiceSpec(expansion=BASIS, components=0.999, candidates=50)
    system = carbon(range(5, 7))
    fitted = Nice(spec).fit([carbon()])
    state = fitted.state_dict()
    for again in (build(spec), Nice(spec).fit([carbon(range(9), n=4)])):
        again.load_state_dict(state)
        assert torch.equal(again(system).values, fitted(system).values)
        assert torch.equal(again.parity, fitted.parity)
        assert again.kept == fitted.kept


def test_fit_is_to_a_drawn_subset_and_does_not_depend_on_chunks():
    system = carbon(range(6))
    spec = NiceSpec(expansion=BASIS, components=0.99, candidates=50, fit_environments=20)
    whole = Nice(spec).fit([system])
    chunks = [system.select_centers(start, start + 9) for start in range(0, 36, 9)]
    values = whole(system).values
    assert (Nice(spec).fit(chunks)(system).values - values).abs().max() < 1e-9
    everyone = Nice(spec.model_copy(update={"fit_environments": 36})).fit([system])
    few, many = (r.kept[0].mean_square for r in (whole, everyone))
    assert few != many
    squares = everyone.blocks(system)[1][0, 1].square().sum() / 36
    assert many * (1 - everyone.kept[0].lost) == pytest.approx(squares.item())


def test_a_second_fit_forgets_the_first():
    spec = NiceSpec(expansion=BASIS, components=0.999, candidates=50)
    once = Nice(spec).fit([carbon()])
    twice = Nice(spec).fit([carbon(range(1), n=4)])
    assert len(twice.parity) < len(once.parity)
    twice.fit([carbon()])
    state = once.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in twice.state_dict().items())


FITS = {
    "numbers": {"max_nu": 3, "components": ((5, 6, 7, 6, 7), (8, 2)), "candidates": 60},
    "a fraction": {"components": 0.999, "candidates": 60},
    "all products": {"max_nu": 3, "components": None, "candidates": None},
}


@pytest.mark.parametrize("options", FITS.values(), ids=FITS)
@pytest.mark.parametrize("fit_environments", [50, 1000])
def test_a_fit_holds_no_more_than_is_said(monkeypatch, options, fit_environments):
    """Beside 100 MB for work spaces, and constants that are cached; and not much less."""
    for module in (nice, nice_sizes):
        monkeypatch.setattr(module, "CHUNK_BYTES", 10**6)
    spec = NiceSpec(expansion=BASIS, fit_environments=fit_environments, **options)
    Nice(spec).fit([carbon()])
    descriptor, training = Nice(spec), [carbon(range(100))]
    with LiveBytes() as seen:
        descriptor.fit(training)
    said = Nice(spec).cost_of_fit(training).memory
    assert seen.peak <= said - OVERHEAD <= 5 * seen.peak


def test_a_fit_to_few_environments_holds_less():
    spec = NiceSpec(max_lambda=6, max_nu=7, components=1.0, candidates=None)
    few, many = (nice_sizes.fit_bytes(spec, n) for n in (2, 10))
    assert few < 0.2e9 < 2e9 < many


def test_a_fit_that_does_not_fit_the_memory_is_refused():
    spec = NiceSpec(expansion=BASIS, components=0.99, candidates=50)
    descriptor = Nice(spec)
    enough = descriptor.cost_of_fit([carbon()]).memory
    assert estimate(descriptor, carbon(), enough).memory == enough
    assert descriptor.fit([carbon()], memory=enough) is descriptor
    says = r"NICE to 24 environments takes up to 0\.17 GB, more than the 0\.17 GB allowed; keep"
    fresh = Nice(spec)
    for refused in (
        lambda: fresh.fit([carbon()], memory=enough - 1),
        lambda: estimate(fresh, carbon(), enough - 1),
    ):
        with pytest.raises(InputError, match=says):
            refused()
    assert not fresh.kept


def test_gradients():
    spec = NiceSpec(expansion=BASIS, components=0.99, candidates=40)
    descriptor = Nice(spec).fit([carbon()])
    system = carbon(range(1), centers=[0])
    vector = torch.linspace(-1, 1, len(descriptor.parity), dtype=torch.float64)

    def value(positions):
        return (descriptor(system.with_positions(positions)).values @ vector).sum()

    positions = system.positions.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(value(positions), positions)
    step = torch.zeros_like(system.positions)
    for atom, axis in ((0, 0), (1, 2), (3, 1)):
        step.zero_()[atom, axis] = 1e-5
        difference = (value(system.positions + step) - value(system.positions - step)) / 2e-5
        torch.testing.assert_close(gradient[atom, axis], difference, rtol=1e-6, atol=1e-8)


def test_it_must_be_fitted():
    with pytest.raises(InputError, match="must be fitted"):
        Nice(NiceSpec(expansion=BASIS))(carbon())
    with pytest.raises(ValueError, match="no environments"):
        Nice(NiceSpec(expansion=BASIS)).fit([System.from_atoms([], CUTOFF)])


def test_environments_without_neighbours_can_be_fitted_to():
    system = System.from_atoms([Atoms("C")] * 3, CUTOFF)
    descriptor = Nice(NiceSpec(expansion=BASIS, components=0.99, candidates=40)).fit([system])
    assert descriptor(carbon()).values.shape == (24, 2)
    assert all(line.kept == 0 and line.lost == 0.0 for line in descriptor.kept)


def test_what_is_kept_is_a_table():
    descriptor = Nice(NiceSpec(expansion=BASIS, max_nu=3, components=0.99)).fit([carbon()])
    lines = [str(kept) for kept in descriptor.kept]
    assert len(lines) == sum(map(len, descriptor.spec.blocks()))
    assert lines[0].startswith("ν=2 λ=0 σ=+1:     12 products,    12 formed,")
    assert "ν ≤ 3" in repr(descriptor)


def test_blocks_are_those_of_the_components_of_the_literature():
    spec = NiceSpec(max_nu=7, components=NICE_COMPONENTS)
    assert [len(keys) for keys in spec.blocks()] == [7, 8, 8, 8, 8, 2]
    # λ goes no further than can come back to 0
    assert max(key[0] for key in exactly(4).blocks()[0]) == 4
    assert max(key[0] for key in exactly(4).blocks()[1]) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"components": NICE_COMPONENTS}, r"\[7, 8, 8, 8, 8, 2\] blocks .* not of \[7, 8, 2\]"),
        ({"components": None}, "both or neither"),
        ({"components": 1.5}, "less than or equal to 1"),
        ({"components": ((1, 2), (-1,))}, "greater than or equal to 0"),
        ({"max_nu": 0}, "greater than or equal to 1"),
    ],
)
def test_specs_that_mean_nothing_are_refused(options, message):
    with pytest.raises(ValidationError, match=message):
        NiceSpec(**options)
