"""Validity of structures: finite positions, usable cells, atoms apart."""

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from scipy.spatial import cKDTree

from atomplete.errors import InputError
from atomplete.units import COINCIDENCE

#: No coordinate is as large, Å: a billion leaves 1e-7 Å to a number.
FARTHEST = 1e9


def validate(atoms: Atoms, name: str) -> None:
    """Refuse a structure that no method could give a meaning to.

    Parameters
    ----------
    atoms
        The structure; positions and cell in Å.
    name
        How the message calls it, as ``"b8.xyz, structure 3"``.

    Raises
    ------
    InputError
        For no atoms, atoms of no element, positions or cell entries that are not below 1e9 Å,
        periodic directions that span no volume, and two atoms (or an atom and an image) closer
        than 1e-3 Å.

    Examples
    --------
    >>> validate(Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.74]]), "h2.xyz, structure 0")
    >>> validate(Atoms("H2", positions=[[0, 0, 0], [0, 0, 0]]), "h2.xyz, structure 0")
    Traceback (most recent call last):
    atomplete.errors.InputError: h2.xyz, structure 0: atoms 0 and 1 are 0 Å apart
    """
    if len(atoms) == 0:
        raise InputError(f"{name}: there are no atoms")
    no_element = np.flatnonzero((atoms.numbers < 1) | (atoms.numbers >= len(chemical_symbols)))
    if len(no_element):
        atom = no_element[0]
        raise InputError(f"{name}: atom {atom} has the atomic number {atoms.numbers[atom]}")
    outside = np.argwhere(~(np.abs(atoms.positions) < FARTHEST))
    if len(outside):
        atom, axis = outside[0]
        value = atoms.positions[atom, axis]
        raise InputError(f"{name}: the {'xyz'[axis]} coordinate of atom {atom} is {value} Å")
    if not (np.abs(np.array(atoms.cell)) < FARTHEST).all():
        raise InputError(
            f"{name}: the cell {np.array(atoms.cell).tolist()} Å is not finite, or not below 1e9 Å"
        )
    points, atom_of_point = atoms.positions, np.arange(len(atoms))  # (point, xyz), (point,)
    if atoms.pbc.any():
        points, atom_of_point = _with_images(atoms, name)
    pairs = cKDTree(points).query_pairs(COINCIDENCE, output_type="ndarray")  # (pair, 2)
    if len(pairs):
        first, second = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))[0]]
        distance = np.linalg.norm(points[first] - points[second])
        i, j = sorted((atom_of_point[first], atom_of_point[second]))
        raise InputError(f"{name}: atoms {i} and {j} are {distance:.2g} Å apart")


def _with_images(atoms: Atoms, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Atoms wrapped into the cell, and the images that lie just outside its periodic faces."""
    cell, pbc = np.array(atoms.cell), atoms.pbc
    periodic = cell[pbc]  # (periodic direction, xyz)
    # directions that do not repeat need no vector: complete the cell at right angles to the others
    _, singular, axes = np.linalg.svd(periodic)
    if singular.min() < COINCIDENCE:
        directions = "".join(np.array(list("xyz"))[pbc])
        raise InputError(
            f"{name}: it is periodic along {directions}, "
            f"but the cell {cell.tolist()} spans no volume there"
        )
    full = np.vstack([periodic, axes[len(periodic) :]])
    inverse = np.linalg.inv(full)
    fractional = atoms.positions @ inverse  # (atom, direction)
    fractional[:, : len(periodic)] %= 1.0
    margin = COINCIDENCE * np.linalg.norm(inverse, axis=0)  # in parts of the cell
    index = np.arange(len(atoms))
    for direction in range(len(periodic)):
        # an image of each atom at one face suffices: a close pair across it meets there
        near = fractional[:, direction] < margin[direction]
        image = fractional[near].copy()
        image[:, direction] += 1.0
        fractional, index = np.vstack([fractional, image]), np.append(index, index[near])
    return fractional @ full, index
