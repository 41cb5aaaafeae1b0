"""Auditing subjects on families and on the user's pairs."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from atomplete.audit.diagnosis import Diagnosis, diagnose
from atomplete.audit.measure import Perturbed, measure
from atomplete.audit.pairs import Pair, family_pairs
from atomplete.audit.subject import CannotDescribe, Subject
from atomplete.audit.user_pairs import UserPairs, user_pairs
from atomplete.audit.verdict import Measured, Verdict, verdict_on
from atomplete.degenerate.families import FAMILIES, get
from atomplete.errors import InputError
from atomplete.progress import progress_of

#: Members of each family whose displacement is followed.
N_PERTURBED = 3


@dataclass(frozen=True)
class Row:
    """The verdict on one subject and one pair; ``as_json`` is a row of ``audit.json``.

    Examples
    --------
    >>> from atomplete.audit.subjects import subject_of
    >>> result = audit([subject_of("power_spectrum")], ["b8"], n=1, progress=False)
    >>> result.rows[0].verdict, result.rows[0].as_json()["family"]
    ('blind', 'b8')
    """

    subject: str
    pair: Pair
    group: str
    verdict: Verdict
    reason: str
    measured: Measured | None
    perturbed: Perturbed | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain data, with null for what is not finite or not known."""
        number = "pair_id" if self.pair.own else "member"
        row: dict[str, Any] = {
            "subject": self.subject,
            "family": self.pair.family,
            number: self.pair.number,
            "level": self.pair.level,
            "group": self.group,
            "verdict": self.verdict,
            "reason": self.reason,
            "cutoff": self.pair.scope.cutoff,
        }
        if self.measured is not None:
            typical = self.measured.typical
            row |= {
                "separation": _finite(self.measured.difference, typical),
                "noise_floor": _finite(self.measured.noise, typical),
                "separation_over_noise": _finite(self.measured.difference, self.measured.noise),
                "typical_difference": _finite(typical, 1.0),
                "structural_distance": _finite(self.measured.distance, 1.0),
                "congruent": self.measured.congruent,
            }
        if self.perturbed is not None and self.measured is not None:
            typical = self.measured.typical
            row |= {
                "slope": self.perturbed.slope,
                "structural_distances": self.perturbed.structural_distances,
                "feature_distances": [x / typical for x in self.perturbed.feature_distances],
                "perturbed_separations": [x / typical for x in self.perturbed.pair_distances],
            }
            if not np.isfinite([*row["feature_distances"], *row["structural_distances"]]).all():
                for key in ("structural_distances", "feature_distances", "perturbed_separations"):
                    del row[key]
        return row


@dataclass(frozen=True)
class Audit:
    """What an audit has found.

    Attributes
    ----------
    rows
        A verdict for each subject and pair of a level that it describes.
    diagnoses
        Of each subject, by name.
    user_pairs
        What was read from the user's file.

    Examples
    --------
    >>> Audit([], {}, None)
    Audit(0 verdicts on 0 subjects)
    """

    rows: list[Row]
    diagnoses: dict[str, Diagnosis] = field(default_factory=dict)
    user_pairs: UserPairs | None = None

    def __repr__(self) -> str:
        return f"Audit({len(self.rows)} verdicts on {len(self.diagnoses)} subjects)"


def audit(
    subjects: Sequence[Subject],
    families: Sequence[str] | None = None,
    *,
    n: int = 20,
    seed: int | None = None,
    pairs: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> Audit:
    """Find out what each subject tells apart.

    Parameters
    ----------
    subjects
        As ``subject_of`` makes them.
    families
        Names of families; by default all, or none where the user's own pairs are given.
    n
        Members of each family.
    seed
        Of random members; by default each family's own.
    pairs
        File of the user's own pairs.
    progress
        Whether to show how far it is.

    Returns
    -------
    Audit
        Rows in the order of subjects, families and members.

    Raises
    ------
    InputError
        For an unknown family, a file of pairs that cannot be used, or a subject that fails.

    Examples
    --------
    >>> from atomplete.audit.subjects import subject_of
    >>> subjects = [subject_of("power_spectrum"), subject_of("three_center")]
    >>> result = audit(subjects, ["antipodal"], n=2, progress=False)
    >>> [row.verdict for row in result.rows]
    ['blind', 'blind', 'separates', 'separates']
    """
    if families is None:
        families = list(FAMILIES) if pairs is None else []
    known = [get(name).name for name in families]
    own = None if pairs is None else user_pairs(pairs)
    todo = [pair for name in known for pair in family_pairs(name, n, seed)]
    todo += [] if own is None else own.pairs
    result = Audit([], user_pairs=own)
    total = sum(pair.level in subject.levels for subject in subjects for pair in todo)
    with progress_of("pairs", total, progress) as step:
        for subject in subjects:
            diagnosis = result.diagnoses[subject.name] = diagnose(subject)
            for row in _rows(subject, diagnosis, todo):
                result.rows.append(row)
                step()
    return result


def _rows(subject: Subject, diagnosis: Diagnosis, pairs: Sequence[Pair]) -> Iterator[Row]:
    """Verdicts on one subject."""
    followed: dict[str, int] = {}
    for pair in pairs:
        if pair.level not in subject.levels:
            continue
        count = followed[pair.family] = followed.get(pair.family, 0) + 1
        try:
            measured, perturbed = measure(subject, pair, diagnosis, perturbed=count <= N_PERTURBED)
        except CannotDescribe as error:
            yield Row(subject.name, pair, diagnosis.group, "undecided", str(error), None)
            continue
        except InputError as error:
            raise InputError(f"{error}: family {pair.family}, pair {pair.number}") from error
        verdict, reason = verdict_on(measured)
        if diagnosis.broken is not None:
            verdict, reason = "broken", diagnosis.broken
        yield Row(subject.name, pair, diagnosis.group, verdict, reason, measured, perturbed)


def _finite(value: float, unit: float) -> float | None:
    """The value in that unit, where both are numbers to divide by."""
    return value / unit if np.isfinite([value, unit]).all() and unit > 0 else None
