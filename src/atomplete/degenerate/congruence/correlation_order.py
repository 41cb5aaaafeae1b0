"""Correlation order up to which two environments agree, whatever the basis.

The density correlations of order nu, in a complete basis, are the multiset of the tuples of nu
neighbours, each up to rotation: of their distances to the centre and to each other, and from
nu = 3 on of their handedness. Comparing these tells a descriptor that lacks an order of
correlation from one whose basis is too small.
"""

from itertools import combinations, permutations
from math import comb

import numpy as np
from ase import Atoms
from scipy.optimize import linear_sum_assignment

from atomplete.degenerate.congruence.alignment import Floats, Integers
from atomplete.degenerate.congruence.congruence import Group, Level
from atomplete.system import center_of

#: Of one environment: distances and volumes (tuple, entry), Å; species (tuple, place).
Tuples = tuple[Floats, Integers]

# Orders with more tuples than this are not compared: the matrix of all with all is too large.
_MOST_TUPLES = 1500

# A tuple that has no equal in the other environment, Å: finite, as assignments need.
_NO_MATCH = 1e6


def correlation_order(
    plus: Atoms,
    minus: Atoms,
    *,
    level: Level = "environment",
    group: Group = "O3",
    max_nu: int = 4,
    tolerance: float = 1e-6,
) -> int:
    """Return the largest nu up to which all correlations of two structures agree.

    Parameters
    ----------
    plus, minus
        The structures, not periodic, of the same species; at the environment level
        ``info["center"]`` names the centre, by default 0.
    level
        "environment", or "structure": the environments of all atoms agree, in some order.
    group
        "O3": handedness may be reversed in all tuples at once. "SO3": it may not.
    max_nu
        Largest order that is compared; fewer are where there would be too many tuples.
    tolerance
        Largest deviation in Å that still counts as rounding.

    Returns
    -------
    int
        From 0, not even the distances agree, to `max_nu`.

    Examples
    --------
    >>> from atomplete.degenerate.families.registry import get
    >>> [correlation_order(*get(name).pairs(1)[0]) for name in ("distances", "prl_nu2", "b8")]
    [1, 2, 3]
    """
    mirrors = (1, -1) if group == "O3" else (1,)
    agreeing = set(mirrors)
    for nu in range(1, max_nu + 1):
        if comb(len(plus) - 1, nu) > _MOST_TUPLES:
            return nu - 1
        a = [_tuples(plus, center, nu, 1) for center in _centers(plus, level)]
        for mirror in tuple(agreeing):
            b = [_tuples(minus, center, nu, mirror) for center in _centers(minus, level)]
            costs = np.array([[_deviation(x, y) for y in b] for x in a])
            for i, j in zip(*_other_species(plus, minus, level), strict=True):
                costs[i, j] = _NO_MATCH
            if _largest_matched(costs) > tolerance:
                agreeing.remove(mirror)
        if not agreeing:
            return nu - 1
    return max_nu


def _centers(atoms: Atoms, level: Level) -> list[int]:
    return [center_of(atoms, default=0)] if level == "environment" else list(range(len(atoms)))


def _other_species(plus: Atoms, minus: Atoms, level: Level) -> tuple[Integers, Integers]:
    """Pairs of centres of different species."""
    numbers = [atoms.numbers[_centers(atoms, level)] for atoms in (plus, minus)]
    rows, columns = np.nonzero(numbers[0][:, None] != numbers[1][None, :])
    return rows, columns


def _tuples(atoms: Atoms, center: int, nu: int, mirror: int) -> Tuples:
    """All tuples of nu neighbours of an atom: lengths, signed volumes over an area, species."""
    others = np.delete(np.arange(len(atoms)), center)
    r = atoms.positions[others] - atoms.positions[center]
    chosen = np.array(list(combinations(range(len(r)), nu)), dtype=np.int64).reshape(-1, nu)
    return entries_of(r[chosen], mirror), atoms.numbers[others][chosen]


def entries_of(r: Floats, mirror: int = 1) -> Floats:
    """Radii, distances and signed heights of tuples of neighbours.

    Parameters
    ----------
    r
        Positions relative to the centre, Å, shape (tuple, place, xyz).
    mirror
        -1 for the mirror images.

    Returns
    -------
    ndarray
        (tuple, entry): of each place, of each pair of places, and of each three places the
        volume over the square of the longest radius. Together they fix the tuple up to rotation.

    Examples
    --------
    >>> entries_of(np.array([[[0.0, 0.0, 3.0], [0.0, 4.0, 0.0]]]))
    array([[3., 4., 5.]])
    """
    nu = r.shape[1]
    radii = np.linalg.norm(r, axis=2)
    pairs, triples = (list(combinations(range(nu), k)) for k in (2, 3))
    columns = [radii]
    columns += [np.linalg.norm(r[:, i] - r[:, j], axis=1)[:, None] for i, j in pairs]
    for i, j, k in triples:
        volume = np.linalg.det(r[:, [i, j, k]]) * mirror
        columns.append((volume / radii[:, [i, j, k]].max(axis=1) ** 2)[:, None])
    return np.concatenate(columns, axis=1)


def _deviation(a: Tuples, b: Tuples) -> float:
    """Largest deviation between matched tuples, whose places may be permuted."""
    (entries_a, species_a), (entries_b, species_b) = a, b
    costs = np.full((len(entries_a), len(entries_b)), _NO_MATCH)
    for order, columns, signs in orders_of_places(species_a.shape[1]):
        cost = np.zeros_like(costs)
        for k, (column, sign) in enumerate(zip(columns, signs, strict=True)):
            change = np.abs(entries_a[:, None, k] - sign * entries_b[None, :, column])
            np.maximum(cost, change, out=cost)
        cost[(species_a[:, None] != species_b[None, :, order]).any(axis=2)] = _NO_MATCH
        np.minimum(costs, cost, out=costs)
    return _largest_matched(costs)


def orders_of_places(nu: int) -> list[tuple[list[int], list[int], list[int]]]:
    """Orders of the places of a tuple, and their action on the entries.

    Examples
    --------
    >>> orders_of_places(2)
    [([0, 1], [0, 1, 2], [1, 1, 1]), ([1, 0], [1, 0, 2], [1, 1, 1])]
    """
    pairs, triples = (list(combinations(range(nu), k)) for k in (2, 3))
    found = []
    for order in permutations(range(nu)):
        columns, signs = list(order), [1] * nu
        for i, j in pairs:
            columns.append(nu + pairs.index((min(order[i], order[j]), max(order[i], order[j]))))
            signs.append(1)
        for triple in triples:
            places = [order[k] for k in triple]
            columns.append(nu + len(pairs) + triples.index(tuple(sorted(places))))
            inversions = sum(a > b for a, b in combinations(places, 2))
            signs.append(-1 if inversions % 2 else 1)
        found.append((list(order), columns, signs))
    return found


def _largest_matched(costs: Floats) -> float:
    """Largest cost of the assignment that is best in the mean square: zero if one is."""
    if not costs.size:
        return 0.0
    rows, columns = linear_sum_assignment(costs**2)
    return float(costs[rows, columns].max())
