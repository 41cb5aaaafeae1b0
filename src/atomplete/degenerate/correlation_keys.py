"""Numbers that tell whether the correlations of subsets of a set of vertices agree.

Each tuple of vertices is given the number of its congruence class once; the correlations of order
nu of a subset are then the multiset of the numbers of its tuples, and equal multisets are found by
sums of random numbers, one for each class.
"""

from itertools import combinations

import numpy as np
from jaxtyping import Int, UInt64

from atomplete.degenerate.congruence.alignment import Floats, Integers
from atomplete.degenerate.congruence.congruence import Group, Level
from atomplete.degenerate.congruence.correlation_order import entries_of, orders_of_places

# Lengths that differ by less are equal, Å.
_TOLERANCE = 1e-6

#: Numbers of vertices, (subset, place), increasing in each subset.
Subsets = Int[np.ndarray, "subset place"]
Sums = UInt64[np.ndarray, " subset"]


class CorrelationKeys:
    """Numbers of 64 bits that agree if the correlations of two subsets do, up to order nu.

    Two different multisets get the same number by chance with a probability of 1e-19.

    Parameters
    ----------
    points
        (vertex, xyz).
    level, with_center, group
        As in `degenerate_subsets`.

    Examples
    --------
    >>> from atomplete.degenerate.vertices import ring
    >>> keys = CorrelationKeys(ring(12), "environment", True, "O3")
    >>> tetrachords = np.array([[0, 2, 5, 6], [0, 1, 3, 7]])
    >>> [len(set(keys(tetrachords, nu).tolist())) for nu in (1, 2, 3)]
    [1, 1, 2]
    """

    def __init__(self, points: Floats, level: Level, with_center: bool, group: Group) -> None:
        self._mirrors = (1, -1) if group == "O3" else (1,)
        self._structure = level == "structure"
        self._all = np.vstack([points, np.zeros(3)])  # the origin is the last
        self._center_too = self._structure and with_center
        self._tables: dict[int, dict[int, UInt64[np.ndarray, "center tuple"]]] = {}

    def __call__(self, subsets: Subsets, nu: int) -> Sums:
        """The numbers of subsets, (subset, place) with increasing vertices."""
        origin = np.full((len(subsets), 1), len(self._all) - 1)
        atoms = np.hstack([subsets, origin]) if self._center_too else subsets
        keys = np.array([self._of_mirror(atoms, origin, nu, mirror) for mirror in self._mirrors])
        least: Sums = keys.min(axis=0)
        return least

    def _of_mirror(self, atoms: Subsets, origin: Subsets, nu: int, mirror: int) -> Sums:
        """The numbers of subsets, or of their mirror images."""
        if not self._structure:
            return self._sums(origin[:, 0], atoms, nu, mirror)
        total: Sums = np.zeros(len(atoms), dtype=np.uint64)
        for place in range(atoms.shape[1]):
            others = np.delete(atoms, place, axis=1)
            total = total + _mixed(self._sums(atoms[:, place], others, nu, mirror))
        return total

    def _sums(
        self, centers: Int[np.ndarray, " subset"], others: Subsets, nu: int, mirror: int
    ) -> Sums:
        """Sum the keys of the environments of one atom of each subset, up to order nu."""
        key = np.zeros(len(centers), dtype=np.uint64)
        # the atom at the origin is of a kind of its own
        key += (centers == len(self._all) - 1).astype(np.uint64)
        for order in range(1, nu + 1):
            table = self._table(order)[mirror]
            total = np.zeros(len(centers), dtype=np.uint64)
            for places in combinations(range(others.shape[1]), order):
                total += table[centers, self._rank(others[:, places])]
            key = _mixed(key) + total
        return key

    def _rank(self, chosen: Subsets) -> Int[np.ndarray, " subset"]:
        """Position of a tuple of increasing vertices in the table."""
        rank: Int[np.ndarray, " subset"] = np.zeros(len(chosen), dtype=np.int64)
        for column in chosen.T:
            rank = rank * len(self._all) + column
        return rank

    def _table(self, nu: int) -> dict[int, UInt64[np.ndarray, "center tuple"]]:
        """A random number for the class of each tuple around each centre, and mirrored."""
        if nu not in self._tables:
            n = len(self._all)
            tuples = np.array(list(combinations(range(n), nu)), dtype=np.int64)
            centers = np.arange(n) if self._structure else np.array([n - 1])
            center, row = np.meshgrid(centers, np.arange(len(tuples)), indexing="ij")
            kept = (tuples[row] != center[..., None]).all(axis=2)
            center, chosen = center[kept], tuples[row[kept]]
            r = self._all[chosen] - self._all[center][:, None]
            has_origin = chosen == n - 1
            classes = {m: _canonical(entries_of(r, m), has_origin) for m in (1, -1)}
            both = np.concatenate([classes[1], classes[-1]])
            inverse = np.unique(both, axis=0, return_inverse=True)[1].reshape(2, -1)
            # a seed for each order: keys of different calls agree
            random = np.random.default_rng(nu).integers(
                2**64, size=inverse.max() + 1, dtype=np.uint64
            )
            self._tables[nu] = {}
            for mirror, numbers in zip((1, -1), inverse, strict=True):
                table = np.zeros((n, n**nu), dtype=np.uint64)
                table[center, self._rank(chosen)] = random[numbers]
                self._tables[nu][mirror] = table
        return self._tables[nu]


def _canonical(entries: Floats, has_origin: Subsets) -> Int[np.ndarray, "tuple entry"]:
    """Whole numbers for the entries of tuples, in the order of the places that makes them least."""
    lengths = np.unique(np.abs(entries))
    # lengths in a row of small steps are one
    numbers = np.concatenate([[0], np.cumsum(np.diff(lengths) > _TOLERANCE)])
    whole = numbers[np.searchsorted(lengths, np.abs(entries))] + (lengths[0] > _TOLERANCE)
    whole = np.where(entries < 0, -whole, whole)
    least = None
    for order, columns, signs in orders_of_places(has_origin.shape[1]):
        row = np.hstack([has_origin[:, order], whole[:, columns] * signs])
        least = row if least is None else np.where(_before(row, least)[:, None], row, least)
    return np.asarray(least)


def _before(a: Integers, b: Integers) -> Int[np.ndarray, " row"]:
    """Rows of a that come before those of b in lexicographic order."""
    differ = a != b
    first = differ.argmax(axis=1)
    rows = np.arange(len(a))
    before: Int[np.ndarray, " row"] = differ.any(axis=1) & (a[rows, first] < b[rows, first])
    return before


def _mixed(x: Sums) -> Sums:
    """A bijection that leaves no trace of sums (the finaliser of SplitMix64)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Sums = x ^ (x >> np.uint64(31))
    return mixed
