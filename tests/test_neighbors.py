"""Pairs within a cutoff against ASE's neighbour list."""

import tracemalloc

import ase
import numpy as np
import pytest
from ase.neighborlist import primitive_neighbor_list
from hypothesis import given, settings
from hypothesis import strategies as st

from atomplete.errors import InputError
from atomplete.neighbors import neighbor_pairs

CELL = np.array([(6.0, 0.0, 0.0), (1.4, 6.3, 0.0), (-0.9, 1.1, 6.8)])
NARROWEST = (1 / np.linalg.norm(np.linalg.inv(CELL), axis=0)).min()


def crystal(seed, pbc=True):
    """A disturbed lattice, some of whose atoms are outside the cell."""
    rng = np.random.default_rng(seed)
    sites = np.stack(np.meshgrid(*[np.arange(4) / 4] * 3), -1).reshape(-1, 3)
    sites = sites + rng.uniform(-0.04, 0.04, sites.shape) + rng.integers(-2, 3, sites.shape)
    return ase.Atoms("C40", scaled_positions=rng.permutation(sites)[:40], cell=CELL, pbc=pbc)


def pairs(batch, cutoff):
    positions = np.concatenate([atoms.positions for atoms in batch])
    return neighbor_pairs(batch, positions, np.array([len(atoms) for atoms in batch]), cutoff)


def expected_pairs(batch, cutoff):
    found, first = set(), 0
    for atoms in batch:
        i, j, shift = primitive_neighbor_list("ijS", atoms.pbc, atoms.cell, atoms.positions, cutoff)
        found |= set(zip(i + first, j + first, *shift.T, strict=True))
        first += len(atoms)
    return found


@pytest.mark.parametrize("part", [0.3, 0.42, 0.499, 0.501, 0.8])
def test_pairs_in_crystals(part):
    """Cutoffs of which half a cell is less and more."""
    batch = [crystal(0), crystal(1), crystal(2, pbc=(True, False, True))]
    cutoff = part * NARROWEST
    i, j, shift = pairs(batch, cutoff)
    assert len(i) > 40
    ours = set(zip(i, j, *shift.T, strict=True))
    assert len(ours) == len(i)
    assert ours == expected_pairs(batch, cutoff)
    # the neighbours of an atom one after another
    assert np.count_nonzero(np.diff(i)) == len(set(i)) - 1


@pytest.mark.parametrize("part", [0.1, 0.49, 0.6])
def test_atoms_that_coincide_with_an_image(part):
    atoms = crystal(3)
    atoms.positions[11] = atoms.positions[30] + (2, -1, 1) @ CELL
    with pytest.raises(InputError, match="structure 1: atoms 11 and 30 coincide"):
        pairs([crystal(0), atoms], part * NARROWEST)


def test_no_pairs():
    alone, none = (ase.Atoms(symbols, cell=CELL, pbc=True) for symbols in ("C", ""))
    for batch in ([ase.Atoms("C")], [ase.Atoms()], [alone] * 2, [none, alone]):
        i, j, shift = pairs(batch, 2.9)
        assert (i.shape, j.shape, shift.shape) == ((0,), (0,), (0, 3))


# cells that are thin and wide, where vesin 0.6 divides by zero


def brute_force(atoms, cutoff):
    """All atoms times all images that can be in reach."""
    box = atoms.cell.complete().array
    reach = np.ceil(cutoff * np.linalg.norm(np.linalg.inv(box), axis=0)) * atoms.pbc
    # atoms may be outside the cell
    spread = np.ptp(np.floor(atoms.positions @ np.linalg.inv(box)), axis=0) + 1
    ends = (reach + spread * atoms.pbc).astype(int)
    found = set()
    for shift in np.ndindex(*(2 * ends + 1)):
        shift = np.array(shift) - ends
        vectors = atoms.positions[None] - atoms.positions[:, None] + shift @ box
        near = np.linalg.norm(vectors, axis=2) < cutoff
        if not shift.any():
            np.fill_diagonal(near, False)
        found |= {(i, j, *shift) for i, j in np.argwhere(near)}
    return found


@settings(max_examples=50, deadline=None)
@given(
    thin=st.floats(2.0, 6.0),
    wide=st.tuples(st.floats(5.0, 3e4), st.floats(5.0, 3e4)),
    skew=st.tuples(*[st.floats(-0.6, 0.6)] * 3),
    order=st.permutations(range(3)),
    pbc=st.tuples(*[st.booleans()] * 3),
    cutoff=st.floats(1.0, 4.0),
    n=st.integers(1, 20),
    seed=st.integers(0, 2**32 - 1),
)
def test_pairs_in_thin_wide_and_skewed_cells(thin, wide, skew, order, pbc, cutoff, n, seed):
    a, b, c = skew
    sides = np.array([thin, *wide])[list(order)]
    box = np.array([(1, 0, 0), (a, 1, 0), (b, c, 1)]) * sides[:, None]
    rng = np.random.default_rng(seed)
    # near a corner, of which some are outside the cell, and some far away
    positions = rng.uniform(-3, 3, (n, 3)) + rng.integers(-1, 2, (n, 1)) * (
        rng.random((n, 1)) < 0.2
    ) @ (rng.random((1, 3)) @ box)
    distances = np.linalg.norm(positions[None] - positions[:, None], axis=2)
    positions = positions[(np.tril(distances < 0.3, -1)).sum(1) == 0]
    atoms = ase.Atoms(f"C{len(positions)}", positions, cell=box, pbc=pbc)
    expected = brute_force(atoms, cutoff)
    i, j, shift = pairs([atoms], cutoff)
    assert len(i) == len(expected)
    assert set(zip(i.tolist(), j.tolist(), *shift.T.astype(int).tolist(), strict=True)) == expected
    assert np.count_nonzero(np.diff(i)) == max(0, len(set(i)) - 1)


@pytest.mark.parametrize("pbc", [True, False, (True, False, False)])
@pytest.mark.parametrize(
    "cell", [(2.5, 1e3, 1e3), (1e4, 1e4, 3.0), (1e6, 2.5, 2.5), (3.9, 1e5, 1e5)], ids=str
)
def test_chains_ribbons_and_sheets_in_vacuum(cell, pbc):
    atoms = ase.Atoms("C2", [(0, 0, 0), (1.2, 0.5, 0.1)], cell=cell, pbc=pbc)
    found = pairs([atoms], 2.0)
    assert set(zip(*found[:2], *found[2].T, strict=True)) == brute_force(atoms, 2.0)


@pytest.mark.parametrize("pbc", [False, (False, True, False)])
def test_an_atom_far_away_takes_no_memory(pbc):
    atoms = crystal(4, pbc=False)
    atoms += crystal(5, pbc=False)[:20]
    atoms.positions[40:] += 50.0
    near = pairs([atoms], 2.5)
    atoms.positions[17] = 1e6
    atoms.pbc, atoms.cell = pbc, (100.0, 100.0, 100.0)
    tracemalloc.start()
    i, j, _ = pairs([atoms], 2.5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10**7
    kept = (near[0] != 17) & (near[1] != 17)
    assert set(zip(i, j, strict=True)) == set(zip(*(near[k][kept] for k in (0, 1)), strict=True))


def test_a_cell_that_is_tiny_beside_the_cutoff_is_refused():
    atoms = ase.Atoms("C", cell=[0.01, 0.01, 0.01], pbc=True)
    with pytest.raises(InputError, match=r"structure 0: a cell so small has 1e\+09 images"):
        pairs([atoms], 5.0)
