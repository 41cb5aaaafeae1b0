"""Structures that come nearer and nearer to given features: Levenberg–Marquardt and relocations.

From random starts most fits end in local minima, where one atom or a few are in the wrong place.
Each round therefore moves single atoms of the best structures elsewhere, or exchanges atoms of two
species, takes the moves that help most, and fits all atoms again.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.random import Generator

from atomplete.audit.feature_map import FeatureMap
from atomplete.audit.search.least_squares import least_squares
from atomplete.audit.search.starts import Limits, random_positions
from atomplete.degenerate.congruence.alignment import Floats, Integers

# No coordinate moves by more in one step, Å; steps of a fit, and of the last one.
_LARGEST_STEP, _ITERATIONS, _LAST = 0.5, 25, 100

# Random structures whose features give the scales; directions of less than this part of the
# largest spread count no more than that: they would make the way to the minimum rough.
_SAMPLE, _LEAST_SPREAD = 300, 0.1

# Fits whose residuals differ by less than this part are one.
_SAME = 1e-6


@dataclass(frozen=True)
class Goal:
    """Given features of one composition, in scales in which all directions count alike.

    Attributes
    ----------
    features
        The subject, with the species as template.
    given
        The features, in the unit of the map.
    limits
        Distances to keep.
    sample
        Positions of random structures.
    scales
        (direction, feature) to multiply features with.
    """

    features: FeatureMap
    given: Float[np.ndarray, " feature"]
    limits: Limits
    sample: Float[np.ndarray, "structure atom xyz"]
    scales: Float[np.ndarray, "direction feature"]

    @classmethod
    def of(cls, features: FeatureMap, given: Floats, limits: Limits, rng: Generator) -> "Goal":
        """Measure the scales on random structures."""
        n = len(features.movable)
        sample = np.stack(
            [random_positions(rng, n, limits, features.level) for _ in range(_SAMPLE)]
        )
        values = features(sample)
        _, spread, directions = np.linalg.svd(values - values.mean(axis=0), full_matrices=False)
        spread = np.maximum(spread, _LEAST_SPREAD * spread[0]) / np.sqrt(len(sample))
        known = spread > 0
        scales = directions[known] / (spread[known] * np.sqrt(max(known.sum(), 1)))[:, None]
        return cls(features, given, limits, sample, scales)

    def distance(self, positions: Float[np.ndarray, "structure atom xyz"]) -> Floats:
        """Distance of the features of structures from those given, in the scales."""
        difference = (self.features(positions) - self.given) @ self.scales.T
        distance: Floats = np.linalg.norm(difference, axis=1)
        return distance

    def fitted(
        self,
        starts: Float[np.ndarray, "structure atom xyz"],
        iterations: int,
        keep_going: Callable[[], bool],
    ) -> tuple[Float[np.ndarray, "structure atom xyz"], Floats]:
        """Structures after a fit to the features within the limits, with what is left."""
        level, shape = self.features.level, starts.shape[1:]

        def residuals(x: Floats, problems: Integers) -> tuple[Floats, Floats]:
            # which problem it is does not matter: all have the same goal
            positions = x.reshape(len(x), *shape)
            values, jacobian = self.features.jacobian(positions)
            excess, slopes = self.limits.excess(positions, level)
            residual = (values - self.given) @ self.scales.T
            return (
                np.concatenate([residual, excess], axis=1),
                np.concatenate([self.scales @ jacobian, slopes], axis=1),
            )

        x, norm, _ = least_squares(
            residuals,
            starts.reshape(len(starts), -1),
            largest_step=_LARGEST_STEP,
            iterations=iterations,
            converged=1e-13,
            keep_going=keep_going,
        )
        return x.reshape(starts.shape), norm


class Population:
    """The best structures so far.

    Parameters
    ----------
    goal
        What they are to fit.
    size
        How many are kept.
    rng
        Source of random numbers.
    keep_going
        Asked before each step.
    number
        Of the population: each starts from others of the random structures.
    """

    def __init__(
        self,
        goal: Goal,
        size: int,
        rng: Generator,
        keep_going: Callable[[], bool],
        number: int = 0,
    ) -> None:
        self.goal, self.size, self._rng, self._keep_going = goal, size, rng, keep_going
        order = np.argsort(goal.distance(goal.sample), kind="stable")
        # the nearest first, and all again after the last
        self._starts = goal.sample[np.roll(order, -number * size)[:size]]
        self.members = np.zeros((0, *goal.sample.shape[1:]))
        self.left = np.zeros(0)
        #: Number of fits so far.
        self.fits = 0

    def advance(self, trials: int) -> None:
        """Fit the starts, keep the best of all, and make new starts from these."""
        ends, left = self.goal.fitted(self._starts, _ITERATIONS, self._keep_going)
        self.fits += len(ends)
        members, left = np.concatenate([self.members, ends]), np.concatenate([self.left, left])
        kept: list[int] = []
        for index in np.argsort(left, kind="stable"):
            apart = (abs(left[index] - left[other]) > _SAME * left[other] for other in kept)
            if len(kept) < self.size and all(apart):
                kept.append(int(index))
        self.members, self.left = members[kept], left[kept]
        if self._keep_going():
            self._starts = self._relocated(trials)

    def finished(self, index: int) -> tuple[Float[np.ndarray, "atom xyz"], float]:
        """One of the structures after a last fit."""
        ends, left = self.goal.fitted(self.members[[index]], _LAST, lambda: True)
        return ends[0], float(left[0])

    def _relocated(self, trials: int) -> Float[np.ndarray, "start atom xyz"]:
        """The best moves of single atoms, of different atoms of all members."""
        moved, kinds = [], []
        for number, member in enumerate(self.members):
            for _ in range(trials):
                copy, atom = self._moved(member)
                moved.append(copy)
                kinds.append((number, atom))
        positions = np.array(moved)
        order = np.argsort(self.goal.distance(positions), kind="stable")
        chosen: dict[tuple[int, int], int] = {}
        for index in order:
            chosen.setdefault(kinds[index], int(index))
        starts: Floats = positions[list(chosen.values())[: self.size]]
        return starts

    def _moved(self, member: Float[np.ndarray, "atom xyz"]) -> tuple[Floats, int]:
        """A copy with one atom elsewhere, or exchanged with one of another species."""
        features, rng = self.goal.features, self._rng
        numbers = features.template.numbers[-len(member) :]
        atom, copy = int(rng.integers(len(member))), member.copy()
        others = np.flatnonzero(numbers != numbers[atom])
        if len(others) and rng.random() < 0.5:
            other = int(rng.choice(others))
            copy[[atom, other]] = copy[[other, atom]]
            return copy, atom
        kept = np.delete(member, atom, axis=0)
        copy[atom] = random_positions(rng, 1, self.goal.limits, features.level, kept)[0]
        return copy, atom
