"""Distance between two descriptions, whose rows of atoms are compared as sets."""

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from atomplete.audit.subjects.subject import Rows


def in_units(rows: Sequence[Rows], unit: float | None = None) -> tuple[list[Rows], float]:
    """Return descriptions in units of about their largest number, and this unit.

    The unit is a power of two: no digit changes, and squares neither overflow nor vanish. Columns
    that hold the same number everywhere become zero, lest a large one hide the others.

    Parameters
    ----------
    rows
        Descriptions of structures of the same atoms.
    unit
        The unit, where it is known already.

    Examples
    --------
    >>> rows, unit = in_units([np.array([[3 * 2.0**600, 5.0]]), np.array([[2.0**600, 5.0]])])
    >>> rows[0], unit == 2.0**601
    (array([[1.5, 0. ]]), True)
    """
    together = np.concatenate(rows).astype(np.float64)
    varying = (together != together[0]).any(axis=0)
    if unit is None:
        unit = unit_of(together[:, varying])
    ends = np.cumsum([len(row) for row in rows])[:-1]
    return np.split(np.where(varying, together / unit, 0.0), ends), unit


def unit_of(rows: Rows) -> float:
    """Power of two that is no larger than the largest number, and more than half of it.

    Examples
    --------
    >>> unit_of(np.array([[0.3, -5.0, np.inf]]))
    4.0
    """
    largest = float(np.abs(rows[np.isfinite(rows)]).max(initial=0.0))
    return float(np.ldexp(1.0, np.frexp(largest)[1] - 1)) if largest else 1.0


def feature_distance(first: Rows, second: Rows, a: Atoms, b: Atoms) -> float:
    """Return the root mean square distance of rows, each with its partner.

    One row of a centre or of a whole structure is compared as it is. Rows of atoms are matched,
    species by species, so that the sum of squares is least: two structures are told apart by the
    *set* of their rows.

    Parameters
    ----------
    first, second
        Descriptions of `a` and `b`, (row, feature).
    a, b
        The structures.

    Returns
    -------
    float
        Not a number if a description is not finite; infinite if the rows have no partners.

    Examples
    --------
    >>> a, b = Atoms("H2"), Atoms("H2")
    >>> rows = np.array([[0.0, 1.0], [2.0, 3.0]])
    >>> feature_distance(rows, rows[::-1], a, b)
    0.0
    """
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        return float("nan")
    first, second = first.astype(np.float64), second.astype(np.float64)
    if len(first) == len(second) == 1:
        return float(np.linalg.norm(first - second))
    species = (a.numbers, b.numbers)
    if (len(first), len(second)) != (len(a), len(b)):
        species = (np.zeros(len(first)), np.zeros(len(second)))
    total = 0.0
    for number in np.unique(np.concatenate(species)):
        rows_a, rows_b = first[species[0] == number], second[species[1] == number]
        if len(rows_a) != len(rows_b):
            return float("inf")
        squares = cdist(rows_a, rows_b, "sqeuclidean")
        total += squares[linear_sum_assignment(squares)].sum()
    return float(np.sqrt(total / len(first)))
