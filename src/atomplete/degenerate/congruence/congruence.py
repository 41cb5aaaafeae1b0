"""Congruence of point sets, decided exactly: the ground truth of every claim about degeneracy.

Two environments are congruent when an element of the group, applied about the centre, takes
the neighbours of one onto those of the other, species by species. The search lays the frame of
two anchor atoms of A (the farthest from the origin, and the farthest from that atom's axis) on
the frame of every pair of atoms of B. If A and B are congruent, one of these candidates is the
congruence. If they are not, the best candidate still comes within a factor of nine of the best
alignment in the group, because no atom is moved by more than the anchors force it to
(the argument of Goodrich, Mitchell and Orletsky, IEEE TPAMI 21, 371 (1999), for a fixed origin).
"""

from typing import Literal, get_args

import numpy as np
from ase import Atoms
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching

from atomplete.degenerate.congruence.alignment import (
    Floats,
    Integers,
    candidate_alignments,
    least_squares_alignments,
)
from atomplete.errors import InputError
from atomplete.system import center_of

Level = Literal["environment", "structure"]
Group = Literal["O3", "SO3"]

# A displacement in Å at which there is nothing left to improve.
_ROUNDING = 1e-12


def congruent(
    a: Atoms,
    b: Atoms,
    *,
    level: Level = "environment",
    center: int | None = None,
    group: Group = "O3",
    tolerance: float = 1e-8,
) -> bool:
    """Tell whether two environments, or two structures, are the same up to a group element.

    Parameters
    ----------
    a, b, level, center, group
        As in `congruence_distance`.
    tolerance
        Largest displacement in Å of any atom that still counts as rounding.

    Returns
    -------
    bool
        True if `congruence_distance` is at most `tolerance`. True is certain: the alignment has
        been found. False excludes every alignment better than `tolerance` / 9.

    Raises
    ------
    InputError
        As in `congruence_distance`.

    Examples
    --------
    >>> hand = Atoms("CHFClBr", [(0, 0, 0), (1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)])
    >>> mirrored = Atoms(hand.symbols, hand.positions * [1, 1, -1])
    >>> congruent(hand, mirrored), congruent(hand, mirrored, group="SO3")
    (True, False)
    """
    distance = congruence_distance(a, b, level=level, center=center, group=group)
    return distance <= tolerance


def congruence_distance(
    a: Atoms,
    b: Atoms,
    *,
    level: Level = "environment",
    center: int | None = None,
    group: Group = "O3",
) -> float:
    r"""Return the largest atom displacement, in Å, of the best alignment found of `b` with `a`.

    It bounds from above, by a factor of nine at most, the distance

    .. math:: d(A, B) = \min_{Q \in G} \min_{\pi} \max_k |Q a_k - b_{\pi(k)}|

    over the group and over all bijections that keep the species. It is zero up to rounding
    exactly if A and B are congruent, and symmetric in A and B. For each candidate Q the best
    bijection is found exactly; the best Q is then improved by least squares.

    Parameters
    ----------
    a, b
        The two structures, not periodic.
    level
        "environment": positions are relative to the centre atom, and the centres' species have
        to agree. "structure": positions are relative to the centroid of all atoms.
    center
        Index of the centre atom in both; by default ``info["center"]`` of each, else 0. Not used
        at the structure level.
    group
        "O3" with improper rotations, "SO3" without.

    Returns
    -------
    float
        The distance in Å; infinite if the species differ.

    Raises
    ------
    InputError
        For periodic cells, positions that are not finite, a missing centre, or an unknown level
        or group.

    Examples
    --------
    >>> bent = Atoms("OH2", [(0, 0, 0), (1, 0, 0), (0, 1, 0)])
    >>> turned = Atoms("OH2", [(0, 0, 0), (0, 0, -1), (1, 0, 0)])
    >>> straight = Atoms("OH2", [(0, 0, 0), (1, 0, 0), (-1, 0, 0)])
    >>> congruence_distance(bent, turned) < 1e-12
    True
    >>> round(congruence_distance(bent, straight), 3)
    0.765
    """
    if level not in get_args(Level):
        raise InputError(f"level {level!r} is unknown: choose one of {', '.join(get_args(Level))}")
    if group not in get_args(Group):
        raise InputError(f"group {group!r} is unknown: choose one of {', '.join(get_args(Group))}")
    center_a, numbers_a, points_a = _point_set(a, "first", level, center)
    center_b, numbers_b, points_b = _point_set(b, "second", level, center)
    if center_a != center_b or not np.array_equal(np.sort(numbers_a), np.sort(numbers_b)):
        return float("inf")
    if len(numbers_a) == 0:
        return 0.0
    mirror = group == "O3"
    # each direction has anchors of its own; taking both makes the distance symmetric
    return min(
        _directed_distance(points_a, numbers_a, points_b, numbers_b, mirror=mirror),
        _directed_distance(points_b, numbers_b, points_a, numbers_a, mirror=mirror),
    )


