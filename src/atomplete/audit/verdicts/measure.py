"""Measuring one subject on one pair."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.random import Generator

from atomplete.audit.subjects.subject import Subject
from atomplete.audit.verdicts.copies import KINDS, Kind, copies
from atomplete.audit.verdicts.diagnosis import Diagnosis
from atomplete.audit.verdicts.distance import feature_distance
from atomplete.audit.verdicts.pairs import Pair
from atomplete.audit.verdicts.verdict import Measured
from atomplete.degenerate.congruence.alignment import Floats, least_squares_alignments
from atomplete.degenerate.congruence.congruence import Level
from atomplete.degenerate.random_structures import random_like

#: Lengths in Å of the displacements of perturbed members.
DISPLACEMENTS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)

# Copies of the minus member; of the plus member, all kinds are made.
_OF_MINUS: dict[Kind, int] = {"rotated": 1, "permuted": 1}

# Random structures, of which all pairs are compared.
_N_RANDOM = 4


@dataclass(frozen=True)
class Perturbed:
    """What happens to a pair as its members are displaced, both in the same way.

    Attributes
    ----------
    structural_distances
        Of the plus member from itself as it was, Å.
    feature_distances
        Likewise, of its features.
    pair_distances
        Feature distances of the two displaced members: how a pair that was not seen comes apart.
    slope
        Exponent of the feature distances in the structural distances: one, if features respond
        linearly. None if they do not rise above the noise.

    Examples
    --------
    >>> Perturbed((1e-3, 1e-2), (1e-4, 1e-3), (0.1, 0.1), 1.0).slope
    1.0
    """

    structural_distances: tuple[float, ...]
    feature_distances: tuple[float, ...]
    pair_distances: tuple[float, ...]
    slope: float | None


def measure(
    subject: Subject, pair: Pair, diagnosis: Diagnosis, *, seed: int = 0, perturbed: bool = False
) -> tuple[Measured, Perturbed | None]:
    """Describe a pair with congruent copies and random structures, and compare.

    Parameters
    ----------
    subject
        The subject, of the level of the pair.
    pair
        The two members.
    diagnosis
        Of the subject: the group that was found, and the precision, below which noise is not
        taken to be; it also counts descriptions that are not finite.
    seed
        Of copies, random structures and displacements.
    perturbed
        Whether to displace the members as well.

    Examples
    --------
    >>> from atomplete.audit.verdicts.diagnosis import diagnose
    >>> from atomplete.audit.verdicts.pairs import family_pairs
    >>> from atomplete.audit.subjects.named import subject_of
    >>> subject, pair = subject_of("power_spectrum"), family_pairs("b8", 1)[0]
    >>> found, _ = measure(subject, pair, diagnose(subject))
    >>> found.difference < 1e-12 < 1e-2 < found.typical
    True
    """
    rng = np.random.default_rng([seed, pair.number])
    same = [
        (member, kind, copy)
        for member, kinds in enumerate((KINDS, _OF_MINUS))
        for kind, copy in copies((pair.plus, pair.minus)[member], rng, kinds)
        if kind != "reflected" or diagnosis.group == "O3"
    ]
    displaced = _displaced(pair, rng) if perturbed else []
    random = [random_like(pair.plus, pair.level, rng) for _ in range(_N_RANDOM)]
    structures = [pair.plus, pair.minus, *(copy for _, _, copy in same), *displaced, *random]
    rows = subject.prepare(pair.scope)(structures)
    diagnosis.count(rows)

    def between(first: int, second: int) -> float:
        return feature_distance(rows[first], rows[second], structures[first], structures[second])

    start = 2 + len(same)
    size = max(float(np.linalg.norm(rows[k]) / np.sqrt(len(rows[k]))) for k in (0, 1))
    noise = [between(member, 2 + k) for k, (member, _, _) in enumerate(same)]
    # numbers of few bits may agree by chance: the noise is no less than their rounding
    rounding = 2.0 ** (1 - diagnosis.bits) * size
    last = range(start + len(displaced), len(structures))
    typical = [between(a, b) for a in last for b in last if a < b]
    measured = Measured(
        difference=between(0, 1),
        noise=float(np.max([*noise, rounding])),  # not a number if one of them is not
        typical=float(np.median(typical)),
        distance=pair.distance(diagnosis.group),
        noisiest=same[int(np.argmax(noise))][1] if max(noise) > 1e4 * rounding else "",
    )
    if not displaced:
        return measured, None
    steps = range(start, start + len(displaced), 2)
    moved = tuple(_moved(pair, structures[k]) for k in steps)
    response = tuple(between(0, k) for k in steps)
    apart = tuple(between(k, k + 1) for k in steps)
    slope = _slope(moved, response, 10 * measured.noise)
    return measured, Perturbed(moved, response, apart, slope)


def _displaced(pair: Pair, rng: Generator) -> list[Atoms]:
    """Plus and minus, their atoms moved alike, by each of the lengths; a lone centre cannot be."""
    directions = rng.normal(size=pair.plus.positions.shape)
    if pair.level == "environment":
        directions[int(pair.plus.info.get("center", 0))] = 0.0  # relative to the centre
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
    """How far a slightly displaced member is from itself as it was, up to a rotation, Å."""
    before, after = (atoms.positions - _origin(atoms, pair.level) for atoms in (pair.plus, copy))
    if not pair.plus.pbc.any():
        turn = least_squares_alignments(before, after[None], np.array([1]))[0]
        before = before @ turn.T
    return float(np.linalg.norm(after - before, axis=1).max())


def _origin(atoms: Atoms, level: Level) -> Floats:
    """What a displacement is relative to."""
    if level == "environment":
        return np.asarray(atoms.positions[int(atoms.info.get("center", 0))])
    return np.asarray(atoms.positions.mean(axis=0))


def _slope(x: Sequence[float], y: Sequence[float], floor: float) -> float | None:
    """Exponent of a power law through what lies above the floor, and is small."""
    points = [(a, b) for a, b in zip(x, y, strict=True) if floor < b < np.inf and 0 < a < 0.05]
    if len(points) < 2:
        return None
    log = np.log(points)
    return float(np.polyfit(log[:, 0], log[:, 1], 1)[0])
