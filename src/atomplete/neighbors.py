"""Pairs of atoms within a cutoff, by whichever search suits the structure."""

from typing import NoReturn

import ase
import numpy as np
from scipy.spatial import cKDTree
from vesin import NeighborList

from atomplete.errors import InputError
from atomplete.units import COINCIDENCE

#: Up to so many atoms without periodicity, all distances are quicker than a neighbour list: 13
#: times for 2000 structures of 8 atoms, 11 times for 1000 of 9, see ``benchmarks/neighbors.py``.
FEW = 50
#: Bound on the distances that are held at once.
PAIRS_AT_ONCE = 2**16

#: Boxes as large as the cutoff, beyond which pairs are found by a tree: there the cell lists of
#: vesin 0.6 merge boxes, and divide by zero in cells that are thin in one direction.
MOST_BOXES = 10**5
#: Images of atoms within the cutoff of a cell, beyond which a structure is refused.
MOST_IMAGES = 10**7

#: First and second atom, counted in the batch, and cell shift of pairs.
Pairs = tuple[np.ndarray, np.ndarray, np.ndarray]


def neighbor_pairs(
    batch: list[ase.Atoms], positions: np.ndarray, sizes: np.ndarray, cutoff: float
) -> Pairs:
    """All pairs (i, j) of all structures with r_ij = r_j − r_i + shift @ cell below the cutoff.

    Parameters
    ----------
    batch
        Structures, periodic in any number of directions.
    positions, sizes
        Those of all structures joined (atom, xyz), finite, Å, and their numbers of atoms.
    cutoff
        Largest distance, exclusive, Å.

    Returns
    -------
    i, j, shift
        (pair,), (pair,) and (pair, vector): both atoms, counted in the batch, and the cell
        shift; the neighbours of an atom one after another.

    Raises
    ------
    InputError
        For coinciding atoms, a cell that is tiny beside the cutoff, or a periodic direction
        without a cell vector or with one that lies in the plane of the others; names the
        structure.

    Examples
    --------
    >>> chain = ase.Atoms("B", cell=[0, 0, 1.5], pbc=(False, False, True))
    >>> i, j, shift = neighbor_pairs([chain], chain.positions, np.array([1]), 2.0)
    >>> i, j, shift[:, 2].tolist()
    (array([0, 0]), array([0, 0]), [-1, 1])
    """
    first = sizes.cumsum() - sizes
    few = sizes <= FEW
    few &= ~np.array([atoms.pbc for atoms in batch], dtype=bool).reshape(-1, 3).any(1)
    parts: list[Pairs] = []
    for size in np.unique(sizes[few & (sizes > 1)]).tolist():
        members = np.flatnonzero(few & (sizes == size))
        at_once = max(1, PAIRS_AT_ONCE // size**2)
        for start in range(0, len(members), at_once):
            some = members[start : start + at_once]
            parts.append(_pairs_of_few(positions, first[some], size, some, cutoff))
    neighbor_list = NeighborList(cutoff=cutoff, full_list=True, sorted=True)
    for index in np.flatnonzero(~few & (sizes > 0)).tolist():
        i, j, shift = _pairs_of_one(neighbor_list, batch[index], index)
        parts.append((i + first[index], j + first[index], shift))
    return _joined(parts)


def _joined(parts: list[Pairs]) -> Pairs:
    if not parts:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 3))
    if len(parts) == 1:
        return parts[0]
    i, j, shift = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return i, j, shift


def _pairs_of_few(
    positions: np.ndarray, first: np.ndarray, size: int, structures: np.ndarray, cutoff: float
) -> Pairs:
    """Pairs of structures of equally many atoms without periodicity: all distances at once."""
    one, two = np.nonzero(~np.eye(size, dtype=bool))
    atoms = positions[first[:, None] + np.arange(size)]
    vectors = atoms[:, two] - atoms[:, one]
    squares = np.einsum("spx,spx->sp", vectors, vectors)
    if squares.min() < COINCIDENCE**2:
        k, pair = np.argwhere(squares < COINCIDENCE**2)[0]
        distance = float(squares[k, pair] ** 0.5)
        _refuse_coincident(int(structures[k]), int(one[pair]), int(two[pair]), distance)
    k, pair = np.nonzero(squares < cutoff**2)
    return first[k] + one[pair], first[k] + two[pair], np.zeros((len(k), 3))


