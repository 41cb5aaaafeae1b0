"""The record of atoms and pairs against ASE's neighbour list, and what it refuses."""

from dataclasses import replace
from itertools import pairwise

import ase
import numpy as np
import pytest
import torch
from ase.neighborlist import primitive_neighbor_list
from hypothesis import given, settings
from hypothesis import strategies as st

from atomplete.audit import subject_of
from atomplete.audit.resolution.local_table import resolution_rows
from atomplete.config import descriptor_spec
from atomplete.degenerate.congruence.congruence import congruence_distance
from atomplete.degenerate.congruence.environment import environment, extent
from atomplete.degenerate.random_structures import random_like
from atomplete.descriptors import ExpansionSpec, TaggedCorrelationsSpec, ThreeCenterSpec
from atomplete.errors import InputError
from atomplete.potentials.tight_binding.pair_features import PairBasisSpec
from atomplete.system import System, center_of

CELL = [(1.8, 0.0, 0.0), (0.4, 1.9, 0.0), (0.3, -0.2, 2.1)]


def cell(pbc=True, n=3, seed=0):
    rng = np.random.default_rng(seed)
    while True:
        atoms = ase.Atoms(f"C{n}", scaled_positions=rng.uniform(size=(n, 3)), cell=CELL, pbc=pbc)
        pairs = primitive_neighbor_list("d", atoms.pbc, atoms.cell, atoms.positions, 0.3)
        if not len(pairs):
            return atoms


def grain(n, seed=0):
    """Atoms on a disturbed lattice, none nearer than 0.4 Å to another."""
    rng = np.random.default_rng(seed)
    lattice = np.stack(np.meshgrid(*[np.arange(4.0)] * 3), -1).reshape(-1, 3)
    sites = rng.permutation(lattice)[:n]
    return ase.Atoms(f"C{n}", 1.4 * sites + rng.uniform(-0.5, 0.5, (n, 3)))


@settings(max_examples=25, deadline=None)
@given(
    pbc=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    n=st.integers(1, 4),
    cutoff=st.floats(0.5, 4.0),
    seed=st.integers(0, 1000),
)
def test_pairs_are_those_of_ase(pbc, n, cutoff, seed):
    atoms = cell(pbc, n, seed)
    system = System.from_atoms(atoms, cutoff)
    i, j, shift, vectors = primitive_neighbor_list(
        "ijSD", atoms.pbc, atoms.cell, atoms.positions, cutoff
    )
    expected = {(a, b, *s): v for a, b, s, v in zip(i, j, shift.tolist(), vectors, strict=True)}
    ours = zip(
        system.centers[system.i].tolist(),
        system.j.tolist(),
        system.shift.long().tolist(),
        system.r_ij.numpy(),
        strict=True,
    )
    found = {(a, b, *s): v for a, b, s, v in ours}
    assert set(found) == set(expected)
    for pair, vector in found.items():
        np.testing.assert_allclose(vector, expected[pair], rtol=0, atol=1e-12)
    assert (system.i.diff() >= 0).all()


def test_batches_put_structures_side_by_side():
    structures = [cell(n=3), ase.Atoms("H"), cell(False, n=4), cell((True, False, False), n=2)]
    system = System.from_atoms(structures, 2.0)
    assert repr(system).startswith("System(4 structures, 10 atoms, 10 centers, ")
    assert system.first_atom.tolist() == [0, 3, 4, 8]
    assert system.structure.tolist() == [0, 0, 0, 1, 2, 2, 2, 2, 3, 3]
    start = 0
    for atoms, first in zip(structures, system.first_atom.tolist(), strict=True):
        alone = System.from_atoms(atoms, 2.0)
        part = slice(start, start + len(alone.i))
        assert torch.equal(system.i[part], alone.i + first)
        assert torch.equal(system.j[part], alone.j + first)
        assert torch.equal(system.r_ij[part], alone.r_ij)
        start += len(alone.i)
    assert start == len(system.i)
    counts = torch.tensor([(system.i == k).sum() for k in range(10)])
    assert torch.equal(system.neighbor_counts, counts)


@settings(max_examples=12, deadline=None)
@given(
    n=st.integers(2, 60),
    cutoff=st.floats(0.5, 9.0),
    seed=st.integers(0, 1000),
    copies=st.integers(1, 3),
)
def test_pairs_of_molecules_are_those_of_ase(n, cutoff, seed, copies):
    """Structures of equal and of different sizes, small and large, taken together."""
    batch = [grain(size, seed + k) for k, size in enumerate([n] * copies + [3, 55, 3])]
    system = System.from_atoms(batch, cutoff)
    first = system.first_atom.tolist()
    expected = []
    for start, atoms in zip(first, batch, strict=True):
        i, j = primitive_neighbor_list("ij", atoms.pbc, np.eye(3), atoms.positions, cutoff)
        expected += sorted(zip((i + start).tolist(), (j + start).tolist(), strict=True))
    found = zip(system.centers[system.i].tolist(), system.j.tolist(), strict=True)
    assert sorted(found) == expected
    assert (system.i.diff() >= 0).all()
    assert not system.shift.any()


