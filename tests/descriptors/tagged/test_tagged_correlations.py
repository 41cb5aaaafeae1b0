"""Correlations of N tagged and ν correlated neighbours: against featomic, and each other."""

from itertools import permutations

import numpy as np
import pytest
import torch
from environments import CUTOFF, crystal, molecule
from pydantic import ValidationError

from atomplete.descriptors import (
    Expansion,
    ExpansionSpec,
    TaggedCorrelations,
    TaggedCorrelationsSpec,
    ThreeCenter,
    ThreeCenterSpec,
)
from atomplete.descriptors.density.correlations import bispectrum_block, nu1, nu2
from atomplete.descriptors.tagged.rows import three_center_labels
from atomplete.radial import PolynomialCutoff
from atomplete.system import System
from atomplete.testing import assert_equivariant

BASIS = ExpansionSpec(max_radial=2, max_angular=2, species=(1, 6))
SMALL = ExpansionSpec(max_radial=1, max_angular=2, species=(6,))


def correlations(n_tagged, nu, basis=BASIS, **options):
    return TaggedCorrelations(
        TaggedCorrelationsSpec(n_tagged=n_tagged, nu=nu, expansion=basis, **options)
    )


@pytest.fixture
def system():
    return System.from_atoms([molecule(5, symbols="HC"), molecule(6, symbols="HC")], CUTOFF)


def summed(equivariants, key):
    """A block summed over the rows of each centre."""
    rows, block = equivariants.rows, equivariants.blocks[key]
    total = block.new_zeros(len(rows.center_structure), *block.shape[1:])
    return total.index_add(0, rows.center_of_row, block)


@pytest.mark.parametrize("nu", [1, 2, 3])
def test_density_correlations_against_featomic(nu):
    featomic = pytest.importorskip("featomic")
    metatensor = pytest.importorskip("metatensor")
    from featomic.clebsch_gordan import DensityCorrelations

    atoms = [molecule(6, symbols="C"), molecule(7, symbols="C")]
    density = featomic.SphericalExpansion(
        cutoff={"radius": CUTOFF, "smoothing": {"type": "ShiftedCosine", "width": 0.1}},
        density={"type": "Gaussian", "width": 0.2, "center_atom_weight": 0.0},
        basis={
            "type": "TensorProduct",
            "max_angular": 2,
            "radial": {"type": "Gto", "max_radial": 1},
            "spline_accuracy": None,
        },
    ).compute(atoms)
    density = density.keys_to_properties("neighbor_type")
    basis = ExpansionSpec(max_radial=2, max_angular=2, species=(6,))
    ours = correlations(0, nu, basis)
    system = System.from_atoms(atoms, CUTOFF)
    theirs = density
    if nu > 1:
        theirs = DensityCorrelations(
            n_correlations=nu - 1, max_angular=4, skip_redundant=False
        ).compute(density, angular_cutoff=2)
    theirs = metatensor.sort(theirs)
    orders, channels = ([f"{name}_{k}" for k in range(1, nu + 1)] for name in "ln")
    compared = 0
    for o3_lambda in range(3):
        equivariants = ours.equivariants(system, o3_lambda)
        for (_, sigma), block in equivariants.blocks.items():
            labels = equivariants.labels[o3_lambda, sigma].reshape(-1, nu, 3)
            for feature, label in enumerate(labels.tolist()):
                key = {"o3_lambda": o3_lambda, "o3_sigma": sigma, "center_type": 6}
                if nu > 1:
                    key |= dict(zip(orders, [l for _, l, _ in label], strict=True))
                if nu > 2:
                    key["k_2"] = label[1][2]
                reference = theirs.block(key)
                names = reference.properties.names
                radial = [k for k, name in enumerate(names) if name in ("n", *channels)]
                q = np.asarray(reference.properties.values)[:, radial]
                column = (q == [q for q, _, _ in label]).all(1)
                expected = torch.from_numpy(np.asarray(reference.values)[:, :, column][:, :, 0])
                # the phase of a Clebsch–Gordan block is a convention
                sign = torch.sign((expected * block[:, feature]).sum())
                torch.testing.assert_close(block[:, feature], sign * expected, rtol=0, atol=1e-9)
                assert expected.abs().max() > 1e-9
                compared += 1
    assert compared == sum(
        len(of_key) for l in range(3) for of_key in ours.equivariants(system, l).labels.values()
    )


