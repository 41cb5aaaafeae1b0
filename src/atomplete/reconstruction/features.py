"""Structures from the features of any subject of an audit, from many starts."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from atomplete.audit.feature_map import FeatureMap
from atomplete.audit.search.starts import Limits
from atomplete.audit.subjects.subject import Rows, Subject
from atomplete.degenerate.congruence.alignment import Floats
from atomplete.degenerate.congruence.congruence import Group, Level, congruence_distance
from atomplete.degenerate.congruence.environment import with_positions
from atomplete.errors import InputError
from atomplete.reconstruction.population import Goal, Population
from atomplete.reconstruction.solution import Reconstruction, Verdict

# Structures within this distance of each other are one, Å.
_SAME = 1e-3

# Residuals, scaled or relative, from which a last fit is worth its time.
_NEARLY = 1e-5

# A limit on distances may be broken by so much, Å.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Effort:
    """Limits of the fits.

    Attributes
    ----------
    populations
        Times that it is begun anew, from other random structures: each ends with a solution, or
        with none.
    size
        Structures that are fitted together.
    rounds
        Most rounds of a population.
    trials
        Moves of atoms that are tried for each structure and round.
    seconds
        After so much time no further step is made.

    Examples
    --------
    >>> Effort(populations=1).rounds
    12
    """

    populations: int = 3
    size: int = 8
    rounds: int = 12
    trials: int = 200
    seconds: float = 120.0


def from_features(
    subject: Subject,
    given: Rows,
    compositions: Sequence[Sequence[int]],
    limits: Limits,
    *,
    level: Level = "environment",
    effort: Effort | None = None,
    tolerance: float = 1e-9,
    seed: int = 0,
) -> Reconstruction:
    """Find structures that have the given features, several if there are.

    Parameters
    ----------
    subject
        Any subject of an audit.
    given
        (row, feature): the row of a centre or of a structure, or rows of all atoms.
    compositions
        Atomic numbers, the centre first at the environment level: each is tried, in this order,
        until one has structures with these features.
    limits
        Distances that the structures keep; the longest is the cutoff at the environment level.
    level
        "environment" or "structure".
    effort
        How long to look; by default ``Effort()``.
    tolerance
        Distance of the features, relative to those given, up to which they agree.
    seed
        Of all that is random.

    Returns
    -------
    Reconstruction
        "determined" says that all populations which ended in a solution ended in the same.

    Raises
    ------
    InputError
        If the features are not those of the subject.

    Examples
    --------
    >>> from atomplete.audit import subject_of
    >>> subject = subject_of("power_spectrum")
    >>> water = Atoms("OH2", [(0, 0, 0), (0, 0, 1.0), (0, 0.9, -0.4)], info={"center": 0})
    >>> scope = FeatureMap(subject, water, "environment", 2.0).scope
    >>> rows = subject.describe([water], scope)[0]
    >>> found = from_features(subject, rows, [(8, 1), (8, 1, 1)], Limits(0.5, 2.0))
    >>> found.verdict, congruence_distance(found.structures[0], water) < 1e-6
    ('determined', True)
    """
    effort = effort or Effort()
    end = time.monotonic() + effort.seconds
    species = tuple(sorted({number for numbers in compositions for number in numbers}))
    tried = []
    for numbers in compositions:
        features = _map(subject, numbers, level, limits, species)
        found = _of_composition(features, given, limits, effort, tolerance, seed, end)
        if found.structures:
            return found
        tried.append(found)
        if time.monotonic() > end:
            break
    if not tried:
        raise InputError("no composition to try")
    return min(tried, key=lambda found: found.residual)


def _map(
    subject: Subject,
    numbers: Sequence[int],
    level: Level,
    limits: Limits,
    species: tuple[int, ...],
) -> FeatureMap:
    """Features of one composition; all have the basis of all species."""
    template = Atoms(list(numbers), np.zeros((len(numbers), 3)))
    template.positions[:, 0] = np.linspace(0, limits.longest, len(numbers))
    if len(numbers) < 2:
        raise InputError("a composition has two atoms or more")
    return FeatureMap(subject, template, level, limits.longest, species)


def _of_composition(
    features: FeatureMap,
    rows: Rows,
    limits: Limits,
    effort: Effort,
    tolerance: float,
    seed: int,
    end: float,
) -> Reconstruction:
    """Structures of one composition."""
    name, level = features.template.get_chemical_formula(), features.level
    goal = _goal(features, rows, limits, seed)
    size = float(np.linalg.norm(goal.given)) or 1.0
    solutions: list[Atoms] = []
    hits: list[int] = []
    best, fits, unsolved, residual = np.inf, 0, 0, 0.0
    fitted: Atoms | None = None
    group: Group = features.subject.group or "SO3"

    def in_time() -> bool:
        return time.monotonic() < end

    def residual_of(positions: Floats) -> float:
        return float(np.linalg.norm(features(positions[None])[0] - goal.given)) / size

    for number in range(effort.populations):
        rng = np.random.default_rng((seed, number))
        population = Population(goal, effort.size, rng, in_time, number)
        solved = False
        for _ in range(effort.rounds):
            population.advance(effort.trials)
            # features with noise leave something, however near they are
            nearly = max(_NEARLY, 2 * tolerance)
            if population.left[0] < _NEARLY or residual_of(population.members[0]) < nearly:
                positions, _ = population.finished(0)
                off = residual_of(positions)
                kept = limits.excess(positions[None], level)[0].max(initial=0.0) < _ROUNDING
                solved = off <= tolerance and bool(kept)
            if solved or not in_time():
                break
        fits += population.fits
        if not solved:
            positions, _ = population.finished(0)
            off = residual_of(positions)
            if off < best:
                best, fitted = off, with_positions(features.template, level, positions)
            unsolved += 1
        else:
            residual = max(residual, off)
            atoms = with_positions(features.template, level, positions)
            for index, other in enumerate(solutions):
                if congruence_distance(atoms, other, level=level, group=group) < _SAME:
                    hits[index] += 1
                    break
            else:
                solutions.append(atoms)
                hits.append(1)
        if not in_time():
            break
    ends = ", ".join(f"{count} in structure {index}" for index, count in enumerate(hits))
    statement = f"{name}: of {sum(hits) + unsolved} populations ({fits} fits) " + (
        f"{ends} ended, {unsolved} in none" if hits else "none ended in a structure"
    )
    verdict: Verdict = "no structure"
    if solutions:
        verdict = "determined" if len(solutions) == 1 else "degenerate"
    residual = residual if solutions else best
    return Reconstruction(verdict, tuple(solutions), residual, statement, level, group, fitted)


def _goal(features: FeatureMap, rows: Rows, limits: Limits, seed: int) -> Goal:
    """Given features, checked."""
    rows = np.asarray(rows, dtype=np.float64)
    if rows.ndim != 2 or not np.isfinite(rows).all():
        raise InputError(f"features of shape {rows.shape} are no finite rows")
    expected = features.subject.describe(
        [with_positions(features.template, features.level, features.movable)], features.scope
    )[0]
    if rows.shape != expected.shape:
        raise InputError(
            f"{features.subject.name} has features of shape {expected.shape} for "
            f"{features.template.get_chemical_formula()}, not {rows.shape}"
        )
    rng = np.random.default_rng(seed)
    return Goal.of(features, features.one_row(rows), limits, rng)
