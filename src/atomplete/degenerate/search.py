"""Search for structures that a representation cannot tell apart, by optimisation.

Two structures A and B, or B alone with A given, are moved until |F(A) − F(B)| vanishes, from many
starts. Most ends are congruent copies, or minima that do not vanish; what is neither is a find.
Each is verified by exact congruence, and its correlations are compared without any basis.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from ase import Atoms
from jaxtyping import Float
from numpy.random import Generator
from scipy.spatial.transform import Rotation

from atomplete.degenerate.alignment import Floats, Integers
from atomplete.degenerate.congruence import Group, congruence_distance
from atomplete.degenerate.correlation_order import correlation_order
from atomplete.degenerate.feature_map import FeatureMap, with_positions
from atomplete.degenerate.least_squares import least_squares
from atomplete.degenerate.starts import Limits, displaced, family_starts, random_positions
from atomplete.errors import InputError
from atomplete.progress import progress_of

#: Starts that are optimised together.
BATCH = 16

# No coordinate moves by more in one step, Å.
_LARGEST_STEP = 0.5

# A limit on distances is kept if it is broken by less, Å.
_ROUNDING = 1e-6

# Finds within this congruence distance of each other are one, Å.
_SAME = 1e-3


@dataclass(frozen=True)
class Budget:
    """How much a search may cost, and what it looks for.

    Attributes
    ----------
    starts
        Most starts.
    seconds
        After so much time no further step is made.
    finds
        It ends with so many finds.

    Examples
    --------
    >>> Budget(starts=100)
    Budget(starts=100, seconds=300.0, finds=1)
    """

    starts: int = 1000
    seconds: float = 300.0
    finds: int = 1


@dataclass(frozen=True)
class Target:
    """What counts as a find.

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
        """What is known of the pair, by name."""
        return {
            "feature_distance": self.feature_distance,
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


@dataclass(frozen=True)
class SearchResult:
    """What a search has found, and where its starts have ended.

    Attributes
    ----------
    finds
        Verified pairs, each once, the farthest apart first.
    nearest
        Of the pairs that are no finds, the one whose feature distance is least for its
        separation; None if there is none.
    starts, congruent, implausible, apart
        Number of starts, and of those that ended in a congruent copy (or nearer to one than the
        separation asked for), outside the limits, or in a pair that is no find.
    seconds
        Duration.

    Examples
    --------
    >>> print(SearchResult((), None, 10, 8, 0, 2, 1.5))
    nothing found from 10 starts in 1.5 s: 8 ended congruent, 0 implausible, 2 as other pairs
    """

    finds: tuple[NearPair, ...]
    nearest: NearPair | None
    starts: int
    congruent: int
    implausible: int
    apart: int
    seconds: float

    def __str__(self) -> str:
        found = f"{len(self.finds)} pairs" if self.finds else "nothing"
        return (
            f"{found} found from {self.starts} starts in {self.seconds:.1f} s: "
            f"{self.congruent} ended congruent, {self.implausible} implausible, "
            f"{self.apart} as other pairs"
        )


def search(
    features: FeatureMap,
    limits: Limits,
    *,
    move_both: bool = False,
    from_families: bool = False,
    budget: Budget = Budget(),
    target: Target = Target(),
    seed: int = 0,
    progress: bool = False,
) -> SearchResult:
    """Search for a structure with the features of another, and not congruent to it.

    Parameters
    ----------
    features
        The representation, with a template that says the species and, unless both move, the
        structure whose double is looked for.
    limits
        Distances that both structures keep.
    move_both
        Whether to look for any pair of this composition, rather than for a double of the
        template. A structure at random has no double where the representation is blind on a set
        of measure zero only.
    from_families
        Start from members of known families with as many atoms, then at random.
    budget, target
        When to stop, and what counts.
    seed
        Of the random starts.
    progress
        Whether to show how far it is.

    Returns
    -------
    SearchResult
        Finding nothing within the budget proves nothing.

    Raises
    ------
    InputError
        If the template has fewer than two atoms to move, breaks the limits while it is fixed, or
        the atoms find no room within the limits.

    Examples
    --------
    >>> from atomplete.degenerate.feature_map import RepresentationMap
    >>> from atomplete.representations import NAMED, build
    >>> features = RepresentationMap(build(NAMED["radial_spectrum"]), Atoms("B4"), "environment")
    >>> search(features, Limits(0.9, 1.8), move_both=True).finds[0].correlation_order
    1
    """
    _check_template(features, limits, move_both)
    start, rng = time.monotonic(), np.random.default_rng(seed)

    def in_time() -> bool:
        return time.monotonic() - start < budget.seconds

    ends: list[NearPair | Literal["congruent", "implausible"]] = []
    finds: list[NearPair] = []
    with progress_of("starts", budget.starts, progress) as step:
        for batch in _batches(rng, features, limits, move_both, from_families, budget.starts):
            for members in _optimised(batch, features, limits, move_both, in_time):
                ends.append(_judged(members, features, limits, target, rng))
                step()
            pairs = [end for end in ends if isinstance(end, NearPair)]
            finds = _distinct([pair for pair in pairs if target.met_by(pair)], features, target)
            if len(finds) >= budget.finds or not in_time():
                break
    near = sorted(
        (pair for pair in pairs if not target.met_by(pair)),
        key=lambda pair: pair.feature_distance / pair.separation,
    )
    return SearchResult(
        finds=tuple(sorted(finds, key=lambda pair: -pair.separation)),
        nearest=near[0] if near else None,
        starts=len(ends),
        congruent=ends.count("congruent"),
        implausible=ends.count("implausible"),
        apart=len(near),
        seconds=time.monotonic() - start,
    )


def _distinct(pairs: list[NearPair], features: FeatureMap, target: Target) -> list[NearPair]:
    """Pairs of which neither member, in either order, is congruent to those of one before."""
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


def _check_template(features: FeatureMap, limits: Limits, move_both: bool) -> None:
    """Refuse a template that cannot have a double, or that the search could not keep."""
    positions = _movable(features)
    if len(positions) < 2:
        raise InputError(f"a search takes two atoms to move or more, not {len(positions)}")
    excess = limits.excess(positions[None], features.level)[0].max()
    if not move_both and excess > _ROUNDING:
        raise InputError(
            f"the structure breaks the limits {limits.shortest:g} to {limits.longest:g} Å on "
            f"distances by {excess:.3g} Å"
        )


def _movable(features: FeatureMap) -> Floats:
    """Positions of the neighbours, or of all atoms."""
    return features.template.positions[1 if features.level == "environment" else 0 :]


def _batches(
    rng: Generator,
    features: FeatureMap,
    limits: Limits,
    move_both: bool,
    from_families: bool,
    n_starts: int,
) -> Iterator[Float[np.ndarray, "start member atom xyz"]]:
    """Starts, a batch at a time: first those from families, then random ones."""
    given, level = _movable(features), features.level
    known = family_starts(len(given), limits, level) if from_families else np.zeros((0,))
    for first in range(0, n_starts, BATCH):
        batch = list(known[first : min(first + BATCH, n_starts)])
        while first + len(batch) < min(first + BATCH, n_starts):
            plus = random_positions(rng, len(given), limits, level) if move_both else given
            batch.append(np.stack([plus, displaced(rng, plus, limits, level)]))
        starts = np.array(batch)
        if not move_both:
            starts[:, 0] = given
        yield starts


def _optimised(
    starts: Float[np.ndarray, "start member atom xyz"],
    features: FeatureMap,
    limits: Limits,
    move_both: bool,
    keep_going: Callable[[], bool],
) -> Float[np.ndarray, "start member atom xyz"]:
    """The ends of least-squares fits of features to features, within limits on distances."""
    n, _, n_atoms, _ = starts.shape
    first = 0 if move_both else 1
    fixed = features(starts[:1, 0])
    scale = 1 / (float(np.linalg.norm(fixed)) or 1.0)

    def residuals(x: Floats, problems: Integers) -> tuple[Floats, Floats]:
        # which problem it is does not matter: all have the same template
        members = x.reshape(len(x), 2 - first, n_atoms, 3).transpose(1, 0, 2, 3)
        values, jacobians = zip(*map(features.jacobian, members), strict=True)
        excess, slopes = zip(*(limits.excess(m, features.level) for m in members), strict=True)
        difference = scale * (values[-1] - (values[0] if move_both else fixed))
        residual = np.concatenate([difference, *excess], axis=1)
        if not move_both:
            return residual, np.concatenate([scale * jacobians[0], slopes[0]], axis=1)
        zero = np.zeros_like(slopes[0])
        blocks = [
            [-scale * jacobians[0], scale * jacobians[1]],
            [slopes[0], zero],
            [zero, slopes[1]],
        ]
        return residual, np.block(blocks)

    x = starts[:, first:].reshape(n, -1)
    x, _ = least_squares(residuals, x, largest_step=_LARGEST_STEP, keep_going=keep_going)
    ends = starts.copy()
    ends[:, first:] = x.reshape(n, 2 - first, n_atoms, 3)
    return ends


def _judged(
    members: Float[np.ndarray, "member atom xyz"],
    features: FeatureMap,
    limits: Limits,
    target: Target,
    rng: Generator,
) -> NearPair | Literal["congruent", "implausible"]:
    """What an end is: nothing, or two different structures with their distances."""
    level = features.level
    if limits.excess(members, level)[0].max() > _ROUNDING:
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
