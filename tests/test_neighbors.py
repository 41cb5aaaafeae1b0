"""Pairs within a cutoff against ASE's neighbour list."""

import ase
import numpy as np
import pytest
from ase.neighborlist import primitive_neighbor_list

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
