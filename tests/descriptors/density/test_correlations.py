"""Density correlations against sums over neighbours, featomic, and each other."""

from itertools import combinations_with_replacement, product

import numpy as np
import pytest
import torch
from environments import CUTOFF, molecule
from scipy.special import eval_legendre

from atomplete.descriptors import (
    DensityCorrelations,
    DensityCorrelationsSpec,
    Expansion,
    ExpansionSpec,
)
from atomplete.descriptors.density.correlations import bispectrum_block, nu1, nu2, nu3
from atomplete.o3 import clebsch_gordan, coupled_triples, lm_slice
from atomplete.system import System

BASIS = ExpansionSpec(max_radial=2, max_angular=2, species=(1, 6))


@pytest.fixture
def system():
    return System.from_atoms(molecule(5, symbols="HC"), CUTOFF)


@pytest.fixture
def rho_i(system):
    return Expansion(BASIS).density(system)


def test_nu1_is_a_sum_over_distances(system, rho_i):
    r = torch.linalg.vector_norm(system.r_ij, dim=1).numpy()
    radial = BASIS.radial.evaluate(r, cutoff=CUTOFF, max_radial=2, max_angular=0)[:, :, 0]
    x = np.clip((r - CUTOFF + 0.1) / 0.1, 0, 1)
    radial *= 0.5 * (1 + np.cos(np.pi * x))[:, None] / np.sqrt(4 * np.pi)
    expected = np.zeros((len(system.centers), 4))
    for pair, (i, j) in enumerate(zip(system.i.tolist(), system.j.tolist(), strict=True)):
        first = 2 * BASIS.species.index(int(system.species[j]))
        expected[i, first : first + 2] += radial[pair]
    np.testing.assert_allclose(nu1(rho_i).numpy(), expected, rtol=0, atol=1e-10)


def test_nu2_is_a_sum_over_pairs_of_neighbours(system, rho_i):
    """By the addition theorem: Σ_jk R_j R_k P_l(cos θ_jk) sqrt(2l+1)/4π, without harmonics."""
    r_ij = system.r_ij.numpy()
    r = np.linalg.norm(r_ij, axis=1)
    radial = BASIS.radial.evaluate(r, cutoff=CUTOFF, max_radial=2, max_angular=2)
    radial *= BASIS.cutoff_function(torch.from_numpy(r), CUTOFF).numpy()[:, None, None]
    features = nu2(rho_i).reshape(len(system.centers), 3, 10).numpy()
    channels = list(combinations_with_replacement(range(4), 2))
    expected = np.zeros_like(features)
    place = [BASIS.species.index(int(a)) for a in system.species[system.j]]
    for i in range(len(system.centers)):
        pairs = np.flatnonzero(system.i.numpy() == i)
        for a, b in product(pairs, repeat=2):
            cosine = np.clip(r_ij[a] @ r_ij[b] / (r[a] * r[b]), -1, 1)
            for l, (k, (p, q)) in product(range(3), enumerate(channels)):
                if p // 2 == place[a] and q // 2 == place[b]:
                    weight = np.sqrt(2 * l + 1) / (4 * np.pi) * eval_legendre(l, cosine)
                    expected[i, l, k] += radial[a, p % 2, l] * radial[b, q % 2, l] * weight
    np.testing.assert_allclose(features, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("symbols", "species"), [("B", (5,)), ("HC", (1, 6))])
def test_nu2_against_featomic(symbols, species):
    featomic = pytest.importorskip("featomic")
    atoms = molecule(6, symbols=symbols)
    soap = featomic.SoapPowerSpectrum(
        cutoff={"radius": CUTOFF, "smoothing": {"type": "ShiftedCosine", "width": 0.1}},
        density={"type": "Gaussian", "width": 0.2, "center_atom_weight": 0.0},
        basis={
            "type": "TensorProduct",
            "max_angular": 3,
            "radial": {"type": "Gto", "max_radial": 5},
            "spline_accuracy": None,
        },
    ).compute(atoms)
    spec = DensityCorrelationsSpec(nu=(2,), expansion=ExpansionSpec(species=species))
    ours = DensityCorrelations(spec)(System.from_atoms(atoms, CUTOFF)).values
    n = 6 * len(species)
    index = {pair: k for k, pair in enumerate(combinations_with_replacement(range(n), 2))}
    expected = torch.zeros(len(atoms), 4, len(index), dtype=torch.float64)
    for key, block in soap.items():
        one, two = (6 * species.index(int(key[f"neighbor_{k}_type"])) for k in (1, 2))
        # featomic keeps one of two equal blocks of different species, times sqrt(2); its
        # coupling to a scalar carries a sign (−1)^l
        factor = 1.0 if one == two else 2**-0.5
        centers = block.samples["atom"].tolist()
        values = torch.from_numpy(np.asarray(block.values))
        for k, (l, n1, n2) in enumerate(block.properties.values.tolist()):
            if (one + n1, two + n2) in index:
                expected[centers, l, index[one + n1, two + n2]] = (-1) ** l * factor * values[:, k]
    expected = expected.flatten(1)
    assert (ours - expected).abs().max() < 1e-10 * expected.abs().max()


