"""Ends of a search: congruent copies, implausible structures, or pairs that may be finds."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from ase import Atoms
from jaxtyping import Float

from atomplete.audit.feature_map import FeatureMap
from atomplete.audit.precision import WITHIN, resampled
from atomplete.audit.search.starts import Limits
from atomplete.audit.verdicts.pairs import Pair
from atomplete.audit.verdicts.separation import Separation, separation
from atomplete.degenerate.congruence.congruence import Group, Level, congruence_distance
from atomplete.degenerate.congruence.correlation_order import correlation_order
from atomplete.degenerate.congruence.environment import with_positions

#: Kinds of ends of a start.
End = Literal["congruent", "implausible", "apart", "unfinished"]

#: A limit on distances is kept if it is broken by less, Å.
ROUNDING = 1e-6

# Finds within this congruence distance of each other are one, Å.
_SAME = 1e-3


@dataclass(frozen=True)
class Target:
    """Conditions under which a pair counts as a find.

    Attributes
    ----------
    feature_distance
        Largest |F(A) − F(B)|, relative to |F|.
    structural_distance
        Least congruence distance, Å.
    correlation_order
        Least ν up to which their correlations agree in any basis: 0 counts pairs that only a
        basis too small makes equal, the ν of the descriptor leaves them out.
    group
        Under which the two must not be congruent.
    rounding
        Deviation in Å up to which correlations agree.

    Examples
    --------
    >>> Target(structural_distance=0.2).feature_distance
    1e-08
    """

    feature_distance: float = 1e-8
    structural_distance: float = 0.1
    correlation_order: int = 0
    group: Group = "O3"
    rounding: float = 1e-6

    def within(self, precision: float, features: FeatureMap) -> "Target":
        """The same for a structure that is kept, whose coordinates have errors up to these, Å."""
        x = features.movable
        others = resampled(Atoms(positions=x), precision, np.random.default_rng(0))
        values = features(np.array([x, *(other.positions for other in others)]))
        away = np.linalg.norm(values - values[0], axis=1).max()
        size = float(np.linalg.norm(values[0])) or 1.0
        return replace(
            self,
            feature_distance=max(self.feature_distance, WITHIN * float(away) / size),
            rounding=max(self.rounding, 2 * WITHIN * precision),
        )

    def met_by(self, pair: "NearPair") -> bool:
        """Whether a pair, known to be separate, is a find."""
        return (
            pair.feature_distance <= self.feature_distance
            and pair.correlation_order >= self.correlation_order
        )


@dataclass(frozen=True)
class NearPair:
    """Two structures that are not congruent, and the distance of their features.

    Attributes
    ----------
    plus, minus
        The structures.
    separation
        Distances of their descriptions, measured as an audit does.
    correlation_order
        The largest ν up to which their correlations agree in any basis. Below the order that a
        descriptor has, it is the basis that is too small.

    Examples
    --------
    >>> NearPair(Atoms("CO"), Atoms("CO"), Separation(2e-16, 1e-16, 0.5, 0.4), 2)
    NearPair(CO, features 2e-16 apart, atoms 0.400 Å, correlations equal up to nu = 2)
    """

    plus: Atoms
    minus: Atoms
    separation: Separation
    correlation_order: int

    @property
    def feature_distance(self) -> float:
        """|F(A) − F(B)| relative to |F|."""
        return self._relative(self.separation.difference)

    @property
    def structural_distance(self) -> float:
        """Congruence distance, Å."""
        return self.separation.structural_distance

    def _relative(self, distance: float) -> float:
        # features that are all zero do not differ
        return distance / self.separation.size if distance else 0.0

    def measured(self) -> dict[str, float | int]:
        """Measured values of the pair, by name."""
        return {
            "feature_distance": self.feature_distance,
            "noise_floor": self._relative(self.separation.noise),
            "structural_distance": self.structural_distance,
            "correlation_order": self.correlation_order,
        }

    def __repr__(self) -> str:
        """Name the formula and the distances."""
        return (
            f"NearPair({self.plus.get_chemical_formula()}, features {self.feature_distance:.0e} "
            f"apart, atoms {self.structural_distance:.3f} Å, "
            f"correlations equal up to nu = {self.correlation_order})"
        )


def judged(
    members: Float[np.ndarray, "member atom xyz"],
    features: FeatureMap,
    limits: Limits,
    target: Target,
) -> tuple[End, NearPair | None]:
    """Tell the kind of an end and, where it is two different structures, their distances.

    Parameters
    ----------
    members
        Positions of the two structures, Å.
    features
        The subject, and the species.
    limits
        Distances that both should keep.
    target
        Its group and structural distance say what counts as congruent.

    Examples
    --------
    >>> from atomplete.audit.subjects.named import subject_of
    >>> features = FeatureMap(subject_of("power_spectrum"), Atoms("B2"), "environment", 2.5)
    >>> copies = np.array([[[0.0, 0.0, 1.2]], [[0.0, 1.2, 0.0]]])
    >>> judged(copies, features, Limits(0.9, 1.8), Target())
    ('congruent', None)
    """
    level, group = features.level, target.group
    if limits.excess(members, level)[0].max() > ROUNDING:
        return "implausible", None
    plus, minus = (with_positions(features.template, level, member) for member in members)
    if congruence_distance(plus, minus, level=level, group=group) < target.structural_distance:
        return "congruent", None
    pair = Pair("found", 0, level, plus, minus)
    measured = separation(features.subject, pair, scope=features.scope, group=group)
    order = correlation_order(plus, minus, level=level, group=group, tolerance=target.rounding)
    return "apart", NearPair(plus, minus, measured, order)


def distinct(pairs: Sequence[NearPair], level: Level, group: Group) -> list[NearPair]:
    """Leave out pairs whose two members, in either order, are congruent to those of one before.

    Parameters
    ----------
    pairs
        The pairs, in the order in which they were found.
    level, group
        In which they are compared.

    Examples
    --------
    >>> near, far = (Atoms("OH", [(0, 0, 0), (0, 0, r)]) for r in (1.0, 1.5))
    >>> turned = Atoms("OH", [(0, 0, 0), (0, 1.0, 0)])
    >>> zero = Separation(0, 0, 1, 0.5)
    >>> pairs = [NearPair(near, far, zero, 0), NearPair(far, turned, zero, 0)]
    >>> len(distinct(pairs, "environment", "O3"))
    1
    """
    found: list[NearPair] = []

    def same(a: Atoms, b: Atoms) -> bool:
        return congruence_distance(a, b, level=level, group=group) < _SAME

    for pair in pairs:
        if not any(
            (same(pair.plus, x.plus) and same(pair.minus, x.minus))
            or (same(pair.plus, x.minus) and same(pair.minus, x.plus))
            for x in found
        ):
            found.append(pair)
    return found
