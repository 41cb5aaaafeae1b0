"""Congruent copies of a structure, on which the noise floor is measured."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
from ase import Atoms
from numpy.random import Generator
from scipy.spatial.transform import Rotation

Kind = Literal["repeated", "rotated", "reflected", "permuted", "translated", "resampled"]

#: Kinds of copies, with how many of each are made.
KINDS: dict[Kind, int] = {
    "repeated": 1,
    "rotated": 2,
    "reflected": 1,
    "permuted": 1,
    "translated": 1,
    "resampled": 1,
}

# Displacements of the resampled copies: a few units in the last place of positions, Å.
_LAST_PLACE = 4e-16

# Translations, Å: enough to lose a digit of the positions.
_FAR = 8.0


def copies(
    atoms: Atoms, rng: Generator, kinds: Mapping[Kind, int] = KINDS
) -> list[tuple[Kind, Atoms]]:
    """Return copies that no invariant description may tell from the original.

    Parameters
    ----------
    atoms
        The structure; ``info["center"]`` follows its atom.
    rng
        Source of random numbers.
    kinds
        How many copies of which kinds.

    Returns
    -------
    list of (kind, Atoms)
        Repeated (the same), rotated, reflected (in a random plane), permuted, translated, and
        resampled: the last bits drawn anew, and periodic atoms given by other images.

    Examples
    --------
    >>> atoms = Atoms("OH", [(0, 0, 0), (0, 0, 1.0)], info={"center": 0})
    >>> [kind for kind, _ in copies(atoms, np.random.default_rng(0))]
    ['repeated', 'rotated', 'rotated', 'reflected', 'permuted', 'translated', 'resampled']
    """
    return [(kind, _copy(atoms, kind, rng)) for kind, count in kinds.items() for _ in range(count)]


def _copy(atoms: Atoms, kind: Kind, rng: Generator) -> Atoms:
    copy: Atoms = atoms.copy()
    if kind in ("rotated", "reflected"):
        # a normalised quaternion of normal deviates is uniform over the rotations
        turn = Rotation.from_quat(rng.normal(size=4)).as_matrix()
        turn = turn if kind == "rotated" else -turn
        copy.positions = atoms.positions @ turn.T
        copy.set_cell(np.asarray(atoms.cell) @ turn.T)
    elif kind == "permuted":
        # a cyclic shift first: no atom keeps its place by chance in a small structure
        order = np.roll(rng.permutation(len(atoms)), 1)
        if len(atoms) > 1 and (order == np.arange(len(atoms))).all():
            order = np.roll(order, 1)
        copy = atoms[order]
        copy.info = dict(atoms.info)
        if "center" in atoms.info:
            copy.info["center"] = int(np.flatnonzero(order == atoms.info["center"])[0])
    elif kind == "translated":
        copy.positions = atoms.positions + rng.uniform(-_FAR, _FAR, 3)
    elif kind == "resampled":
        size = np.maximum(np.abs(atoms.positions), 1.0)
        copy.positions = atoms.positions + _LAST_PLACE * size * rng.uniform(-1, 1, size.shape)
        shifts = rng.integers(-1, 2, size.shape) * atoms.pbc
        copy.positions = copy.positions + shifts @ np.asarray(atoms.cell)
    return copy
