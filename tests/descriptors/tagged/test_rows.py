"""Three-centre rows against their definition, component by component."""

from itertools import product

import pytest
import torch
from ase import Atoms
from environments import CUTOFF, crystal, molecule

from atomplete.descriptors import (
    Expansion,
    ExpansionSpec,
    ThreeCenter,
    ThreeCenterSpec,
)
from atomplete.descriptors.density.correlations import bispectrum_block
from atomplete.descriptors.tagged import rows as tagged
from atomplete.descriptors.tagged.rows import neighbor_tuples, three_center, three_center_labels
from atomplete.o3 import clebsch_gordan
from atomplete.radial import ShiftedCosine
from atomplete.system import System

BASIS = ExpansionSpec(max_radial=2, max_angular=2, species=(1, 6, 8))
SMALL = ExpansionSpec(max_radial=2, max_angular=2, species=(6,))


def system_of(*structures, cutoff=CUTOFF):
    return System.from_atoms(list(structures), cutoff)


def rows_of(system, basis=SMALL):
    return ThreeCenter(ThreeCenterSpec(expansion=basis))(system)


@pytest.mark.parametrize("rows_at_once", [1, 10, 1000])
@pytest.mark.parametrize("differentiable", [False, True])
def test_against_loops_over_components(differentiable, rows_at_once, monkeypatch):
    monkeypatch.setattr(tagged, "ROWS_IN_CACHE", rows_at_once)
    structures = [molecule(0, n=4, symbols="C"), molecule(1, n=5, symbols="C"), Atoms("C")]
    system = system_of(*structures)
    counts = system.neighbor_counts.tolist()
    assert 0 in counts
    assert sorted(counts) != counts != sorted(counts, reverse=True)
    system = system.with_positions(system.positions.requires_grad_(differentiable))
    expansion = Expansion(SMALL)
    g_ij, rho_i = (t.detach() for t in (expansion.pairs(system), expansion.density(system)))
    features = rows_of(system)
    assert features.values.requires_grad == differentiable
    first, second = neighbor_tuples(system)
    labels = three_center_labels(2, 2).tolist()
    assert len({tuple(label) for label in labels}) == len(labels) == features.values.shape[1]
    expected = torch.zeros_like(features.values, requires_grad=False)
    for k, (q1, l1, q2, l2, q3, l3) in enumerate(labels):
        coupling = clebsch_gordan(l1, l2, l3).tolist()
        for m1, m2, m3 in product(range(2 * l1 + 1), range(2 * l2 + 1), range(2 * l3 + 1)):
            if coupling[m1][m2][m3]:
                expected[:, k] += (
                    coupling[m1][m2][m3]
                    * g_ij[first, q1, l1 * l1 + m1]
                    * g_ij[second, q2, l2 * l2 + m2]
                    * rho_i[system.i[first], q3, l3 * l3 + m3]
                )
    assert expected.abs().max() > 0.01
    torch.testing.assert_close(features.values.detach(), expected, rtol=0, atol=1e-12)


# PyTorch's own, when it first differentiates forward
@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
def test_forward_mode_derivatives():
    system = system_of(molecule(1, n=4, symbols="C"))
    v = torch.randn(system.positions.shape, generator=torch.Generator().manual_seed(0)).double()

    def values(positions):
        return rows_of(system.with_positions(positions)).values

    _, tangent = torch.func.jvp(values, (system.positions,), (v,))
    slope = (values(system.positions + 1e-5 * v) - values(system.positions - 1e-5 * v)) / 2e-5
    assert slope.abs().max() > 1e-3
    torch.testing.assert_close(tangent, slope, rtol=0, atol=1e-8)


@pytest.mark.parametrize("atoms", [molecule(2), crystal((True, False, True))], ids=["mol", "cell"])
def test_the_plain_sum_is_the_bispectrum(atoms):
    system = system_of(atoms)
    basis = BASIS.model_copy(update={"max_angular": 3})
    total = rows_of(system, basis).sum_over_neighbors()
    rho_i = Expansion(basis).density(system)
    labels = three_center_labels(basis.n_channels, 3)
    orders = labels[:, 1::2]
    for triple in orders.unique(dim=0):
        of_triple = (orders == triple).all(1)
        q1, q2, q3 = labels[of_triple][:, ::2].T
        block = bispectrum_block(rho_i, *triple.tolist())
        torch.testing.assert_close(total[:, of_triple], block[:, q1, q2, q3], rtol=0, atol=1e-10)