def test_invariants_are_the_named_ones(system):
    rho_i = Expansion(BASIS).density(system)
    torch.testing.assert_close(correlations(0, 1)(system).values, nu1(rho_i), rtol=0, atol=0)
    ours = correlations(0, 2)
    features = ours(system)
    q1, l1, _, q2, l2, _ = ours.labels.T
    channels = torch.triu_indices(4, 4)
    place = {(l, *pair): l * 10 + k for l in range(3) for k, pair in enumerate(channels.T.tolist())}
    order = [place[label] for label in zip(l1.tolist(), q1.tolist(), q2.tolist(), strict=True)]
    assert torch.equal(l1, l2)
    assert sorted(order) == list(range(30))
    # C[l m; l m' | 0 0] is (−1)^l δ / √(2l + 1) for even parity of the basis
    direct = nu2(rho_i)[:, order]
    torch.testing.assert_close(features.values.abs(), direct.abs(), rtol=0, atol=1e-14)


def test_the_bispectrum_is_n0_nu3(system):
    rho_i = Expansion(BASIS).density(system)
    ours = correlations(0, 3)
    features = ours(system)
    labels = ours.labels.reshape(-1, 3, 3).tolist()
    # each multiset of (l, q) once
    multisets = {tuple(sorted((l, q) for q, l, _ in label)) for label in labels}
    assert len(multisets) == len(labels)
    for k, ((q1, l1, _), (q2, l2, _), (q3, l3, _)) in enumerate(labels):
        direct = bispectrum_block(rho_i, l1, l2, l3)[:, q1, q2, q3] / (2 * l3 + 1) ** 0.5
        torch.testing.assert_close(features.values[:, k].abs(), direct.abs(), rtol=0, atol=1e-14)
        assert features.parity[k] == (-1) ** (l1 + l2 + l3)
    # and the rest of the bispectrum vanishes or repeats one of them
    for l1, l2, l3 in {tuple(sorted(l for _, l, _ in label)) for label in labels}:
        for q1, q2, q3 in np.ndindex(4, 4, 4):
            if tuple(sorted([(l1, q1), (l2, q2), (l3, q3)])) not in multisets:
                assert bispectrum_block(rho_i, l1, l2, l3)[:, q1, q2, q3].abs().max() < 1e-14


def test_three_centre_descriptors_are_n2_nu1(system):
    ours = correlations(2, 1)
    features = ours(system)
    direct = ThreeCenter(ThreeCenterSpec(expansion=BASIS))(system)
    for name, column in direct.rows.items():
        assert torch.equal(features.rows[name], column)
    torch.testing.assert_close(features.weight, direct.weight, rtol=0, atol=0)
    place = {tuple(label): k for k, label in enumerate(three_center_labels(4, 2).tolist())}
    q3, l3, _, q1, l1, _, q2, l2, _ = ours.labels.T
    columns = [place[x] for x in zip(*(a.tolist() for a in (q1, l1, q2, l2, q3, l3)), strict=True)]
    assert sorted(columns) == list(range(len(place)))
    # C[l3 l1 | l2] / √(2 l2 + 1) is C[l1 l2 | l3] / √(2 l3 + 1) up to a phase
    expected = direct.values[:, columns] / (2.0 * l3.double() + 1) ** 0.5
    sign = torch.sign((features.values * expected).sum(0))
    torch.testing.assert_close(features.values, sign * expected, rtol=0, atol=1e-14)
    assert torch.equal(features.parity, direct.parity[columns])


