"""Distance between two descriptions, whose rows of atoms are compared as sets."""

import numpy as np
from ase import Atoms
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from atomplete.audit.subjects.subject import Rows


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
