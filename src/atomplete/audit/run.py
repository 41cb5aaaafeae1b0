"""Auditing subjects on families and on the user's pairs."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from atomplete.audit.subjects.subject import CannotDescribe, Subject
from atomplete.audit.unfinished import Unfinished
from atomplete.audit.verdicts.diagnosis import Diagnosis, diagnose
from atomplete.audit.verdicts.measure import measure
from atomplete.audit.verdicts.pairs import Pair, family_pairs
from atomplete.audit.verdicts.row import Row
from atomplete.audit.verdicts.user_pairs import UserPairs, user_pairs
from atomplete.audit.verdicts.verdict import verdict_on
from atomplete.degenerate.families.registry import FAMILIES, get
from atomplete.errors import InputError
from atomplete.runs.progress import progress_of

#: Members of each family whose displacement is followed.
N_PERTURBED = 3


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
    unfinished: Unfinished | None = None,
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
    unfinished
        Where the rows of a subject on a family are kept as soon as they are there, and taken from
        if they are.
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
    >>> from atomplete.audit.subjects.named import subject_of
    >>> subjects = [subject_of("radial_spectrum"), subject_of("power_spectrum")]
    >>> result = audit(subjects, ["distances"], n=2, progress=False)
    >>> [row.verdict for row in result.rows]
    ['blind', 'blind', 'separates', 'separates']
    """
    if families is None:
        families = list(FAMILIES) if pairs is None else []
    known = dict.fromkeys(get(name).name for name in families)
    own = None if pairs is None else user_pairs(pairs)
    subjects = list({subject.name: subject for subject in subjects}.values())
    todo = [family_pairs(name, n, seed) for name in known]
    todo += [] if own is None else [own.pairs]
    result = Audit([], user_pairs=own)
    total = sum(p.level in subject.levels for subject in subjects for pairs in todo for p in pairs)
    with progress_of("pairs", total, progress) as step:
        for subject in subjects:
            levels = [[p for p in pairs if p.level in subject.levels] for pairs in todo]
            described = [pairs for pairs in levels if pairs]
            if not described:
                result.diagnoses[subject.name] = diagnose(subject)
            for rows, diagnosis in _families(subject, described, unfinished, step):
                result.rows.extend(rows)
                result.diagnoses[subject.name] = diagnosis
    return result


def _families(
    subject: Subject,
    families: Sequence[Sequence[Pair]],
    unfinished: Unfinished | None,
    step: Callable[[], None],
) -> Iterator[tuple[list[Row], Diagnosis]]:
    """Verdicts on one subject, family by family, and the diagnosis as it is by then."""
    diagnosis = None
    for pairs in families:
        kept = None if unfinished is None else unfinished.find(subject.name, pairs)
        if kept is not None:
            rows, diagnosis = kept
            for _ in rows:
                step()
        else:
            diagnosis = diagnosis or diagnose(subject)
            rows = []
            for number, pair in enumerate(pairs):
                rows.append(_row(subject, diagnosis, pair, perturbed=number < N_PERTURBED))
                step()
            if unfinished is not None:
                unfinished.keep(subject.name, pairs, rows, diagnosis)
        yield rows, diagnosis


def _row(subject: Subject, diagnosis: Diagnosis, pair: Pair, *, perturbed: bool) -> Row:
    """The verdict on one pair."""
    try:
        measured, response = measure(subject, pair, diagnosis, perturbed=perturbed)
    except CannotDescribe as error:
        return Row(subject.name, pair, diagnosis.group, "undecided", str(error), None)
    except InputError as error:
        raise InputError(f"{error}: family {pair.family}, pair {pair.number}") from error
    verdict, reason = verdict_on(measured)
    if diagnosis.broken is not None:
        verdict, reason = "broken", diagnosis.broken
    return Row(subject.name, pair, diagnosis.group, verdict, reason, measured, response)
