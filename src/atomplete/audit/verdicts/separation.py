"""Separation of a pair: how far apart a subject sees its members, above its own noise."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.random import Generator

from atomplete.audit.precision import resampled
from atomplete.audit.subjects.subject import Scope, Subject
from atomplete.audit.verdicts.copies import KINDS, Kind, copies
from atomplete.audit.verdicts.distance import feature_distance, in_units
from atomplete.audit.verdicts.pairs import CONGRUENT, Pair
from atomplete.degenerate.congruence.alignment import Floats, least_squares_alignments
from atomplete.degenerate.congruence.congruence import Group, Level
from atomplete.degenerate.random_structures import random_like
from atomplete.system import center_of

#: Lengths in Å of the displacements of perturbed members.
DISPLACEMENTS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)

# Copies of the minus member; of the plus member, all kinds are made.
_OF_MINUS: dict[Kind, int] = {"rotated": 1, "permuted": 1}

# Random structures, of which all pairs are compared.
_N_RANDOM = 4


@dataclass(frozen=True)
class Separation:
    """Distances of the descriptions of a pair, of congruent copies and of random structures.

    Attributes
    ----------
    difference
        Feature distance of the two members.
    noise
        Largest feature distance from congruent copies of either.
    typical
        Median feature distance of random structures of the same composition and size.
    structural_distance
        Distance of the members that the best alignment in the group leaves, Å.
    size
        Norm of the features of a member, root mean square over its rows.
    noisiest
        The kind of copies that differ most, if it is not rounding alone.
    imprecision
        Largest feature distance of a member from the same with other digits beyond those that
        its positions have; zero for exact positions.
    tolerance
        Structural distance up to which the members count as congruent, Å.
    described, not_finite
        How many structures were described, and how many of them badly.
    unit
        Of all feature distances here, in those of the subject.

    Examples
    --------
    >>> Separation(1e-15, 1e-15, 0.5, 0.8).expected
    0.4
    """

    difference: float
    noise: float
    typical: float
    structural_distance: float
    size: float = 1.0
    noisiest: str = ""
    imprecision: float = 0.0
    tolerance: float = CONGRUENT
    described: int = 0
    not_finite: int = 0
    unit: float = 1.0

    @property
    def congruent(self) -> bool:
        """Whether the members are the same up to the group."""
        return self.structural_distance <= self.tolerance

    @property
    def expected(self) -> float:
        """The difference of two structures as far apart that are no degenerate pair."""
        return self.typical * min(1.0, self.structural_distance)


def separation(
    subject: Subject,
    pair: Pair,
    *,
    scope: Scope | None = None,
    group: Group = "O3",
    bits: int = 53,
    seed: int = 0,
) -> Separation:
    """Describe a pair with congruent copies and random structures, and compare.

    Parameters
    ----------
    subject
        The subject, of the level of the pair.
    pair
        The two members.
    scope
        Scope of the description; by default that of the pair.
    group
        In which the subject is invariant; reflected copies are made under "O3" only.
    bits
        Significant bits of the subject, below whose rounding noise is not taken to be.
    seed
        Of copies and random structures.

    Examples
    --------
    >>> from atomplete.audit.verdicts.pairs import family_pairs
    >>> from atomplete.audit.subjects.named import subject_of
    >>> found = separation(subject_of("power_spectrum"), family_pairs("b8", 1)[0])
    >>> found.difference < 1e-12 < 1e-2 < found.typical
    True
    """
    rng = np.random.default_rng([seed, pair.number])
    same = [
        (member, kind, copy)
        for member, kinds in enumerate((KINDS, _OF_MINUS))
        for kind, copy in copies((pair.plus, pair.minus)[member], rng, kinds)
        if kind != "reflected" or group == "O3"
    ]
    random = [random_like(pair.plus, pair.level, rng) for _ in range(_N_RANDOM)]
    inexact = [
        (member, copy)
        for member, atoms in enumerate((pair.plus, pair.minus))
        for copy in resampled(atoms, pair.precision, rng)
    ]
    copied = [*(copy for _, _, copy in same), *(copy for _, copy in inexact)]
    structures = [pair.plus, pair.minus, *copied, *random]
    rows, unit = in_units(subject.describe(structures, scope or pair.scope))

    def between(first: int, second: int) -> float:
        return feature_distance(rows[first], rows[second], structures[first], structures[second])

    size = max(float(np.linalg.norm(rows[k]) / np.sqrt(len(rows[k]))) for k in (0, 1))
    noise = [between(member, 2 + k) for k, (member, _, _) in enumerate(same)]
    # numbers of few bits may agree by chance: the noise is no less than their rounding
    rounding = 2.0 ** (1 - bits) * size
    last = range(2 + len(copied), len(structures))
    displaced = [between(member, 2 + len(same) + k) for k, (member, _) in enumerate(inexact)]
    return Separation(
        difference=between(0, 1),
        noise=float(np.max([*noise, rounding])),  # not a number if one of them is not
        typical=float(np.median([between(a, b) for a in last for b in last if a < b])),
        structural_distance=pair.distance(group),
        size=size,
        noisiest=same[int(np.argmax(noise))][1] if max(noise) > 1e4 * rounding else "",
        imprecision=float(np.max([*displaced, 0.0])),
        tolerance=pair.tolerance,
        described=len(rows),
        not_finite=sum(not np.isfinite(row).all() for row in rows),
        unit=unit,
    )


@dataclass(frozen=True)
class Response:
    """Response of the features as the members of a pair are displaced, both in the same way.

    Attributes
    ----------
    structural_distances
        Of the plus member from itself as it was, Å.
    feature_distances
        Likewise, of its features, in the unit of the separation.
    pair_distances
        Feature distances of the two displaced members: how a pair that was not seen comes apart.
    slope
        Exponent of the feature distances in the structural distances: one, if features respond
        linearly. None if they do not rise above the noise.

    Examples
    --------
    >>> Response((1e-3, 1e-2), (1e-4, 1e-3), (0.1, 0.1), 1.0).slope
    1.0
    """

    structural_distances: tuple[float, ...]
    feature_distances: tuple[float, ...]
    pair_distances: tuple[float, ...]
    slope: float | None


def response(subject: Subject, pair: Pair, measured: Separation, seed: int = 0) -> Response | None:
    """Displace the atoms of both members by `DISPLACEMENTS`, and follow the features.

    Parameters
    ----------
    subject, pair
        As in `separation`.
    measured
        Separation of the pair, for its unit and its noise: the slope is that of distances above.
    seed
        Of the direction.

    Returns
    -------
    Response or None
        None for a lone centre, which cannot be displaced.

    Examples
    --------
    >>> from atomplete.audit.verdicts.pairs import family_pairs
    >>> from atomplete.audit.subjects.named import subject_of
    >>> subject, pair = subject_of("power_spectrum"), family_pairs("b8", 1)[0]
    >>> print(f"{response(subject, pair, separation(subject, pair)).slope:.2f}")
    1.00
    """
    displaced = _displaced(pair, np.random.default_rng([seed, pair.number, 1]))
    if not displaced:
        return None
    structures = [pair.plus, *displaced]
    rows, _ = in_units(subject.describe(structures, pair.scope), measured.unit)

    def between(first: int, second: int) -> float:
        return feature_distance(rows[first], rows[second], structures[first], structures[second])

    steps = range(1, len(structures), 2)
    moved = tuple(_moved(pair, structures[k]) for k in steps)
    away = tuple(between(0, k) for k in steps)
    apart = tuple(between(k, k + 1) for k in steps)
    return Response(moved, away, apart, _slope(moved, away, 10 * measured.noise))


def _displaced(pair: Pair, rng: Generator) -> list[Atoms]:
    """Plus and minus, their atoms moved alike, by each of the lengths; a lone centre cannot be."""
    directions = rng.normal(size=pair.plus.positions.shape)
    if pair.level == "environment":
        directions[center_of(pair.plus, default=0)] = 0.0  # relative to the centre
    if not directions.any():
        return []
    directions /= np.linalg.norm(directions, axis=1).max()
    structures = []
    for length in DISPLACEMENTS:
        for atoms in (pair.plus, pair.minus):
            copy = atoms.copy()
            copy.positions = atoms.positions + length * directions
            structures.append(copy)
    return structures


def _moved(pair: Pair, copy: Atoms) -> float:
    """Largest displacement of the atoms of a member, up to a rotation, Å."""
    before, after = (atoms.positions - _origin(atoms, pair.level) for atoms in (pair.plus, copy))
    if not pair.plus.pbc.any():
        turn = least_squares_alignments(before, after[None], np.array([1]))[0]
        before = before @ turn.T
    return float(np.linalg.norm(after - before, axis=1).max())


def _origin(atoms: Atoms, level: Level) -> Floats:
    """Origin that displacements are relative to."""
    if level == "environment":
        return np.asarray(atoms.positions[center_of(atoms, default=0)])
    return np.asarray(atoms.positions.mean(axis=0))


def _slope(x: Sequence[float], y: Sequence[float], floor: float) -> float | None:
    """Exponent of a power law through what lies above the floor, and is small."""
    points = [(a, b) for a, b in zip(x, y, strict=True) if floor < b < np.inf and 0 < a < 0.05]
    if len(points) < 2:
        return None
    log = np.log(points)
    return float(np.polyfit(log[:, 0], log[:, 1], 1)[0])
