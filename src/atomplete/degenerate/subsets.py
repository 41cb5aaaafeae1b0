"""Exhaustive search for degenerate pairs among the subsets of a set of vertices.

Symmetric sets have few distinct distances, and many subsets with the same ones. Each tuple of
vertices is given the number of its congruence class once; the correlations of order nu of a subset
are then the multiset of the numbers of its tuples, and equal multisets are found by sums of random
numbers, one for each class.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
from ase import Atoms
from jaxtyping import Int, UInt64

from atomplete.degenerate.alignment import Floats, Integers
from atomplete.degenerate.congruence import Group, Level, congruence_distance
from atomplete.degenerate.correlation_order import entries_of, orders_of_places
from atomplete.degenerate.feature_map import with_positions
from atomplete.degenerate.point_group import point_group
from atomplete.errors import InputError

#: Most subsets of one search; beyond them it would take hours.
MOST_SUBSETS = 2_000_000

#: Largest order that is compared.
MAX_NU = 4

# Lengths that differ by less are equal, Å.
_TOLERANCE = 1e-6

#: Numbers of vertices, (subset, place), increasing in each subset.
Subsets = Int[np.ndarray, "subset place"]
Sums = UInt64[np.ndarray, " subset"]


@dataclass(frozen=True)
class SubsetPair:
    """Two subsets with the same correlations, and no congruence between them.

    Attributes
    ----------
    plus, minus
        The structures; at the environment level the centre is atom 0, at the origin.
    vertices_plus, vertices_minus
        Numbers of the vertices.
    degenerate_nu
        Correlations agree up to this order; it is 4 where they agree up to all that were
        compared.
    separation
        Congruence distance, Å.

    Examples
    --------
    >>> SubsetPair(Atoms("BH"), Atoms("BH"), (0,), (1,), 1, 0.3)
    SubsetPair((0,), (1,), degenerate_nu=1, separation=0.300 Å)
    """

    plus: Atoms
    minus: Atoms
    vertices_plus: tuple[int, ...]
    vertices_minus: tuple[int, ...]
    degenerate_nu: int
    separation: float

    def measured(self) -> dict[str, float | int]:
        """What is known of the pair, by name."""
        return {"degenerate_nu": self.degenerate_nu, "separation": self.separation}

    def __repr__(self) -> str:
        """Name the vertices."""
        return (
            f"SubsetPair({self.vertices_plus}, {self.vertices_minus}, "
            f"degenerate_nu={self.degenerate_nu}, separation={self.separation:.3f} Å)"
        )


def degenerate_subsets(
    vertices: Floats,
    size: int,
    nu: int,
    *,
    level: Level = "environment",
    with_center: bool = True,
    group: Group = "O3",
    spacing: float = 1.5,
    symbols: tuple[str, str] = ("C", "C"),
) -> list[SubsetPair]:
    """Find all pairs of subsets that agree up to order nu, and are not congruent.

    Parameters
    ----------
    vertices
        (vertex, xyz), at most 63.
    size
        Number of vertices in a subset.
    nu
        Order up to which the pairs must agree, 1 to 3. They are compared up to order 4.
    level
        "environment", seen from the origin, or "structure", seen from every atom.
    with_center
        Whether there is an atom at the origin; at the environment level there always is.
    group
        Under "O3" enantiomers are one, under "SO3" they are a pair, if nothing tells them apart.
    spacing
        The vertices are scaled so that the shortest distance, the atom at the origin included,
        is this, Å.
    symbols
        Species of the atom at the origin, and of the vertices.

    Returns
    -------
    list of SubsetPair
        Of m subsets that all agree, m - 1 pairs with the first of them; the highest
        `degenerate_nu` first.

    Raises
    ------
    InputError
        For a size or an order that is not there, or more than two million subsets.

    References
    ----------
    Patterson, Phys. Rev. 65, 195 (1944), for subsets of rings.

    Examples
    --------
    >>> from atomplete.degenerate.vertices import vertices
    >>> degenerate_subsets(vertices("ring:12"), 4, nu=2)[0]
    SubsetPair((0, 1, 4, 6), (0, 1, 3, 7), degenerate_nu=2, separation=1.500 Å)
    """
    _check(vertices, size, nu)
    points = _scaled(vertices, spacing, with_center or level == "environment")
    subsets = _representatives(points, size, group)
    make = _Maker(points, level, with_center, group, symbols)
    keys = CorrelationKeys(points, level, with_center, group)
    higher = range(nu + 1, min(MAX_NU, size) + 1)
    found = []
    for bucket in _equal(keys(subsets, nu)):
        members = subsets[bucket]
        orders = np.zeros((0, len(members)), dtype=np.uint64)
        for order in higher:
            orders = np.vstack([orders, keys(members, order)])
            if len(set(orders[-1].tolist())) == len(members):
                break
        first, *others = make.distinct(members, orders)
        for other in others:
            agree = np.append(orders[:, first] == orders[:, other], False)
            order = nu + int(agree.argmin())
            found.append(make.pair(members[first], members[other], order))
    return sorted(found, key=lambda pair: (-pair.degenerate_nu, -pair.separation))


def _check(vertices: Floats, size: int, nu: int) -> None:
    if not 1 <= nu < MAX_NU:
        raise InputError(f"nu = {nu}: pairs agree up to an order from 1 to {MAX_NU - 1}")
    if len(vertices) > 63:
        raise InputError(f"{len(vertices)} vertices: at most 63 can be searched")
    if not 2 <= size <= len(vertices):
        raise InputError(f"subsets of {size} of {len(vertices)} vertices: take 2 or more, not all")
    if comb(len(vertices), size) > MOST_SUBSETS:
        raise InputError(
            f"{comb(len(vertices), size)} subsets of {size} of {len(vertices)} vertices are more "
            f"than {MOST_SUBSETS}"
        )


def _scaled(vertices: Floats, spacing: float, has_center: bool) -> Floats:
    """Vertices whose shortest distance, to the origin too if there is an atom, is as asked."""
    one, two = np.triu_indices(len(vertices), 1)
    shortest = np.linalg.norm(vertices[one] - vertices[two], axis=1).min()
    if has_center:
        shortest = min(shortest, np.linalg.norm(vertices, axis=1).min())
    scaled: Floats = vertices * (spacing / shortest)
    return scaled


def _representatives(points: Floats, size: int, group: Group) -> Subsets:
    """One subset of each orbit under the symmetries of the vertices."""
    symmetries = point_group(points, np.zeros(len(points), dtype=np.int64))
    if group == "SO3":
        symmetries = symmetries.proper()
    subsets = np.array(list(combinations(range(len(points)), size)), dtype=np.int64)
    bits = np.uint64(1) << np.arange(len(points), dtype=np.uint64)
    least = np.full(len(subsets), np.iinfo(np.uint64).max, dtype=np.uint64)
    for permutation in symmetries.permutations:
        np.minimum(least, bits[permutation][subsets].sum(axis=1, dtype=np.uint64), out=least)
    chosen: Subsets = subsets[np.unique(least, return_index=True)[1]]
    return chosen


def _equal(keys: Sums) -> Iterator[Int[np.ndarray, " member"]]:
    """Positions of the keys that come more than once, key by key."""
    order = np.argsort(keys, kind="stable")
    borders = np.nonzero(np.diff(keys[order]))[0] + 1
    yield from (bucket for bucket in np.split(order, borders) if len(bucket) > 1)


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
        """Of the environments of one atom of each subset, up to order nu."""
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


@dataclass(frozen=True)
class _Maker:
    """Makes structures of subsets, and compares them."""

    points: Floats
    level: Level
    with_center: bool
    group: Group
    symbols: tuple[str, str]

    def structure(self, subset: Integers) -> Atoms:
        """The atoms of a subset, the one at the origin first."""
        positions = self.points[subset]
        center, vertex = self.symbols
        if self.level == "environment":
            template = Atoms([center] + [vertex] * len(subset))
            return with_positions(template, "environment", positions)
        if self.with_center:
            return Atoms([center] + [vertex] * len(subset), np.vstack([np.zeros(3), positions]))
        return Atoms([vertex] * len(subset), positions)

    def distance(self, a: Integers, b: Integers) -> float:
        """Congruence distance, Å."""
        both = (self.structure(a), self.structure(b))
        return congruence_distance(*both, level=self.level, group=self.group)

    def distinct(self, subsets: Subsets, orders: UInt64[np.ndarray, "order subset"]) -> list[int]:
        """Positions of the first of each congruence class; congruent ones agree at every order."""
        found: list[int] = []
        for k, subset in enumerate(subsets):
            alike = (j for j in found if (orders[:, j] == orders[:, k]).all())
            if all(self.distance(subset, subsets[j]) > _TOLERANCE for j in alike):
                found.append(k)
        return found

    def pair(self, a: Integers, b: Integers, degenerate_nu: int) -> SubsetPair:
        """The pair with its labels."""
        return SubsetPair(
            plus=self.structure(a),
            minus=self.structure(b),
            vertices_plus=tuple(a.tolist()),
            vertices_minus=tuple(b.tolist()),
            degenerate_nu=degenerate_nu,
            separation=self.distance(a, b),
        )
