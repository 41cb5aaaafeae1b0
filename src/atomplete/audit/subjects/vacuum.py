"""Vacuum for packages that know periodicity in all directions only."""

import numpy as np
from ase import Atoms


def with_vacuum(atoms: Atoms, cutoff: float) -> Atoms:
    """Return a structure that is periodic in all directions or in none.

    Parameters
    ----------
    atoms
        The structure; periodic in some directions, it gets images in the others, out of reach.
    cutoff
        Radius of an environment, Å.

    Examples
    --------
    >>> chain = Atoms("C", cell=[1.4, 0, 0], pbc=[True, False, False])
    >>> float(with_vacuum(chain, 5.0).cell.lengths().min()), with_vacuum(chain, 5.0).pbc.tolist()
    (1.4, [True, True, True])
    """
    if atoms.pbc.all() or not atoms.pbc.any():
        return atoms
    padded = atoms.copy()
    cell = atoms.cell.complete()
    extent = np.ptp(atoms.positions, axis=0).max() + 2 * cutoff + np.linalg.norm(cell, axis=1).max()
    for axis in np.flatnonzero(~atoms.pbc):
        # at right angles to the other vectors
        normal = np.cross(cell[axis - 2], cell[axis - 1])
        cell[axis] = 2 * extent * normal / np.linalg.norm(normal)
    padded.set_cell(cell)
    padded.pbc = True
    return padded