@pytest.mark.parametrize("n", [1, 2])
def test_derivatives_of_pair_vectors(n):
    system = System.from_atoms([cell(), cell((True, False, True), seed=3)][:n], 2.0)

    def vectors(positions, cells):
        return replace(system, positions=positions, cell=cells).r_ij

    inputs = [t.clone().requires_grad_() for t in (system.positions, system.cell)]
    assert torch.autograd.gradcheck(vectors, inputs)


@pytest.mark.parametrize("centers", ["all", "info", [0, 2], [2, 1]])
def test_centres(centers):
    structures = [cell(seed=s) for s in range(3)]
    for index, atoms in enumerate(structures):
        atoms.info["center"] = index
    system = System.from_atoms(structures, 2.0, centers=centers)
    chosen = {"all": [0, 1, 2, 3, 4, 5, 6, 7, 8], "info": [0, 4, 8]}
    expected = (
        chosen[centers]
        if isinstance(centers, str)
        else [3 * s + c for s in range(3) for c in centers]
    )
    assert system.centers.tolist() == expected
    everyone = System.from_atoms(structures, 2.0, centers="all")
    for k, atom in enumerate(expected):
        ours = system.r_ij[system.i == k]
        theirs = everyone.r_ij[everyone.i == atom]
        assert torch.equal(ours, theirs)


def test_centers_that_structures_are_made_for():
    structures = [cell(), cell(seed=1)]
    structures[0].info["center"] = 1
    assert System.centers_of(structures[:1]) == "info"
    assert System.centers_of(structures) == System.centers_of([]) == "all"
    with pytest.raises(InputError, match="structure 1: no 'center' in its info"):
        System.from_atoms(structures, 2.0, centers="info")


def test_runs_of_centres():
    system = System.from_atoms([cell(), ase.Atoms("H"), cell(seed=1)], 2.0)
    bounds = [0, 2, 2, 5, 7]
    parts = [system.select_centers(*bound) for bound in pairwise(bounds)]
    assert [len(part.centers) for part in parts] == [2, 0, 3, 2]
    assert torch.equal(torch.cat([part.r_ij for part in parts]), system.r_ij)
    for part, start in zip(parts, bounds, strict=False):
        atoms = part.centers[part.i]
        assert torch.equal(atoms, system.centers[part.i + start])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype(dtype):
    system = System.from_atoms(cell(), 2.0, dtype=dtype)
    assert system.r_ij.dtype == dtype
    assert system.positions.dtype == system.cell.dtype == torch.float64


def test_single_precision_far_from_the_origin():
    """Vectors are those near the origin to the last digit that positions keep."""
    near = System.from_atoms(cell(n=4), 2.0, dtype=torch.float32)
    far = near.with_positions(near.positions + 1e5)
    torch.testing.assert_close(near.r_ij, far.r_ij, rtol=3e-7, atol=1e-9)


def mixed():
    structures = [cell(n=3), ase.Atoms("H"), cell(False, n=4), cell((True, False, False), n=2)]
    for number, atoms in enumerate(structures):
        atoms.info["center"] = len(atoms) - 1
        atoms.numbers[:] = number + 1
    return structures


@pytest.mark.parametrize("centers", ["all", "info"])
def test_join_and_select_structures(centers):
    structures = mixed()
    together = System.from_atoms(structures, 2.0, centers=centers)
    each = [System.from_atoms(atoms, 2.0, centers=centers) for atoms in structures]
    same(System.join([System.join(each[:2]), *each[2:]]), together)
    for chosen in ([2, 0], [1], [3, 3, 1], []):
        expected = System.from_atoms([structures[k] for k in chosen], 2.0, centers=centers)
        same(together.select_structures(torch.tensor(chosen, dtype=torch.long)), expected)


def same(system, expected):
    for name, value in vars(expected).items():
        found = getattr(system, name)
        assert torch.equal(found, value) if torch.is_tensor(value) else found == value, name


def test_systems_of_different_cutoffs_are_not_joined():
    with pytest.raises(InputError, match="one cutoff"):
        System.join([System.from_atoms(cell(), cutoff) for cutoff in (2.0, 2.1)])