@pytest.mark.parametrize("o3_lambda", [0, 1, 2])
@pytest.mark.parametrize("nu", [0, 1, 2])
def test_a_sum_over_the_tag_is_one_more_density(nu, o3_lambda, system):
    """Σ_i1 of N = 1 with ν is N = 0 with ν + 1, wherever the latter lists the feature."""
    tagged = correlations(1, nu).equivariants(system, o3_lambda)
    plain = correlations(0, nu + 1).equivariants(system, o3_lambda)
    for key, block in plain.blocks.items():
        place = {tuple(label): k for k, label in enumerate(tagged.labels[key].tolist())}
        columns = [place[tuple(label)] for label in plain.labels[key].tolist()]
        assert columns
        torch.testing.assert_close(summed(tagged, key)[:, columns], block, rtol=0, atol=1e-13)


@pytest.mark.parametrize("o3_lambda", [0, 1])
@pytest.mark.parametrize("nu", [0, 1])
def test_a_sum_over_both_tags_is_two_more_densities(nu, o3_lambda, system):
    tagged = correlations(2, nu).equivariants(system, o3_lambda)
    plain = correlations(0, nu + 2).equivariants(system, o3_lambda)
    for key, block in plain.blocks.items():
        place = {tuple(label): k for k, label in enumerate(tagged.labels[key].tolist())}
        columns = [place[tuple(label)] for label in plain.labels[key].tolist()]
        torch.testing.assert_close(summed(tagged, key)[:, columns], block, rtol=0, atol=1e-13)


@pytest.mark.parametrize("o3_lambda", [0, 1, 3])
def test_a_sum_over_the_second_tag_untags_it(o3_lambda, system):
    """Σ_i2 of N = 2, ν = 0 is N = 1, ν = 1 with its two factors exchanged."""
    two = correlations(2, 0).equivariants(system, o3_lambda)
    one = correlations(1, 1).equivariants(system, o3_lambda)
    first = {
        tuple(row): k for k, row in enumerate(torch.stack([*one.rows.rows.values()], 1).tolist())
    }
    pair = torch.tensor(
        [first[s, i, a] for s, i, a, _ in torch.stack([*two.rows.rows.values()], 1).tolist()]
    )
    for (_, sigma), block in two.blocks.items():
        total = torch.zeros_like(one.blocks[o3_lambda, sigma]).index_add(0, pair, block)
        labels = one.labels[o3_lambda, sigma].tolist()
        place = {(q2, l2, q1, l1): k for k, (q1, l1, _, q2, l2, _) in enumerate(labels)}
        columns = [
            place[q1, l1, q2, l2] for q1, l1, _, q2, l2, _ in two.labels[o3_lambda, sigma].tolist()
        ]
        # exchange of the factors of a Clebsch–Gordan block: (−1)^(l1 + l2 + λ), which is σ
        expected = sigma * one.blocks[o3_lambda, sigma][:, columns]
        torch.testing.assert_close(total, expected, rtol=0, atol=1e-13)


CASES = [(n, nu) for n in (0, 1, 2) for nu in (0, 1, 2, 3) if n + nu and n + nu <= 4]


@pytest.mark.parametrize(("n_tagged", "nu"), CASES)
def test_every_block_is_equivariant(n_tagged, nu):
    system = System.from_atoms([molecule(1, n=5), crystal((True, False, True))], CUTOFF)
    basis = ExpansionSpec(max_radial=1, max_angular=2, species=(1, 6, 8))
    if n_tagged + nu > 3:
        basis = basis.model_copy(update={"max_angular": 1})
    ours = correlations(n_tagged, nu, basis)
    seen = set()
    for o3_lambda in range(4):
        for key in ours.equivariants(system, o3_lambda).blocks:
            assert_equivariant(
                lambda s, key=key: ours.equivariants(s, key[0]).blocks[key],
                system,
                key[0],
                o3_sigma=key[1],
            )
            seen.add(key)
    # as soon as three factors meet, pseudoscalars exist
    assert ((0, -1) in seen) == (n_tagged + nu >= 3)