def test_nu3_against_sums_over_components(rho_i):
    """Every invariant by explicit loops over m; each multiset of (q, l) is listed once."""
    values, parity = nu3(rho_i)
    expected, signs = [], []
    for l1, l2, l3 in coupled_triples(2):
        if not l1 <= l2 <= l3:
            continue
        odd = (l1 + l2 + l3) % 2
        coupling = clebsch_gordan(l1, l2, l3).tolist()
        for q1, q2, q3 in product(range(4), repeat=3):
            ordered = (l1, q1 + odd) <= (l2, q2) if l1 == l2 else True
            ordered &= (l2, q2 + odd) <= (l3, q3) if l2 == l3 else True
            if not ordered:
                continue
            total = 0.0
            for m1, m2, m3 in product(range(2 * l1 + 1), range(2 * l2 + 1), range(2 * l3 + 1)):
                if coupling[m1][m2][m3]:
                    a, b, c = (
                        rho_i[:, q, l * l + m]
                        for q, l, m in ((q1, l1, m1), (q2, l2, m2), (q3, l3, m3))
                    )
                    total = total + coupling[m1][m2][m3] * a * b * c
            expected.append(total)
            signs.append(-1 if odd else 1)
    assert parity.tolist() == signs
    torch.testing.assert_close(values, torch.stack(expected, 1), rtol=0, atol=1e-12)


def test_nu3_leaves_out_only_what_is_redundant(rho_i):
    """Every entry of every block is, up to a factor, one that is listed, or zero."""
    values, _ = nu3(rho_i)
    listed = [column for column in values.T if column.abs().max() > 1e-9]
    listed = torch.stack([column / torch.linalg.vector_norm(column) for column in listed], 1)
    for orders in coupled_triples(2):
        block = bispectrum_block(rho_i, *orders).flatten(1)
        for column in block[:, ::5].T:
            norm = torch.linalg.vector_norm(column)
            if norm > 1e-9:
                # parallel to a listed one
                assert (column / norm @ listed).abs().max() > 1 - 1e-9


def test_bispectrum_block_is_the_coupling(rho_i):
    for l1, l2, l3 in [(0, 1, 1), (1, 1, 2), (2, 1, 2), (1, 1, 1)]:
        expected = torch.einsum(
            "abc,iqa,ipb,irc->iqpr",
            clebsch_gordan(l1, l2, l3),
            *(rho_i[:, :, lm_slice(l)] for l in (l1, l2, l3)),
        )
        torch.testing.assert_close(
            bispectrum_block(rho_i, l1, l2, l3), expected, rtol=0, atol=1e-13
        )


def test_orders_side_by_side(system):
    parts = [
        DensityCorrelations(DensityCorrelationsSpec(nu=(nu,), expansion=BASIS)) for nu in (3, 1, 2)
    ]
    together = DensityCorrelations(DensityCorrelationsSpec(nu=(3, 1, 2), expansion=BASIS))
    values = torch.cat([part(system).values for part in parts], 1)
    assert torch.equal(together(system).values, values)
    assert torch.equal(together.parity, torch.cat([part.parity for part in parts]))


def test_sizes():
    """With the paper's basis; its 6 + 144 + 4968 scalars list every permutation of (q, l)."""
    parities = [DensityCorrelations(DensityCorrelationsSpec(nu=(nu,))).parity for nu in (1, 2, 3)]
    assert [int((parity > 0).sum()) for parity in parities] == [6, 84, 958]
    assert [int((parity < 0).sum()) for parity in parities] == [0, 0, 310]
