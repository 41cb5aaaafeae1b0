"""Starts of searches: neighbours at random places, or members of known families."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.random import Generator
from numpy.typing import NDArray

from atomplete.degenerate.congruence.alignment import Floats
from atomplete.degenerate.congruence.congruence import Level
from atomplete.degenerate.congruence.environment import extent
from atomplete.degenerate.families.registry import FAMILIES
from atomplete.errors import InputError

# Attempts to place an atom before all are placed anew, and times that this is done.
_ATTEMPTS, _RESTARTS = 200, 100

# Members of each family that are tried.
_MEMBERS = 20


@dataclass(frozen=True)
class Limits:
    """Distances between which a structure is plausible.

    Attributes
    ----------
    shortest
        Least distance between two atoms, Å.
    longest
        Largest distance from the centre at the environment level, between two atoms at the
        structure level, Å. It should keep clear of the shell in which the features are cut off:
        atoms that weigh nothing make any two structures equal.

    Examples
    --------
    >>> Limits(0.9, 1.8)
    Limits(shortest=0.9, longest=1.8)
    """

    shortest: float
    longest: float

    def __post_init__(self) -> None:
        if not 0 < self.shortest < self.longest:
            raise InputError(
                f"distances from {self.shortest:g} to {self.longest:g} Å: the shortest must be "
                "positive and below the longest"
            )

    def excess(
        self, positions: Float[np.ndarray, "structure atom xyz"], level: Level
    ) -> tuple[
        Float[np.ndarray, "structure bound"], Float[np.ndarray, "structure bound coordinate"]
    ]:
        """Excess of each distance over its limit, Å, and its derivative.

        Examples
        --------
        >>> positions = np.array([[[0.0, 0.0, 2.0], [0.0, 1.0, 0.0]]])
        >>> Limits(1.2, 1.8).excess(positions, "environment")[0].round(1)
        array([[0. , 0. , 0.2, 0.2, 0. ]])
        """
        n_structures, n, _ = positions.shape
        one, two = np.triu_indices(n, 1)
        vectors = positions[:, one] - positions[:, two]
        signs = np.zeros((len(one), n))
        signs[np.arange(len(one)), one], signs[np.arange(len(one)), two] = 1.0, -1.0
        is_longest = np.ones(len(one), dtype=bool)
        if level == "environment":
            vectors = np.concatenate([vectors, positions], axis=1)
            signs = np.concatenate([signs, np.eye(n)])
            is_longest = np.arange(len(signs)) >= len(one)
        distances = np.linalg.norm(vectors, axis=2)
        units = vectors / np.maximum(distances, 1e-12)[..., None]
        slopes = np.einsum("sdx,dn->sdnx", units, signs).reshape(n_structures, -1, 3 * n)
        too_short = self.shortest - distances
        too_long = (distances - self.longest)[:, is_longest]
        values = np.concatenate([too_short, too_long], axis=1)
        slopes = np.concatenate([-slopes, slopes[:, is_longest]], axis=1)
        return np.maximum(values, 0.0), slopes * (values > 0)[..., None]


def random_positions(
    rng: Generator, n: int, limits: Limits, level: Level, kept: Floats | None = None
) -> Float[np.ndarray, "atom xyz"]:
    """Draw places within the limits, one after another, uniform in the space that is left.

    Parameters
    ----------
    rng
        Source of random numbers.
    n
        Number of new places.
    limits
        Distances to keep.
    level
        "environment": also from the origin.
    kept
        Places that are taken already.

    Raises
    ------
    InputError
        If there is no room.

    Examples
    --------
    >>> places = random_positions(np.random.default_rng(0), 4, Limits(0.9, 1.8), "environment")
    >>> bool((np.linalg.norm(places, axis=1) < 1.8).all())
    True
    """
    fixed = np.zeros((0, 3)) if kept is None else kept
    radius = limits.longest if level == "environment" else limits.longest / 2
    for _ in range(_RESTARTS):
        places = fixed
        for _ in range(n):
            new = rng.uniform(-radius, radius, (_ATTEMPTS, 3))
            radii = np.linalg.norm(new, axis=1)
            free = radii < radius
            if level == "environment":
                free &= radii > limits.shortest
            apart = np.linalg.norm(new[:, None] - places[None], axis=2)
            free &= (apart > limits.shortest).all(axis=1)
            places = np.vstack([places, new[free][:1]])
        if len(places) == len(fixed) + n:
            return places[len(fixed) :]
    raise InputError(
        f"{len(fixed) + n} atoms find no room within {limits.longest:g} Å at distances of "
        f"{limits.shortest:g} Å or more"
    )


def displaced(
    rng: Generator, positions: Floats, limits: Limits, level: Level
) -> Float[np.ndarray, "atom xyz"]:
    """Copy a structure, with some of its atoms, from one to all, at other random places.

    Examples
    --------
    >>> given = np.array([[0.0, 0.0, 1.5], [0.0, 1.5, 0.0], [1.5, 0.0, 0.0]])
    >>> moved = displaced(np.random.default_rng(3), given, Limits(0.9, 1.8), "environment")
    >>> (moved != given).any(axis=1)
    array([False, False,  True])
    """
    n = len(positions)
    moves: NDArray[np.bool_] = rng.permutation(n) < rng.integers(1, n + 1)
    result = positions.copy()
    result[moves] = random_positions(rng, int(moves.sum()), limits, level, positions[~moves])
    return result


def family_starts(
    n: int, limits: Limits, level: Level
) -> Float[np.ndarray, "pair member atom xyz"]:
    """Members of all known families with as many atoms, as large as the limits allow.

    Examples
    --------
    >>> family_starts(7, Limits(0.9, 1.8), "environment").shape[1:]
    (2, 7, 3)
    """
    starts = []
    for family in FAMILIES.values():
        if family.congruent or family.level != level:
            continue
        for pair in family.pairs(_MEMBERS):
            if any(atoms.pbc.any() for atoms in pair):
                continue
            first = 1 if level == "environment" else 0
            members = np.stack([atoms.positions[first:] for atoms in pair])
            if members.shape[1] != n:
                continue
            farthest = max(extent(atoms, level) for atoms in pair)
            starts.append(members * (limits.longest / farthest))
    return np.array(starts).reshape(-1, 2, n, 3)
