"""Gradients of rows against featomic, finite differences, and the rules of a moved frame."""

from dataclasses import replace
from itertools import combinations_with_replacement

import numpy as np
import pytest
import torch
from ase import Atoms
from environments import BASES, CUTOFF, SPECS, crystal, fitted, molecule

from atomplete.descriptors import (
    DensityCorrelations,
    DensityCorrelationsSpec,
    ExpansionSpec,
    TaggedCorrelationsSpec,
    ThreeCenterSpec,
    build,
    gradients,
)
from atomplete.descriptors.derivatives import gradients as gradients_module
from atomplete.descriptors.derivatives import pair_derivatives
from atomplete.descriptors.evaluate import cut
from atomplete.descriptors.memory import LiveBytes
from atomplete.errors import InputError
from atomplete.latents import EncoderSpec, Latent, LatentSpec
from atomplete.system import System

SMALL = BASES["gto"].model_copy(update={"max_radial": 1})
CASES = {
    "density_correlations": DensityCorrelationsSpec(expansion=SMALL),
    "three_center": ThreeCenterSpec(expansion=SMALL, tag_cutoff=1.7),
    "tagged_correlations": TaggedCorrelationsSpec(expansion=SMALL, n_tagged=1, nu=1),
    "contracted": ThreeCenterSpec(expansion=SMALL, radial_components=2, components=(10, 5)),
}


@pytest.fixture(scope="module", params=CASES)
def descriptor(request):
    return fitted(CASES[request.param])


@pytest.fixture(scope="module")
def system():
    """A molecule, a lone atom, and crystals whose atoms are neighbours of their own images."""
    batch = [
        molecule(1, n=4),
        Atoms("C"),
        molecule(1, n=4),
        crystal(),
        crystal((False, True, False)),
    ]
    for center, atoms in zip((2, 0, 1, 1, 0), batch, strict=True):
        atoms.info["center"] = center
    return System.from_atoms(batch, CUTOFF)


def close(actual, expected, tolerance):
    assert actual.shape == expected.shape
    assert (actual - expected).abs().max() <= tolerance * expected.abs().max()


def dense(result, system):
    """(row, atom of the batch, xyz, feature), zero where a row has no sample."""
    shape = len(result.values), len(system.positions), *result.positions.shape[1:]
    full = result.positions.new_zeros(shape)
    structure = result.rows["structure"][result.row]
    full[result.row, system.first_atom[structure] + result.atom] = result.positions
    return full


def of_cell(result, system):
    """The derivative with respect to the cell of one structure, at fixed positions."""
    moved = torch.einsum("ax,rayf->rxyf", system.positions, dense(result, system))
    inverse = torch.linalg.inv(system.cell[0])
    return torch.einsum("xv,rxyf->rvyf", inverse, result.strain - moved)


@pytest.mark.parametrize("atoms", [molecule(6), crystal()], ids=["molecule", "crystal"])
def test_against_featomic(atoms):
    featomic = pytest.importorskip("featomic")
    basis = ExpansionSpec(species=(1, 6, 8), max_radial=4, max_angular=3)
    soap = featomic.SoapPowerSpectrum(
        cutoff={"radius": CUTOFF, "smoothing": {"type": "ShiftedCosine", "width": 0.1}},
        density={"type": "Gaussian", "width": 0.2, "center_atom_weight": 0.0},
        basis={
            "type": "TensorProduct",
            "max_angular": 3,
            "radial": {"type": "Gto", "max_radial": 3},
            "spline_accuracy": None,
        },
    ).compute(atoms, gradients=["positions", "strain", "cell"])
    system = System.from_atoms(atoms, CUTOFF)
    result = gradients(build(DensityCorrelationsSpec(nu=(2,), expansion=basis)), system)
    pairs = combinations_with_replacement(range(12), 2)
    column = {(l, *pair): l * 78 + k for k, pair in enumerate(pairs) for l in range(4)}
    expected = {
        "positions": torch.zeros_like(dense(result, system)),
        "strain": torch.zeros_like(result.strain),
        "cell": torch.zeros_like(result.strain),
    }
    for key, block in soap.items():
        one, two = (4 * (1, 6, 8).index(int(key[f"neighbor_{k}_type"])) for k in (1, 2))
        # featomic keeps one of two equal blocks of different species, times sqrt(2), and its
        # coupling to a scalar carries a sign (−1)^l
        factor = 1.0 if one == two else 2**-0.5
        centers = block.samples["atom"]
        for k, (l, n1, n2) in enumerate(block.properties.values.tolist()):
            feature = column.get((l, one + n1, two + n2))
            if feature is None:
                continue
            sign = (-1) ** l * factor
            for name, target in expected.items():
                found = block.gradient(name)
                rows = (centers[found.samples["sample"]],)
                if name == "positions":
                    rows += (found.samples["atom"],)
                target[(*rows, ..., feature)] = sign * torch.from_numpy(found.values[..., k])
    close(dense(result, system), expected["positions"], 1e-9)
    close(result.strain, expected["strain"], 1e-9)
    if atoms.pbc.all():
        close(of_cell(result, system), expected["cell"], 1e-9)