def test_rows_against_loops_over_neighbours():
    """Which rows there are, and what their labels say, by distances alone."""
    structures = [molecule(3), molecule(4, n=2), molecule(5, n=5)]
    features = rows_of(system_of(*structures), BASIS)
    expected = []
    for s, atoms in enumerate(structures):
        near = atoms.get_all_distances() < CUTOFF
        for i in range(len(atoms)):
            neighbors = [j for j in range(len(atoms)) if near[i, j] and j != i]
            expected += [(s, i, a, b) for a, b in product(neighbors, repeat=2)]
    columns = [features.rows[k] for k in ("structure", "center", "neighbor_1", "neighbor_2")]
    rows = [tuple(row) for row in torch.stack(columns, 1).tolist()]
    assert sorted(rows) == sorted(expected)
    # and rows of a centre follow one another, centres in order
    assert [row[:2] for row in rows] == sorted(row[:2] for row in rows)
    counts = [len(atoms) for atoms in structures]
    center = [sum(counts[:s]) + i for s, i, _, _ in rows]
    assert features.center_of_row.tolist() == center


@pytest.mark.parametrize("centers", [[2, 0], [1]])
def test_rows_of_selected_centres(centers):
    atoms = molecule(3)
    everyone = rows_of(System.from_atoms(atoms, CUTOFF), BASIS)
    some = rows_of(System.from_atoms(atoms, CUTOFF, centers=centers), BASIS)
    picked = torch.cat([(everyone.rows["center"] == c).nonzero()[:, 0] for c in centers])
    for name, column in some.rows.items():
        assert torch.equal(column, everyone.rows[name][picked])
    assert some.center_species.tolist() == atoms.numbers[centers].tolist()
    torch.testing.assert_close(some.values, everyone.values[picked], rtol=0, atol=1e-14)


def test_each_row_belongs_to_the_atoms_of_its_label():
    """A row is that of a molecule in which nothing but its three atoms is listed as tagged."""
    atoms = molecule(7, n=5)
    system = system_of(atoms)
    basis = BASIS
    expansion = Expansion(basis)
    rho_i = expansion.density(system)
    features = rows_of(system, basis)
    labels = torch.stack(list(features.rows.values()), 1).tolist()
    for row in (0, len(labels) // 2, len(labels) - 1):
        _, i, a, b = labels[row]
        trio = atoms[[i, a, b] if a != b else [i, a]]
        pairs = System.from_atoms(trio, CUTOFF, centers=[0])
        # all the neighbours in the density, only the tagged ones as pairs
        trio_rows = three_center(
            pairs,
            expansion.pairs(pairs),
            rho_i[[i]],
            cutoff=CUTOFF,
            cutoff_function=basis.cutoff_function,
        )
        match = (trio_rows.rows["neighbor_1"] == 1) & (
            trio_rows.rows["neighbor_2"] == (1 if a == b else 2)
        )
        torch.testing.assert_close(
            trio_rows.values[match][0], features.values[row], rtol=0, atol=1e-12
        )


def test_exchange_of_the_neighbours_permutes_the_features():
    features = rows_of(system_of(molecule(6, n=6)), BASIS)
    row_place = {
        tuple(r): k for k, r in enumerate(torch.stack(list(features.rows.values()), 1).tolist())
    }
    labels = [tuple(label) for label in three_center_labels(BASIS.n_channels, 2).tolist()]
    feature_place = {label: k for k, label in enumerate(labels)}
    rows = [row_place[s, i, b, a] for s, i, a, b in row_place]
    columns = [feature_place[q2, l2, q1, l1, q3, l3] for q1, l1, q2, l2, q3, l3 in labels]
    sign = torch.tensor([(-1) ** (l1 + l2 + l3) for _, l1, _, l2, _, l3 in labels])
    exchanged = features.values[rows][:, columns] * sign
    torch.testing.assert_close(features.values, exchanged, rtol=0, atol=1e-12)


def test_weights_are_products_of_cutoff_functions():
    atoms = molecule(8)
    function = ShiftedCosine(width=0.8)
    basis = BASIS.model_copy(update={"cutoff_function": function})
    features = rows_of(system_of(atoms), basis)
    distance = torch.from_numpy(atoms.get_all_distances())
    _, i, a, b = features.rows.values()
    expected = function(distance[i, a], CUTOFF) * function(distance[i, b], CUTOFF)
    torch.testing.assert_close(features.weight, expected, rtol=0, atol=1e-13)
    assert (expected < 0.9).any()


def test_collinear_neighbours_have_no_odd_features():
    """Tagged neighbours on a line with the centre: nothing tells left from right."""
    system = system_of(molecule(2, n=6, symbols="C"))
    features = rows_of(system)
    same = features.rows["neighbor_1"] == features.rows["neighbor_2"]
    assert features.odd[same].abs().max() < 1e-14
    assert features.odd[~same].abs().max() > 1e-3


def test_parity_counts_of_the_paper():
    parity = ThreeCenter(ThreeCenterSpec()).parity
    assert ((parity > 0).sum().item(), (parity < 0).sum().item()) == (23 * 216, 11 * 216)