def test_strain():
    atoms = mixed()
    strain = torch.from_numpy(np.random.default_rng(0).normal(size=(4, 3, 3))) * 0.01
    strained = System.from_atoms(atoms, 2.0).strained(strain)
    for structure, change in zip(atoms, np.eye(3) + strain.numpy(), strict=True):
        structure.positions = structure.positions @ change.T
        structure.set_cell(structure.cell.array @ change.T)
    expected = System.from_atoms(atoms, 3.0)
    torch.testing.assert_close(strained.positions, expected.positions)
    torch.testing.assert_close(strained.cell, expected.cell)


def test_moving_to_another_type_and_device():
    system = System.from_atoms(cell(), 2.0)
    assert system.to(torch.float32).r_ij.dtype == torch.float32
    moved = system.to("meta")
    assert {value.device.type for value in vars(moved).values() if torch.is_tensor(value)} == {
        "meta"
    }


def test_fewer_pairs():
    system = System.from_atoms(cell(), 2.0)
    near = system.within(1.5)
    expected = System.from_atoms(cell(), 1.5)
    assert near.cutoff == 1.5
    assert torch.equal(near.neighbor_counts, expected.neighbor_counts)


def test_no_structures_and_no_atoms():
    assert repr(System.from_atoms([], 2.0)) == "System(0 structures, 0 atoms, 0 centers, 0 pairs)"
    empty = System.from_atoms([ase.Atoms(), cell()], 2.0)
    assert empty.first_atom.tolist() == [0, 0]
    assert empty.r_ij.shape[1] == 3


def bad(positions=((0, 0, 0), (0, 0, 1.0)), **options):
    return [cell(), ase.Atoms(f"C{len(positions)}", positions, **options)]


@pytest.mark.parametrize(
    ("structures", "options", "message"),
    [
        (bad([(0, 0, 0), (0, np.nan, 1)]), {}, "structure 1: position of atom 1 is not finite"),
        (bad([(np.inf, 0, 0), (0, 0, 1)]), {}, "structure 1: position of atom 0 is not finite"),
        (bad([(0, 0, 1), (0, 0, 1)]), {}, "structure 1: atoms 0 and 1 coincide"),
        (
            [cell(), grain(5), *bad([(0, 0, 1), (0, 2, 0), (0, 0, 1)])],
            {},
            "structure 3: atoms 0 and 2",
        ),
        ([grain(60) + ase.Atoms("C", [grain(60).positions[7]])], {}, "structure 0: atoms 7 and 60"),
        (bad([(0, 0, 0), (0, 0, 3)], cell=[9, 9, 3], pbc=True), {}, "atoms 0 and 1 coincide"),
        (bad(pbc=True), {}, "structure 1: periodic, but a cell vector is missing"),
        (bad(pbc=[1, 0, 0], cell=[0, 2, 2]), {}, "structure 1: periodic, but a cell vector"),
        (bad(pbc=True, cell=[(2, 0, 0), (4, 0, 0), (0, 0, 2)]), {}, "structure 1: .*no volume"),
        (
            bad(pbc=True, cell=[(2, 0, 0), (0, np.nan, 0), (0, 0, 2)]),
            {},
            "structure 1: .*no volume",
        ),
        ([ase.Atoms("B", info={"center": "x"})], {"centers": "info"}, "structure 0: .*'x'"),
        ([ase.Atoms("B", info={"center": True})], {"centers": "info"}, "structure 0: .*True"),
        (bad(), {"centers": [2]}, "structure 1: center 2 of 2 atoms"),
        (bad(), {"centers": [-1]}, "structure 0: center -1 of 3 atoms"),
        (bad(), {"centers": [1, 1]}, "structure 0: .*center 1"),
    ],
)
def test_unusable_input_is_refused(structures, options, message):
    with pytest.raises(InputError, match=message):
        System.from_atoms(structures, 2.0, **options)


def test_a_cell_without_periodicity_is_ignored():
    atoms = cell(False)
    with_cell = System.from_atoms(atoms, 2.0)
    atoms.cell = None
    without = System.from_atoms(atoms, 2.0)
    assert torch.equal(with_cell.r_ij, without.r_ij)
    assert not with_cell.shift.any()


def test_a_slab_needs_no_third_cell_vector():
    slab = cell((True, True, False))
    thick = System.from_atoms(slab, 3.0)
    slab.cell[2] = 0
    thin = System.from_atoms(slab, 3.0)
    vectors = [np.unique(s.r_ij.numpy().round(9), axis=0) for s in (thin, thick)]
    np.testing.assert_allclose(*vectors, rtol=0, atol=1e-8)
    assert len(thin.i) == len(thick.i)