def test_a_larger_intermediate_order_adds_features():
    """Truncation is the only thing that max_lambda does."""
    system = System.from_atoms(molecule(2, symbols="C"), CUTOFF)
    few, many = (
        correlations(1, 3, SMALL, max_lambda=max_lambda).equivariants(system, 0)
        for max_lambda in (2, 4)
    )
    for key, block in few.blocks.items():
        place = {tuple(label): k for k, label in enumerate(many.labels[key].tolist())}
        columns = [place[tuple(label)] for label in few.labels[key].tolist()]
        assert len(place) > len(columns)
        torch.testing.assert_close(many.blocks[key][:, columns], block, rtol=0, atol=1e-14)


def test_tag_cutoff_limits_the_tags_and_not_the_density():
    atoms = molecule(3, n=8, symbols="C")
    system = System.from_atoms(atoms, CUTOFF)
    distances = atoms.get_all_distances()
    all_of, near = (correlations(1, 1, SMALL, tag_cutoff=r)(system) for r in (None, 1.4))
    pairs = [tuple(row) for row in torch.stack([near.rows["center"], near.rows["neighbor_1"]]).T]
    assert 0 < len(pairs) < len(all_of.values)
    assert len(pairs) == ((distances < 1.4) & (distances > 0)).sum()
    # well inside the tag cutoff a row is what it is without one: the density has not changed
    place = {
        (int(i), int(j)): k
        for k, (i, j) in enumerate(
            zip(all_of.rows["center"], all_of.rows["neighbor_1"], strict=True)
        )
    }
    inside = [k for k, (i, j) in enumerate(pairs) if distances[i, j] < 1.3]
    assert inside
    same = [place[int(pairs[k][0]), int(pairs[k][1])] for k in inside]
    torch.testing.assert_close(near.values[inside], all_of.values[same], rtol=0, atol=1e-14)


def test_a_neighbour_leaves_the_tag_cutoff_smoothly():
    basis = SMALL.model_copy(update={"cutoff_function": PolynomialCutoff(width=0.3)})
    ours = correlations(2, 1, basis, tag_cutoff=1.5)

    def total(r):
        atoms = molecule(4, n=5, symbols="C")
        direction = torch.tensor([0.6, 0.0, 0.8], dtype=torch.float64)
        moved = atoms[[0, 1, 2]]
        moved.append("C")
        moved.positions[3] = (r * direction).numpy()
        features = ours(System.from_atoms(moved, CUTOFF, centers=[0]))
        rows = features.weight[:, None] * torch.cos(features.values)
        return rows.sum(0)

    # value and first two differences stay small across the cutoff: of the order of the step
    h = 1e-4
    values = torch.stack([total(1.5 + k * h) for k in range(-3, 4)])
    first = values.diff(dim=0) / h
    second = first.diff(dim=0) / h
    assert values.diff(dim=0).abs().max() < 1e-6
    assert first.diff(dim=0).abs().max() < 1e-2
    assert second.diff(dim=0).abs().max() < 2.0
    assert (total(1.35) - total(1.6)).abs().max() > 1e-3


def test_nothing_to_describe_is_refused():
    with pytest.raises(ValidationError, match="cannot both be 0"):
        TaggedCorrelationsSpec(n_tagged=0, nu=0)


def test_permuted_factors_are_not_repeated():
    """No two features of a generic environment agree up to sign."""
    system = System.from_atoms(molecule(8, n=9, symbols="C"), CUTOFF)
    for n_tagged, nu in ((0, 3), (1, 2)):
        values = correlations(n_tagged, nu, SMALL)(system).values
        for a, b in permutations(range(values.shape[1]), 2):
            assert (values[:, a].abs() - values[:, b].abs()).abs().max() > 1e-12