def test_against_finite_differences(descriptor, system):
    """Of every atom, and of positions and cells together, by central differences."""
    result = gradients(descriptor, system)
    step = 1e-5

    def difference(positions, cell):
        ends = [
            descriptor(
                replace(
                    system,
                    positions=system.positions + sign * step * positions,
                    cell=system.cell + sign * step * cell,
                )
            ).values
            for sign in (1, -1)
        ]
        return (ends[0] - ends[1]) / (2 * step)

    moved = torch.zeros(*system.positions.shape, *result.values.shape, dtype=torch.float64)
    for atom in range(len(system.positions)):
        for xyz in range(3):
            direction = torch.zeros_like(system.positions)
            direction[atom, xyz] = 1.0
            moved[atom, xyz] = difference(direction, torch.zeros_like(system.cell))
    close(dense(result, system), moved.permute(2, 0, 1, 3), 1e-6)
    for a in range(3):
        for b in range(3):
            strain = torch.zeros(3, 3, dtype=torch.float64)
            strain[a, b] = 1.0
            expected = difference(system.positions @ strain, system.cell @ strain)
            close(result.strain[:, a, b], expected, 1e-6)


def test_the_cell_moves_what_is_at_fixed_fractional_coordinates(descriptor):
    """By the formula of the docstring, against the graph of positions and cell."""
    system = System.from_atoms(crystal(), CUTOFF, centers=[0])
    result = gradients(descriptor, system)
    generator = torch.Generator().manual_seed(0)
    probe = torch.randn(result.values.shape, generator=generator, dtype=torch.float64)
    inverse = torch.linalg.inv(system.cell[0])
    ours = inverse.T @ torch.einsum("rxyf,rf->xy", result.strain, probe)
    cell = system.cell.clone().requires_grad_()
    positions = system.positions @ inverse @ cell[0]
    values = descriptor(replace(system, positions=positions, cell=cell)).values
    close(ours, torch.autograd.grad((values * probe).sum(), cell)[0][0], 1e-12)


def test_a_moved_frame_changes_nothing(descriptor, system):
    """Sums over atoms vanish, and an infinitesimal rotation is no strain."""
    result = gradients(descriptor, system)
    total = result.positions.new_zeros(len(result.values), *result.positions.shape[1:])
    total.index_add_(0, result.row, result.positions)
    assert total.abs().max() < 1e-12 * result.positions.abs().max()
    asymmetry = result.strain - result.strain.transpose(1, 2)
    assert asymmetry.abs().max() < 1e-12 * result.strain.abs().max()


def test_in_a_molecule_strain_is_a_sum_over_atoms(descriptor):
    system = System.from_atoms(molecule(2, n=5), CUTOFF)
    result = gradients(descriptor, system)
    expected = torch.einsum("ax,rayf->rxyf", system.positions, dense(result, system))
    close(result.strain, expected, 1e-12)


def test_rows_keep_their_labels(descriptor, system):
    features = descriptor(system)
    result = gradients(descriptor, system)
    close(result.values, features.values, 1e-13)
    for name, column in features.rows.items():
        assert torch.equal(result.rows[name], column)
    # each row has the atoms of its centre's pairs, and its centre, once
    for row, center in enumerate(features.center_of_row.tolist()):
        atoms = {int(system.centers[center]), *system.j[system.i == center].tolist()}
        first = system.first_atom[features.rows["structure"][row]]
        assert (result.atom[result.row == row] + first).tolist() == sorted(atoms)


@pytest.mark.parametrize(
    "kind", [list, tuple, np.array, lambda rows: np.array(rows, np.int32), torch.tensor]
)
@pytest.mark.parametrize("rows", [[4, 1, 3], [2, 2, 0, 2], [], [1]])
def test_chosen_rows_come_in_the_order_given(descriptor, system, rows, kind):
    everything = gradients(descriptor, system)
    result = gradients(descriptor, system, kind(rows))
    if not rows:
        assert len(result.values) == len(result.positions) == len(result.strain) == 0
        return
    close(result.values, everything.values[rows], 1e-13)
    close(dense(result, system), dense(everything, system)[rows], 1e-13)
    close(result.strain, everything.strain[rows], 1e-13)
    for name, column in everything.rows.items():
        assert torch.equal(result.rows[name], column[rows])


def test_only_the_environment_of_a_row_is_computed(descriptor, system):
    seen = []
    hook = descriptor.register_forward_pre_hook(lambda _, systems: seen.extend(systems))
    try:
        result = gradients(descriptor, system, torch.tensor([0]))
    finally:
        hook.remove()
    assert all(len(part.centers) == 1 for part in seen)
    assert all(len(part.i) == int(system.neighbor_counts[0]) for part in seen)
    assert result.row.tolist() == [0] * (int(system.neighbor_counts[0]) + 1)


