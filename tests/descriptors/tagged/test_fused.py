"""Linear functions of three-centre rows without the rows, against rows times weights."""

import pytest
import torch
from ase import Atoms
from environments import BASES, CUTOFF, SPECS, crystal, fitted, molecule, systems

from atomplete.descriptors import ExpansionSpec, ThreeCenter, ThreeCenterSpec, concatenate, split
from atomplete.descriptors.tagged import fused
from atomplete.descriptors.tagged.fused import FusedRows
from atomplete.system import System

THREE_CENTER = {name: spec for name, spec in SPECS.items() if isinstance(spec, ThreeCenterSpec)}
THREE_CENTER["tag_cutoff"] = ThreeCenterSpec(expansion=BASES["gto"], tag_cutoff=1.5)
SMALL = ThreeCenterSpec(expansion=ExpansionSpec(max_radial=2, max_angular=2, species=(1, 6, 8)))
SYSTEMS = systems()


def weights_for(descriptor, n_even=5, n_odd=3, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    sizes = [(int((descriptor.parity == s).sum()), n) for s, n in ((1, n_even), (-1, n_odd))]
    return [torch.randn(*size, generator=generator, dtype=dtype) for size in sizes]


def assert_alike(fused, explicit):
    """The same rows to rounding, with the same names, weights and parities."""
    assert explicit.values.abs().max() > 1e-3
    tolerance = 1e-12 * explicit.values.abs().max().item()
    torch.testing.assert_close(fused.values, explicit.values, rtol=0, atol=tolerance)
    assert fused.rows.keys() == explicit.rows.keys()
    for name, column in explicit.rows.items():
        assert torch.equal(fused.rows[name], column), name
    for name in ("parity", "center_of_row", "center_structure", "center_atom", "center_species"):
        assert torch.equal(getattr(fused, name), getattr(explicit, name)), name
    torch.testing.assert_close(fused.weight, explicit.weight)


@pytest.mark.parametrize("batch", SYSTEMS)
@pytest.mark.parametrize("name", THREE_CENTER)
def test_against_rows_times_weights(name, batch):
    descriptor, system = fitted(THREE_CENTER[name]), SYSTEMS[batch]
    even, odd = weights_for(descriptor)
    explicit = descriptor(system).project(even, odd)
    assert_alike(FusedRows(descriptor, even, odd)(system), explicit)


def test_these_systems_hold_what_could_go_wrong():
    counts = {name: set(system.neighbor_counts.tolist()) for name, system in SYSTEMS.items()}
    # none, fewer than there are components m1, and more than those of l = 3
    assert {0, 2, 3, 4} <= counts["molecules"]
    assert max(counts["crystals"]) > 7
    assert all(len(set(system.species.tolist())) == 3 for system in SYSTEMS.values())


@pytest.mark.parametrize("differentiable", [False, True])
@pytest.mark.parametrize("batch", SYSTEMS)
@pytest.mark.parametrize(("pairs", "numbers"), [(1, 1), (10, 100)])
def test_groups_of_pairs_change_nothing(pairs, numbers, batch, differentiable, monkeypatch):
    descriptor, system = ThreeCenter(SMALL), SYSTEMS[batch]
    even, odd = weights_for(descriptor)
    monkeypatch.setattr(fused, "PAIRS_IN_CACHE", pairs)
    monkeypatch.setattr(fused, "NUMBERS_IN_CACHE", numbers)
    explicit = descriptor(system).project(even, odd)
    with torch.set_grad_enabled(differentiable):
        assert_alike(FusedRows(descriptor, even, odd)(system), explicit)


def test_in_chunks():
    descriptor, system = ThreeCenter(SMALL), SYSTEMS["molecules"]
    even, odd = weights_for(descriptor)
    rows = FusedRows(descriptor, even, odd)
    parts = split(rows, system, chunk_bytes=4000)
    assert len(parts) > 3
    explicit = descriptor(system).project(even, odd)
    assert_alike(concatenate([rows(part) for part in parts]), explicit)


@pytest.mark.parametrize("spec", [
    SMALL.model_copy(update={"expansion": SMALL.expansion.model_copy(update={"max_angular": 0})}),
    SMALL.model_copy(update={"components": (6, 0)}),
], ids=["l=0", "components"])  # fmt: skip
def test_without_pseudoscalars(spec):
    descriptor, system = fitted(spec), SYSTEMS["molecules"]
    even, odd = weights_for(descriptor, n_odd=0)
    rows = FusedRows(descriptor, even, odd)(system)
    assert_alike(rows, descriptor(system).project(even, odd))
    assert rows.odd.shape[1] == 0


def test_isolated_atoms_have_no_rows():
    descriptor = ThreeCenter(SMALL)
    rows = FusedRows(descriptor, *weights_for(descriptor))
    alone = rows(System.from_atoms([Atoms("C"), Atoms("O")], CUTOFF))
    assert alone.values.shape == (0, 8)
    assert alone.center_structure.tolist() == [0, 1]
    assert rows(System.from_atoms([], CUTOFF)).values.shape == (0, 8)


def test_dtype_is_that_of_the_positions():
    descriptor = ThreeCenter(SMALL)
    even, odd = weights_for(descriptor)
    structures = [molecule(0), crystal()]
    single = System.from_atoms(structures, CUTOFF, dtype=torch.float32)
    rows = FusedRows(descriptor, even, odd)(single)
    assert rows.values.dtype == rows.weight.dtype == torch.float32
    explicit = descriptor(System.from_atoms(structures, CUTOFF)).project(even, odd)
    error = (rows.values - explicit.values).abs().max() / explicit.values.abs().max()
    assert 0 < error < 1e-5


def fused_values(system, descriptor):
    """Values as a function of positions and weights."""

    def values(positions, even, odd):
        return FusedRows(descriptor, even, odd)(system.with_positions(positions)).values

    return values


@pytest.mark.parametrize(
    "atoms", [molecule(1, n=3), molecule(4, n=6), crystal((True, False, False))]
)
def test_first_and_second_derivatives(atoms):
    basis = ExpansionSpec(max_radial=1, max_angular=1, species=(1, 6, 8))
    descriptor = ThreeCenter(ThreeCenterSpec(expansion=basis))
    system = System.from_atoms([atoms], CUTOFF, centers=[0])
    even, odd = (w.requires_grad_() for w in weights_for(descriptor, 2, 1))
    inputs = (system.positions.clone().requires_grad_(), even, odd)
    values = fused_values(system, descriptor)
    assert torch.autograd.gradcheck(values, inputs, fast_mode=True)
    assert torch.autograd.gradgradcheck(values, inputs, fast_mode=True)


def test_derivatives_are_those_of_the_rows():
    descriptor, system = ThreeCenter(SMALL), SYSTEMS["crystals"]
    even, odd = weights_for(descriptor)
    inputs = [t.clone().requires_grad_() for t in (system.positions, even, odd)]

    def explicit(positions, even, odd):
        return descriptor(system.with_positions(positions)).project(even, odd).values

    found, expected = (
        torch.autograd.grad(values(*inputs).pow(2).sum(), inputs)
        for values in (fused_values(system, descriptor), explicit)
    )
    for ours, theirs in zip(found, expected, strict=True):
        assert theirs.abs().max() > 1e-4
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-11 * theirs.abs().max().item())


def test_no_gradient_leaks_between_structures():
    descriptor, system = ThreeCenter(SMALL), SYSTEMS["molecules"]
    positions = system.positions.clone().requires_grad_()
    rows = FusedRows(descriptor, *weights_for(descriptor))(system.with_positions(positions))
    for own in (0, 2):
        total = rows.values[rows.rows["structure"] == own].pow(2).sum()
        gradient = torch.autograd.grad(total, positions, retain_graph=True)[0]
        assert (gradient[system.structure != own] == 0).all()
        assert gradient[system.structure == own].abs().max() > 1e-3