@pytest.mark.parametrize("cutoff", [0.0, -1.0, np.nan, np.inf])
def test_a_cutoff_is_a_length(cutoff):
    with pytest.raises(InputError, match="cutoff"):
        System.from_atoms(cell(), cutoff)


@pytest.mark.parametrize("center", ["C1", "T", [0.0, 0.2, 0.3], True, np.True_, 1.7, 1.0, -1, 3])
def test_a_center_with_another_meaning_is_refused_wherever_it_is_read(center):
    atoms = ase.Atoms("OH2", [(0, 0, 0), (0, 0, 1), (0, 1, 0)], info={"center": center})
    for read in (
        lambda: System.from_atoms(atoms, 2.0, centers="info"),
        lambda: center_of(atoms),
        lambda: environment(atoms, 2.0),
        lambda: extent(atoms, "environment"),
        lambda: congruence_distance(atoms, atoms, level="environment"),
        lambda: random_like(atoms, "environment", np.random.default_rng(0)),
        lambda: resolution_rows(subject_of("power_spectrum"), [atoms], level="environment"),
    ):
        with pytest.raises(InputError, match=r"no atom's number|center -?\d of 3 atoms"):
            read()


@pytest.mark.parametrize("cutoff", [1e-9, 1e-3, 0.0, -2.0, 1e5, np.nan, np.inf])
def test_one_sentence_for_cutoffs_that_are_none(cutoff):
    sentence = r"the cutoff .* Å is not a length from 0\.001 to 10000 Å"
    system = System.from_atoms(cell(), 3.0)
    for refused in (
        lambda: System.from_atoms(cell(), cutoff),
        lambda: system.within(cutoff),
        lambda: ExpansionSpec(cutoff=cutoff),
        lambda: ThreeCenterSpec(tag_cutoff=cutoff),
        lambda: TaggedCorrelationsSpec(tag_cutoff=cutoff),
        lambda: PairBasisSpec(cutoff=cutoff),
        lambda: descriptor_spec("power_spectrum", cutoff=cutoff),
    ):
        with pytest.raises(ValueError, match=sentence):
            refused()


@pytest.mark.parametrize(
    "centers",
    [
        (3, 1),
        np.array([3, 1]),
        np.array([3, 1], dtype=np.uint8),
        torch.tensor([3, 1]),
        range(3, 0, -2),
    ],
)
def test_centers_are_chosen_by_anything_that_lists_atoms(centers):
    batch = [cell(n=5, seed=s) for s in range(2)]
    expected = System.from_atoms(batch, 3.0, centers=[3, 1])
    same(System.from_atoms(batch, 3.0, centers=centers), expected)


def test_a_mask_chooses_centers():
    batch = [cell(n=5, seed=s) for s in range(2)]
    mask = np.array([False, True, False, True, False])
    expected = System.from_atoms(batch, 3.0, centers=[1, 3])
    for centers in (mask, mask.tolist(), torch.tensor(mask)):
        same(System.from_atoms(batch, 3.0, centers=centers), expected)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ([True], "a mask of length 1 for 3 structures"),
        ([0.0, 1.0], "structures are chosen by a list of whole numbers or a mask"),
        ([[0]], "structures are chosen by"),
        ([[0], [1, 2]], "structures are chosen by"),
        ("01", "structures are chosen by"),
        ([0, -1], "structure -1 of 3 structures"),
        (np.array([3]), "structure 3 of 3 structures"),
        (torch.tensor([2**40]), "structure 1099511627776 of 3 structures"),
    ],
)
def test_what_chooses_nothing_is_refused(choice, message):
    system = System.from_atoms([cell(seed=s) for s in range(3)], 2.0)
    with pytest.raises(InputError, match=message):
        system.select_structures(choice)
    with pytest.raises(InputError):
        System.from_atoms([cell(n=3)] * 3, 2.0, centers=choice)


def test_structures_are_chosen_in_the_order_given_and_as_often():
    system = System.from_atoms([cell(seed=s) for s in range(3)], 2.5)
    expected = System.from_atoms([cell(seed=s) for s in (2, 0, 2)], 2.5)
    for choice in ([2, 0, 2], np.array([2, 0, 2]), torch.tensor([2, 0, 2])):
        same(system.select_structures(choice), expected)


@pytest.mark.parametrize("bounds", [(-1, 2), (2, 1), (0, 10)])
def test_runs_of_centres_that_do_not_exist_are_refused(bounds):
    with pytest.raises(InputError, match="of 3 centers"):
        System.from_atoms(cell(), 2.0).select_centers(*bounds)


def test_positions_in_single_precision_are_refused():
    system = System.from_atoms(cell(), 2.0)
    with pytest.raises(InputError, match="positions of 3 atoms are needed in float64"):
        system.with_positions(system.positions.float())
