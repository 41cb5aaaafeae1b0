"""Random structures of the composition and size of a given one, whose differences are typical."""

import numpy as np
from ase import Atoms
from numpy.random import Generator
from numpy.typing import NDArray

from atomplete.degenerate.congruence.congruence import Level
from atomplete.system import center_of

# Atoms are kept this far apart, Å, if that many attempts suffice, else three quarters of it.
_APART, _ATTEMPTS = 1.0, 50

# Structures are no larger than this times the third root of the number of atoms, Å.
_RADIUS_PER_ATOM = 1.3


def random_like(atoms: Atoms, level: Level, rng: Generator) -> Atoms:
    """Return random positions for the same atoms, no farther out than those given.

    Parameters
    ----------
    atoms
        The structure; at the environment level its centre stays where it is.
    level
        "environment" or "structure".
    rng
        Source of random numbers.

    Returns
    -------
    Atoms
        With the same ``info`` and, in periodic directions, the same cell.

    Examples
    --------
    >>> water = Atoms("OH2", [(0, 0, 0), (0, 0, 1.0), (0, 1.0, 0)], info={"center": 0})
    >>> other = random_like(water, "environment", np.random.default_rng(0))
    >>> other.positions[0], bool(other.get_distances(0, [1, 2]).max() <= 1.3)
    (array([0., 0., 0.]), True)
    """
    center = center_of(atoms, default=0) if level == "environment" else None
    origin = atoms.positions.mean(axis=0) if center is None else atoms.positions[center]
    radius = max(1.3, np.linalg.norm(atoms.positions - origin, axis=1).max())
    if center is None:  # compact, so that the atoms of a long chain are neighbours here
        radius = min(radius, _RADIUS_PER_ATOM * len(atoms) ** (1 / 3))
    placed: list[NDArray[np.float64]] = [] if center is None else [origin]
    while len(placed) < len(atoms):
        placed.append(_place(placed, origin, radius, rng))
    positions = np.array(placed)
    if center is not None:
        positions = np.insert(positions[1:], center, positions[0], axis=0)
    copy = atoms.copy()
    copy.positions = positions
    return copy


def random_environment(
    numbers: tuple[int, ...], radius: float, rng: Generator, center: int = 0
) -> Atoms:
    """Return atoms at random positions around one in their middle.

    Parameters
    ----------
    numbers
        Atomic numbers, that of the centre among them.
    radius
        Of the sphere that holds them, Å.
    rng
        Source of random numbers.
    center
        Place of the centre in the list.

    Examples
    --------
    >>> random_environment((8, 1, 1), 1.5, np.random.default_rng(0)).info
    {'center': 0}
    """
    atoms = Atoms(numbers, np.eye(3)[:1] * np.full((len(numbers), 1), radius))
    atoms.positions[center] = 0.0
    atoms.info["center"] = center
    return random_like(atoms, "environment", rng)


def _place(
    placed: list[NDArray[np.float64]], origin: NDArray[np.float64], radius: float, rng: Generator
) -> NDArray[np.float64]:
    """A point in the ball, apart from those placed before."""
    apart = _APART
    while True:
        for _ in range(_ATTEMPTS):
            direction = rng.normal(size=3)
            length = radius * rng.uniform() ** (1 / 3)
            point = origin + length * direction / np.linalg.norm(direction)
            if not placed or np.linalg.norm(np.array(placed) - point, axis=1).min() > apart:
                return np.asarray(point)
        apart *= 0.75