def test_chunks_and_batches_of_directions_do_not_show(descriptor, system, monkeypatch):
    results = []
    for chunk_bytes, together in ((1, 1), (2**30, 2**30)):
        monkeypatch.setattr(pair_derivatives, "TOGETHER_BYTES", together)
        results.append(gradients(descriptor, system, chunk_bytes=chunk_bytes))
    small, large = results
    assert torch.equal(small.row, large.row)
    assert torch.equal(small.atom, large.atom)
    close(small.values, large.values, 1e-13)
    close(small.positions, large.positions, 1e-12)
    close(small.strain, large.strain, 1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_is_kept(descriptor, dtype):
    atoms = molecule(1, n=4)
    exact = gradients(descriptor, System.from_atoms(atoms, CUTOFF))
    result = gradients(descriptor, System.from_atoms(atoms, CUTOFF, dtype=dtype))
    assert {result.values.dtype, result.positions.dtype, result.strain.dtype} == {dtype}
    close(result.positions.double(), exact.positions, 1e-4)
    close(result.strain.double(), exact.strain, 1e-4)


def test_neighbours_beyond_the_cutoff_are_no_samples(descriptor):
    distances = molecule(3).get_distances(3, range(7))
    near = (distances < CUTOFF).nonzero()[0].tolist()
    assert len(near) < 7
    totals = []
    for cutoff in (CUTOFF, 5.0):
        system = System.from_atoms(molecule(3), cutoff, centers=[3])
        result = gradients(descriptor, system)
        assert result.atom[result.row == 0].tolist() == near
        totals.append(dense(result, system).sum(0))  # pairs may be listed in another order
    close(totals[1], totals[0], 1e-12)


def test_the_surrounding_graph_does_not_matter(descriptor, system):
    expected = gradients(descriptor, system)
    positions = system.positions.clone().requires_grad_()
    with torch.no_grad():
        result = gradients(descriptor, system.with_positions(positions))
    assert torch.equal(result.positions, expected.positions)
    assert not result.positions.requires_grad
    assert not result.values.requires_grad


@pytest.mark.parametrize("structures", [[Atoms("C")], []])
def test_nothing_to_differentiate(descriptor, structures):
    result = gradients(descriptor, System.from_atoms(structures, CUTOFF))
    n_features = len(descriptor.parity)
    n_rows = len(structures) if isinstance(descriptor, DensityCorrelations) else 0
    assert result.positions.shape == (n_rows, 3, n_features)
    assert result.strain.shape == (n_rows, 3, 3, n_features)
    assert not result.positions.any()


def test_a_mask_and_a_range_choose_rows(descriptor, system):
    n_rows = int(descriptor.rows_per_center(system).sum())
    mask = np.arange(n_rows) % 2 == 1
    expected = gradients(descriptor, system, list(range(1, n_rows, 2)))
    for rows in (mask, mask.tolist(), torch.tensor(mask), range(1, n_rows, 2)):
        result = gradients(descriptor, system, rows)
        assert torch.equal(result.values, expected.values)
        assert torch.equal(result.positions, expected.positions)


@pytest.mark.parametrize("row", [-1, 10**6])
def test_a_row_that_does_not_exist_is_refused(descriptor, system, row):
    n_rows = int(descriptor.rows_per_center(system).sum())
    with pytest.raises(InputError, match=f"row {row} of {n_rows} rows"):
        gradients(descriptor, system, torch.tensor([0, row]))


def test_pairs_listed_with_a_shorter_cutoff_are_refused(descriptor):
    other = System.from_atoms(molecule(3), CUTOFF - 0.5)
    with pytest.raises(InputError, match=r"pairs were listed up to .* Å, not"):
        gradients(descriptor, other)


@pytest.mark.parametrize("atoms", [molecule(3), crystal()], ids=["molecule", "crystal"])
def test_a_descriptor_without_an_expansion_is_differentiated_in_its_vectors(atoms):
    descriptor = Latent(LatentSpec(rows=SPECS["pair-gto"], encoder=EncoderSpec(latent=(3, 2))))
    descriptor.feature_scale.fill_(1.0)  # as if it had been trained
    system = System.from_atoms(atoms, CUTOFF)
    found = gradients(descriptor, system)
    x = system.positions.clone().requires_grad_()
    values = descriptor(system.with_positions(x)).values
    for row in range(len(values)):
        for feature in range(values.shape[1]):
            (expected,) = torch.autograd.grad(values[row, feature], x, retain_graph=True)
            of_row = found.row == row
            dense = torch.zeros_like(expected)
            dense[found.atom[of_row]] = found.positions[of_row, :, feature]
            torch.testing.assert_close(dense, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["bispectrum-gto", "pair-gto", "nice-gto"])
def test_chunks_are_cut_by_a_bound_on_their_memory(name, monkeypatch):
    needs = []

    def recorded(system, need, chunk_bytes):
        needs.append(int(need.sum()))
        return cut(system, need, chunk_bytes)

    monkeypatch.setattr(gradients_module, "cut", recorded)
    descriptor, system = fitted(SPECS[name]), System.from_atoms(molecule(3), CUTOFF)
    gradients(descriptor, system)  # what is cached is not of a chunk
    with LiveBytes() as seen:
        gradients(descriptor, system, chunk_bytes=2**40)
    assert needs[-1] / 5 < seen.peak < needs[-1]
