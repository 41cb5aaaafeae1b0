"""Ends of a search: congruent copies, implausible structures, or pairs that may be finds."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from ase import Atoms
from jaxtyping import Float
from numpy.random import Generator
from scipy.spatial.transform import Rotation

from atomplete.degenerate.congruence.congruence import Group, congruence_distance
from atomplete.degenerate.congruence.correlation_order import correlation_order
from atomplete.degenerate.congruence.environment import with_positions
from atomplete.degenerate.search.feature_map import FeatureMap
from atomplete.degenerate.search.starts import Limits

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
    separation
        Least congruence distance, Å.
    correlation_order
        Least ν up to which their correlations agree in any basis: 0 counts pairs that only a
        basis too small makes equal, the ν of the representation leaves them out.
    group
        Under which the two must not be congruent.

    Examples
    --------
    >>> Target(separation=0.2)
    Target(feature_distance=1e-08, separation=0.2, correlation_order=0, group='O3')
    """

    feature_distance: float = 1e-8
    separation: float = 0.1
    correlation_order: int = 0
    group: Group = "O3"

    def met_by(self, pair: "NearPair") -> bool:
        """Whether a pair, known to be separate, is a find."""
        return (
            pair.feature_distance <= self.feature_distance
            and pair.correlation_order >= self.correlation_order
        )


@dataclass(frozen=True)
class NearPair:
    """Two structures that are not congruent, and how near a representation thinks they are.

    Attributes
    ----------
    plus, minus
        The structures.
    feature_distance
        |F(A) − F(B)| relative to |F|.
    noise
        The same between congruent copies of A: what rounding makes of zero.
    separation
        Their congruence distance, Å.
    correlation_order
        The largest ν up to which their correlations agree in any basis. Below the order that a
        representation has, it is the basis that is too small.

    Examples
    --------
    >>> NearPair(Atoms("CO"), Atoms("CO"), 2e-16, 1e-16, 0.4, 2)
    NearPair(CO, features 2e-16 apart, atoms 0.400 Å, correlations equal up to nu = 2)
    """

    plus: Atoms
    minus: Atoms
    feature_distance: float
    noise: float
    separation: float
    correlation_order: int

    def measured(self) -> dict[str, float | int]:
        """Measured values of the pair, by name."""
        return {
            "feature_distance": self.feature_distance,
            "noise_floor": self.noise,
            "separation": self.separation,
            "correlation_order": self.correlation_order,
        }

    def __repr__(self) -> str:
        """Name the formula and the distances."""
        return (
            f"NearPair({self.plus.get_chemical_formula()}, features {self.feature_distance:.0e} "
            f"apart, atoms {self.separation:.3f} Å, "
            f"correlations equal up to nu = {self.correlation_order})"
        )


def judged(
    members: Float[np.ndarray, "member atom xyz"],
    features: FeatureMap,
    limits: Limits,
    target: Target,
    rng: Generator,
) -> NearPair | Literal["congruent", "implausible"]:
    """Say what an end is: nothing, or two different structures with their distances.

    Parameters
    ----------
    members
        Positions of the two structures, Å.
    features
        The representation.
    limits
        Distances that both should keep.
    target
        Its group and separation say what counts as congruent.
    rng
        Turns the copy whose features measure the noise.

    Returns
    -------
    NearPair or str
        "congruent" if they are no farther apart than the separation.

    Examples
    --------
    >>> from atomplete.degenerate.search.feature_map import RepresentationMap
    >>> from atomplete.descriptors import NAMED, build
    >>> features = RepresentationMap(build(NAMED["power_spectrum"]), Atoms("B2"), "environment")
    >>> copies = np.array([[[0.0, 0.0, 1.2]], [[0.0, 1.2, 0.0]]])
    >>> judged(copies, features, Limits(0.9, 1.8), Target(), np.random.default_rng(0))
    'congruent'
    """
    level = features.level
    if limits.excess(members, level)[0].max() > ROUNDING:
        return "implausible"
    plus, minus = (with_positions(features.template, level, member) for member in members)
    separation = congruence_distance(plus, minus, level=level, group=target.group)
    if separation < target.separation:
        return "congruent"
    values = features(np.stack([*members, members[0] @ Rotation.random(rng=rng).as_matrix().T]))
    distances = np.linalg.norm(values[1:] - values[0], axis=1) / np.linalg.norm(values[0])
    return NearPair(
        plus=plus,
        minus=minus,
        feature_distance=float(distances[0]),
        noise=float(distances[1]),
        separation=separation,
        correlation_order=correlation_order(plus, minus, level=level, group=target.group),
    )


def distinct(pairs: list[NearPair], features: FeatureMap, target: Target) -> list[NearPair]:
    """Leave out pairs whose two members, in either order, are congruent to those of one before.

    Parameters
    ----------
    pairs
        The pairs, in the order in which they were found.
    features
        Its level says whether they are environments or structures.
    target
        Its group says what counts as congruent.

    Examples
    --------
    >>> from atomplete.degenerate.search.feature_map import CallableMap
    >>> features = CallableMap(lambda structures: np.ones((1, 1)), Atoms("OH"), "environment")
    >>> near, far = (Atoms("OH", [(0, 0, 0), (0, 0, r)]) for r in (1.0, 1.5))
    >>> turned = Atoms("OH", [(0, 0, 0), (0, 1.0, 0)])
    >>> pairs = [NearPair(near, far, 0, 0, 0.5, 0), NearPair(far, turned, 0, 0, 0.5, 0)]
    >>> len(distinct(pairs, features, Target()))
    1
    """
    found: list[NearPair] = []

    def same(a: Atoms, b: Atoms) -> bool:
        distance = congruence_distance(a, b, level=features.level, group=target.group)
        return distance < _SAME

    for pair in pairs:
        if not any(
            (same(pair.plus, x.plus) and same(pair.minus, x.minus))
            or (same(pair.plus, x.minus) and same(pair.minus, x.plus))
            for x in found
        ):
            found.append(pair)
    return found
