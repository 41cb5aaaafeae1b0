"""Exhaustive search for degenerate pairs among the subsets of a set of vertices.

Symmetric sets have few distinct distances, and many subsets with the same ones.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
from ase import Atoms
from jaxtyping import Int, UInt64

from atomplete.degenerate.congruence.alignment import Floats, Integers
from atomplete.degenerate.congruence.congruence import Group, Level, congruence_distance
from atomplete.degenerate.congruence.environment import with_positions
from atomplete.degenerate.congruence.point_group import point_group
from atomplete.degenerate.correlation_keys import CorrelationKeys, Subsets, Sums
from atomplete.errors import InputError

#: Most subsets of one search; beyond them it would take hours.
MOST_SUBSETS = 2_000_000

#: Largest order that is compared.
MAX_NU = 4

# Subsets farther apart are not congruent, Å.
_TOLERANCE = 1e-6


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
    structural_distance
        Congruence distance, Å.

    Examples
    --------
    >>> SubsetPair(Atoms("BH"), Atoms("BH"), (0,), (1,), 1, 0.3)
    SubsetPair((0,), (1,), degenerate_nu=1, structural_distance=0.300 Å)
    """

    plus: Atoms
    minus: Atoms
    vertices_plus: tuple[int, ...]
    vertices_minus: tuple[int, ...]
    degenerate_nu: int
    structural_distance: float

    def measured(self) -> dict[str, float | int]:
        """Measured values of the pair, by name."""
        return {
            "degenerate_nu": self.degenerate_nu,
            "structural_distance": self.structural_distance,
        }

    def __repr__(self) -> str:
        """Name the vertices."""
        return (
            f"SubsetPair({self.vertices_plus}, {self.vertices_minus}, "
            f"degenerate_nu={self.degenerate_nu}, "
            f"structural_distance={self.structural_distance:.3f} Å)"
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
    SubsetPair((0, 1, 4, 6), (0, 1, 3, 7), degenerate_nu=2, structural_distance=1.500 Å)
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
    return sorted(found, key=lambda pair: (-pair.degenerate_nu, -pair.structural_distance))


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
            structural_distance=self.distance(a, b),
        )
