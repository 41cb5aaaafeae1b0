"""Environments cut out of structures, and structures made of positions."""

import numpy as np
from ase import Atoms

from atomplete.degenerate.congruence.alignment import Floats
from atomplete.degenerate.congruence.congruence import Level
from atomplete.system import System, center_of


def environment(atoms: Atoms, cutoff: float, center: int | None = None) -> Atoms:
    """Cut an environment out of a structure, periodic or not.

    Parameters
    ----------
    atoms
        The structure.
    cutoff
        Neighbours nearer than this are kept, Å; images of an atom become atoms of their own.
    center
        Index of the centre; by default ``info["center"]``, else 0.

    Returns
    -------
    Atoms
        Not periodic, the centre first and at the origin.

    Raises
    ------
    InputError
        If there is no such centre.

    Examples
    --------
    >>> environment(Atoms("B", cell=[0, 0, 1.5], pbc=(0, 0, 1)), cutoff=2.0).positions[:, 2]
    array([ 0. , -1.5,  1.5])
    """
    index = center_of(atoms, default=0) if center is None else center
    system = System.from_atoms(atoms, cutoff, centers=[int(index)])
    numbers = np.concatenate([[atoms.numbers[index]], atoms.numbers[system.j.numpy()]])
    positions = np.concatenate([np.zeros((1, 3)), system.r_ij.numpy()])
    return Atoms(numbers, positions, info={"center": 0})


def extent(atoms: Atoms, level: Level) -> float:
    """Largest distance of an atom from the centre, or of two atoms of a structure, Å.

    Examples
    --------
    >>> chain = Atoms("BH2", [(0, 0, 0), (0, 0, 1.0), (0, 0, -1.5)])
    >>> extent(chain, "environment"), extent(chain, "structure")
    (1.5, 2.5)
    """
    center = slice(None)
    if level == "environment":
        index = center_of(atoms, default=0)
        center = slice(index, index + 1)
    vectors = atoms.positions[center, None] - atoms.positions
    return float(np.linalg.norm(vectors, axis=-1).max())


def with_positions(template: Atoms, level: Level, positions: Floats) -> Atoms:
    """The template with other positions: of the neighbours, or of all atoms.

    Examples
    --------
    >>> with_positions(Atoms("BH"), "environment", np.array([[0.0, 0.0, 1.2]])).info
    {'center': 0}
    """
    if level == "structure":
        return Atoms(template.numbers, positions)
    return Atoms(template.numbers, np.vstack([np.zeros((1, 3)), positions]), info={"center": 0})
