"""Number and species of the neighbours, as far as features tell them."""

from itertools import combinations_with_replacement

import numpy as np
from jaxtyping import Float

from atomplete.audit.search.starts import Limits
from atomplete.audit.subjects.subject import Rows, Scope, Subject
from atomplete.degenerate.random_structures import random_environment

# Random environments from which counts are learned, and the ridge in parts of the largest spread.
_SAMPLE, _RIDGE = 600, 1e-5

# They are no smaller than this part of the longest distance.
_LEAST_RADIUS = 0.6

#: Compositions that are tried.
MOST_TRIED = 6


def likely_compositions(
    subject: Subject,
    given: Rows,
    center: int,
    species: tuple[int, ...],
    limits: Limits,
    *,
    most: int = 12,
    seed: int = 0,
) -> list[tuple[int, ...]]:
    """List compositions of an environment, the likeliest first.

    The counts of each species are estimated by a linear function of the features and of their
    roots, which is learned from random environments: invariants of one density grow with the
    number of neighbours, those of two with its square.

    Parameters
    ----------
    subject, given
        The subject, and the row of the centre.
    center
        Atomic number of the centre.
    species
        Those that neighbours may have.
    limits
        Distances of atoms.
    most
        Largest number of neighbours.
    seed
        Of the random environments.

    Examples
    --------
    >>> from ase import Atoms
    >>> from atomplete.audit import subject_of
    >>> subject = subject_of("power_spectrum")
    >>> water = Atoms("OH2", [(0, 0, 0), (0, 0, 1.0), (0, 0.9, -0.4)], info={"center": 0})
    >>> rows = subject.describe([water], Scope("environment", 2.0, (1, 8)))[0]
    >>> (8, 1, 1) in likely_compositions(subject, rows, 8, (1,), Limits(0.5, 2.0), most=4)
    True
    """
    rng = np.random.default_rng(seed)
    scope = Scope(
        "environment", subject.cutoff or limits.longest, tuple(sorted({center, *species}))
    )
    drawn = [
        (center, *rng.choice(species, int(rng.integers(1, most + 1))).tolist())
        for _ in range(_SAMPLE)
    ]
    radii = limits.longest * rng.uniform(_LEAST_RADIUS, 1.0, _SAMPLE)
    structures = [
        random_environment(numbers, radius, rng)
        for numbers, radius in zip(drawn, radii, strict=True)
    ]
    rows = np.concatenate(subject.describe(structures, scope))
    counts = np.array([[numbers[1:].count(number) for number in species] for numbers in drawn])
    estimate = _regressed(rows, counts.astype(np.float64), np.asarray(given, dtype=np.float64))[0]
    possible = [
        numbers
        for n in range(1, most + 1)
        for numbers in combinations_with_replacement(species, n)
        if abs(n - estimate.sum()) < 3
    ]

    def away(numbers: tuple[int, ...]) -> float:
        return float(np.square([numbers.count(a) for a in species] - estimate).sum())

    return [(center, *numbers) for numbers in sorted(possible, key=away)[:MOST_TRIED]]


def _regressed(
    rows: Float[np.ndarray, "structure feature"],
    targets: Float[np.ndarray, "structure target"],
    given: Float[np.ndarray, "row feature"],
) -> Float[np.ndarray, "row target"]:
    """Ridge regression on features and their roots."""
    spread = rows.std(axis=0)
    spread[spread == 0] = 1.0
    inputs = [
        np.concatenate([x / spread, np.sign(x) * np.sqrt(np.abs(x) / spread)], axis=1)
        for x in (rows, given)
    ]
    mean = inputs[0].mean(axis=0)
    left, values, directions = np.linalg.svd(inputs[0] - mean, full_matrices=False)
    damped = values / (np.square(values) + np.square(_RIDGE * values[0]))
    weights = directions.T @ (damped[:, None] * (left.T @ (targets - targets.mean(axis=0))))
    found: Float[np.ndarray, "row target"] = (inputs[1] - mean) @ weights + targets.mean(axis=0)
    return found