def _pairs_of_one(neighbor_list: NeighborList, atoms: ase.Atoms, index: int) -> Pairs:
    """Pairs of a single structure, by cell lists or by a tree."""
    if atoms.pbc.any() and not atoms.cell.any(1)[atoms.pbc].all():
        raise InputError(f"structure {index}: periodic, but a cell vector is missing")
    # directions that are not periodic may have no cell vector: complete them
    box = atoms.cell.complete().array if atoms.pbc.any() else np.eye(3)
    # a flat cell would crash the neighbour list, not just raise
    volume = abs(np.linalg.det(box)) if np.isfinite(box).all() else 0.0
    if not volume > 1e-6 * np.linalg.norm(box, axis=1).prod():
        raise InputError(f"structure {index}: vectors of the cell {box.tolist()} span no volume")
    cutoff = neighbor_list.cutoff
    # distances of opposite faces, over the cutoff
    inverse = np.linalg.inv(box)
    heights = 1 / np.linalg.norm(inverse, axis=0) / cutoff
    n_images = len(atoms) * np.prod(1 + 2 / heights[atoms.pbc])
    if n_images > MOST_IMAGES:
        raise InputError(
            f"structure {index}: a cell so small has {n_images:.1g} images of atoms within the "
            f"cutoff {cutoff:g} Å"
        )
    # along directions that are not periodic, boxes may cover all atoms instead of the cell
    extent = np.linalg.norm(np.ptp(atoms.positions, axis=0)) / cutoff if len(atoms) else 0.0
    n_boxes = (1 + np.where(atoms.pbc, heights, np.maximum(heights, extent))).prod()
    if n_boxes > MOST_BOXES:
        i, j, shift, distance = _pairs_by_tree(atoms.positions, box, atoms.pbc, cutoff)
    else:
        i, j, shift, distance = neighbor_list.compute(
            points=atoms.positions, box=box, periodic=atoms.pbc, quantities="ijSd"
        )
    if len(distance) and distance.min() < COINCIDENCE:
        pair = int(distance.argmin())
        _refuse_coincident(index, int(i[pair]), int(j[pair]), float(distance[pair]))
    return i.astype(np.int64), j.astype(np.int64), shift


def _pairs_by_tree(
    positions: np.ndarray, box: np.ndarray, pbc: np.ndarray, cutoff: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Pairs and their distances, in memory that does not grow with the volume.

    Atoms are moved into the cell, and images in reach of them are listed.
    """
    inverse = np.linalg.inv(box)
    reach = (1 + 1e-6) * cutoff * np.linalg.norm(inverse, axis=0)
    inside = positions @ inverse
    home = np.where(pbc, np.floor(inside), 0.0)
    inside = inside - home
    low, high = inside.min(0) - reach, inside.max(0) + reach
    j, shift = np.arange(len(positions)), np.zeros(positions.shape)
    for v in np.flatnonzero(pbc):
        steps = np.arange(np.floor(low[v]) - 1, np.ceil(high[v]) + 1)
        there = inside[j, v] + steps[:, None]
        step, kept = np.nonzero((low[v] <= there) & (there <= high[v]))
        j, shift = j[kept], shift[kept]
        shift[:, v] = steps[step]
    here, images = cKDTree(inside @ box), cKDTree((inside[j] + shift) @ box)
    # a little further, since what is near is told below from the positions as they were given
    found = here.sparse_distance_matrix(images, (1 + 1e-6) * cutoff, output_type="ndarray")
    i, image = found["i"], found["j"]
    j, shift = j[image], shift[image] - home[j[image]] + home[i]
    distance = np.linalg.norm(positions[j] - positions[i] + shift @ box, axis=1)
    near = (distance < cutoff) & ((i != j) | shift.any(1))
    order = np.flatnonzero(near)
    order = order[np.lexsort((*shift[order].T[::-1], j[order], i[order]))]
    return i[order], j[order], shift[order], distance[order]


def _refuse_coincident(index: int, i: int, j: int, distance: float) -> NoReturn:
    raise InputError(f"structure {index}: atoms {i} and {j} coincide (distance {distance:.2g} Å)")