def _point_set(
    atoms: Atoms, which: str, level: Level, center: int | None
) -> tuple[int | None, Integers, Floats]:
    """Species of the centre, if any, with the species and positions that are to be matched."""
    name = f"the {which} structure ({atoms.get_chemical_formula() or 'no atoms'})"
    if atoms.pbc.any():
        raise InputError(
            f"{name} is periodic (pbc {atoms.pbc.tolist()}): congruence is defined here for "
            "non-periodic structures only"
        )
    numbers = np.asarray(atoms.numbers, dtype=np.int64)
    positions = np.asarray(atoms.positions, dtype=np.float64)
    if not np.isfinite(positions).all():
        atom = int(np.argmin(np.isfinite(positions).all(axis=1)))
        raise InputError(f"{name} has atom {atom} at {positions[atom].tolist()}, not finite")
    if level == "structure":
        return None, numbers, positions - (positions.mean(axis=0) if len(atoms) else 0.0)
    index = center_of(atoms, name, 0) if center is None else center
    if not 0 <= index < len(atoms):
        raise InputError(f"{name} has no atom {index} to be the centre: it has {len(atoms)} atoms")
    others = np.arange(len(atoms)) != index
    return int(numbers[index]), numbers[others], positions[others] - positions[index]


def _directed_distance(
    points_a: Floats, numbers_a: Integers, points_b: Floats, numbers_b: Integers, *, mirror: bool
) -> float:
    """Largest displacement of the best alignment found from the anchors of A."""
    best = anchored = float("inf")
    for bound, matrices in candidate_alignments(
        points_a, numbers_a, points_b, numbers_b, mirror=mirror
    ):
        if bound >= best or best < _ROUNDING:
            break
        costs = _displacements(points_a, numbers_a, points_b, numbers_b, matrices)
        anchored = _least_displacement(costs, anchored)
        best = min(best, anchored)
        # ties included, lest the result depend on which of them comes first
        promising = _nearest_displacements(costs) <= anchored * (1 + 1e-9)
        if promising.any():
            refined = _refined(points_a, points_b, matrices[promising], costs[promising])
            costs = _displacements(points_a, numbers_a, points_b, numbers_b, refined)
            best = _least_displacement(costs, best)
    return best


def _refined(points_a: Floats, points_b: Floats, matrices: Floats, costs: Floats) -> Floats:
    """Least-squares alignments for the bijections that suit the candidates best."""
    matches = np.array([linear_sum_assignment(cost**2)[1] for cost in costs])
    determinants = np.sign(np.linalg.det(matrices)).astype(np.int64)
    distinct = np.unique(np.column_stack([determinants, matches]), axis=0)
    return least_squares_alignments(points_a, points_b[distinct[:, 1:]], distinct[:, 0])


def _displacements(
    points_a: Floats, numbers_a: Integers, points_b: Floats, numbers_b: Integers, matrices: Floats
) -> Floats:
    """Distances from every aligned atom of A to every atom of B, infinite between species."""
    aligned = points_a @ matrices.transpose(0, 2, 1)
    costs: Floats = np.linalg.norm(aligned[:, :, None] - points_b[None, None], axis=-1)
    costs[:, numbers_a[:, None] != numbers_b[None, :]] = np.inf
    return costs


def _nearest_displacements(costs: Floats) -> Floats:
    """Lower bound of the largest displacement: every atom goes to its nearest, either way."""
    nearest: Floats = np.maximum(costs.min(axis=2).max(axis=1), costs.min(axis=1).max(axis=1))
    return nearest


def _least_displacement(costs: Floats, best: float) -> float:
    """Least bottleneck over the candidates, or `best` if none is lower."""
    nearest = _nearest_displacements(costs)
    for candidate in np.argsort(nearest, kind="stable"):
        if nearest[candidate] >= best:
            break
        best = min(best, _bottleneck(costs[candidate], nearest[candidate]))
    return best


def _bottleneck(cost: Floats, lower: float) -> float:
    """Least largest cost of a bijection, which is known to be `lower` or more."""
    levels = np.unique(cost[np.isfinite(cost) & (cost >= lower)])
    # the highest level always suffices, and the lowest often does: bisection tries it first
    below, above, middle = -1, len(levels) - 1, 0
    while above - below > 1:
        graph = csr_matrix(cost <= levels[middle])
        if (maximum_bipartite_matching(graph, perm_type="column") >= 0).all():
            above = middle
        else:
            below = middle
        middle = (below + above) // 2
    return float(levels[above])
