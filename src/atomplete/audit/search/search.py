"""Search for structures that a descriptor cannot tell apart, by optimisation.

Two structures A and B, or B alone with A given, are moved until |F(A) − F(B)| vanishes, from many
starts. Most ends are congruent copies, or minima that do not vanish; what is neither is a find.
Each is verified by exact congruence, and its correlations are compared without any basis.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy.random import Generator

from atomplete.audit.feature_map import FeatureMap
from atomplete.audit.search.least_squares import least_squares
from atomplete.audit.search.near_pair import (
    ROUNDING,
    End,
    NearPair,
    Target,
    distinct,
    judged,
)
from atomplete.audit.search.starts import Limits, displaced, family_starts, random_positions
from atomplete.degenerate.congruence.alignment import Floats, Integers
from atomplete.errors import InputError
from atomplete.runs.progress import progress_of

#: Starts that are optimised together.
BATCH = 16

# No coordinate moves by more in one step, Å.
_LARGEST_STEP = 0.5


@dataclass(frozen=True)
class Budget:
    """Limits of a search: starts, seconds and finds.

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
class SearchResult:
    """Finds of a search, and where its starts have ended.

    Attributes
    ----------
    finds
        Verified pairs, each once, the farthest apart first, and no more than were asked for.
    nearest
        Of the pairs that are no finds, the one whose feature distance is least for its
        structural distance; None if there is none.
    starts, congruent, implausible, apart, unfinished
        Number of starts, and of those that ended in a congruent copy (or nearer to one than the
        distance asked for), outside the limits, or in a pair that is no find, and of those
        that the time limit stopped before they were anything.
    seconds
        Duration.

    Examples
    --------
    >>> print(SearchResult((), None, 10, 8, 0, 2, 0, 1.5))
    nothing found from 10 starts in 1.5 s: 8 ended congruent, 0 implausible, 2 as other pairs
    """

    finds: tuple[NearPair, ...]
    nearest: NearPair | None
    starts: int
    congruent: int
    implausible: int
    apart: int
    unfinished: int
    seconds: float

    def __str__(self) -> str:
        found = f"{len(self.finds)} pairs" if self.finds else "nothing"
        stopped = f", {self.unfinished} unfinished" if self.unfinished else ""
        return (
            f"{found} found from {self.starts} starts in {self.seconds:.1f} s: "
            f"{self.congruent} ended congruent, {self.implausible} implausible, "
            f"{self.apart} as other pairs{stopped}"
        )


def search(
    features: FeatureMap,
    limits: Limits,
    *,
    move_both: bool = False,
    from_families: bool = False,
    budget: Budget | None = None,
    target: Target | None = None,
    precision: float = 0.0,
    seed: int = 0,
    progress: bool = False,
) -> SearchResult:
    """Search for a structure with the features of another, and not congruent to it.

    Parameters
    ----------
    features
        The descriptor, with a template that says the species and, unless both move, the
        structure whose double is looked for.
    limits
        Distances that both structures keep.
    move_both
        Whether to look for any pair of this composition, rather than for a double of the
        template. A structure at random has no double where the descriptor is blind on a set
        of measure zero only.
    from_families
        Start from members of known families with as many atoms, then at random.
    budget, target
        When to stop, and what counts; by default ``Budget()`` and ``Target()``.
    precision
        Largest error of the coordinates of a template that is kept, Å: features and correlations
        need to agree no better.
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
    >>> from ase import Atoms
    >>> from atomplete.audit.subjects.named import subject_of
    >>> features = FeatureMap(subject_of("radial_spectrum"), Atoms("B4"), "environment", 2.5)
    >>> search(features, Limits(0.9, 1.8), move_both=True).finds[0].correlation_order
    1
    """
    budget, target = budget or Budget(), target or Target()
    _check_template(features, limits, move_both)
    if not move_both:
        target = target.within(precision, features)
    start, rng = time.monotonic(), np.random.default_rng(seed)

    def in_time() -> bool:
        return time.monotonic() - start < budget.seconds

    ends: list[End] = []
    pairs: list[NearPair] = []
    finds: list[NearPair] = []
    with progress_of("starts", budget.starts, progress) as step:
        for batch in _batches(rng, features, limits, move_both, from_families, budget.starts):
            optimised = _optimised(batch, features, limits, move_both, in_time)
            for members, finished in zip(*optimised, strict=True):
                end, pair = judged(members, features, limits, target)
                is_find = pair is not None and target.met_by(pair)
                ends.append(end if finished or is_find else "unfinished")
                if pair is not None and ends[-1] == "apart":
                    pairs.append(pair)
                step()
            met = [pair for pair in pairs if target.met_by(pair)]
            finds = distinct(met, features.level, target.group)
            if len(finds) >= budget.finds or not in_time():
                break
    near = [pair for pair in pairs if not target.met_by(pair)]
    return SearchResult(
        finds=tuple(sorted(finds, key=lambda pair: -pair.structural_distance)[: budget.finds]),
        nearest=min(
            near, key=lambda pair: pair.feature_distance / pair.structural_distance, default=None
        ),
        starts=len(ends),
        congruent=ends.count("congruent"),
        implausible=ends.count("implausible"),
        apart=len(near),
        unfinished=ends.count("unfinished"),
        seconds=time.monotonic() - start,
    )


def _check_template(features: FeatureMap, limits: Limits, move_both: bool) -> None:
    """Refuse a template that cannot have a double, or that the search could not keep."""
    positions = features.movable
    if len(positions) < 2:
        raise InputError(f"a search takes two atoms to move or more, not {len(positions)}")
    excess = limits.excess(positions[None], features.level)[0].max()
    if not move_both and excess > ROUNDING:
        raise InputError(
            f"the structure breaks the limits {limits.shortest:g} to {limits.longest:g} Å on "
            f"distances by {excess:.3g} Å"
        )


def _batches(
    rng: Generator,
    features: FeatureMap,
    limits: Limits,
    move_both: bool,
    from_families: bool,
    n_starts: int,
) -> Iterator[Float[np.ndarray, "start member atom xyz"]]:
    """Starts, a batch at a time: first those from families, then random ones."""
    given, level = features.movable, features.level
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
) -> tuple[Float[np.ndarray, "start member atom xyz"], Bool[np.ndarray, " start"]]:
    """Ends of least-squares fits of features to features, within limits, and which are final."""
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
    x, _, finished = least_squares(residuals, x, largest_step=_LARGEST_STEP, keep_going=keep_going)
    ends = starts.copy()
    ends[:, first:] = x.reshape(n, 2 - first, n_atoms, 3)
    return ends, finished
