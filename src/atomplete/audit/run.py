"""Auditing subjects on families and on the user's pairs."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path

from pydantic import BaseModel

from atomplete.audit.records import PairVerdict
from atomplete.audit.subjects.subject import CannotDescribe, Subject
from atomplete.audit.verdicts.diagnosis import Diagnosis, diagnose
from atomplete.audit.verdicts.pairs import Pair, family_pairs
from atomplete.audit.verdicts.separation import response, separation
from atomplete.audit.verdicts.user_pairs import UserPairs, user_pairs
from atomplete.audit.verdicts.verdict import verdict_on
from atomplete.data import content_hash
from atomplete.degenerate.families.registry import FAMILIES, get
from atomplete.errors import InputError
from atomplete.runs.progress import progress_of
from atomplete.runs.provenance import COMPUTING, versions_of
from atomplete.runs.store import Store, identity_of

#: Members of each family whose displacement is followed.
N_PERTURBED = 3


@dataclass(frozen=True)
class Audit:
    """Results of an audit.

    Attributes
    ----------
    rows
        A verdict for each subject and pair of a level that it describes.
    diagnoses
        Of each subject, by name.
    pairs
        All pairs that were looked at.
    user_pairs
        Contents of the user's file.

    Examples
    --------
    >>> Audit([])
    Audit(0 verdicts on 0 subjects)
    """

    rows: list[PairVerdict]
    diagnoses: dict[str, Diagnosis] = field(default_factory=dict)
    pairs: list[Pair] = field(default_factory=list)
    user_pairs: UserPairs | None = None

    def __repr__(self) -> str:
        return f"Audit({len(self.rows)} verdicts on {len(self.diagnoses)} subjects)"


class FamilyVerdicts(BaseModel):
    """Verdicts of one subject on one family, and its diagnosis as it was by then.

    Examples
    --------
    >>> FamilyVerdicts(rows=[], diagnosis=Diagnosis(group="O3")).diagnosis.group
    'O3'
    """

    rows: list[PairVerdict]
    diagnosis: Diagnosis


def audit(
    subjects: Sequence[Subject],
    families: Sequence[str] | None = None,
    *,
    n: int = 20,
    seed: int | None = None,
    pairs: str | os.PathLike[str] | None = None,
    position_precision: float | None = None,
    store: Store | None = None,
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
    position_precision
        Largest error of their coordinates, Å; by default what their digits leave open.
    store
        Keeps the verdicts of a subject on a family as soon as they are there; an audit that was
        interrupted goes on after them.
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
    own = None if pairs is None else user_pairs(pairs, position_precision)
    subjects = list({subject.name: subject for subject in subjects}.values())
    todo = [family_pairs(name, n, seed) for name in known]
    todo += [] if own is None else [own.pairs]
    everything = [pair for pairs in todo for pair in pairs]
    result = Audit([], pairs=everything, user_pairs=own)
    total = sum(pair.level in subject.levels for subject in subjects for pair in everything)
    with progress_of("pairs", total, progress) as step:
        for subject in subjects:
            described = [pairs for pairs in todo if pairs and pairs[0].level in subject.levels]
            if not described:
                result.diagnoses[subject.name] = diagnose(subject)
            for found in _families(subject, described, store, step):
                result.rows.extend(found.rows)
                result.diagnoses[subject.name] = found.diagnosis
    return result


def identity_of_subject(subject: Subject, pairs: Sequence[Pair]) -> str:
    """Identity of verdicts: the pairs, the files of the subject, and versions of what describes.

    Neither the imports of a function nor the files that a model names are looked at.

    Examples
    --------
    >>> from atomplete.audit.subjects.named import subject_of
    >>> one, other = (family_pairs("b8", n) for n in (1, 2))
    >>> subject = subject_of("power_spectrum")
    >>> identity_of_subject(subject, one) == identity_of_subject(subject, other)
    False
    """
    place = subject.name.partition("?")[0]
    # model.pt, file.py:function, package:FILE, and the file of module:function
    names = [place, place.rpartition(":")[0], place.partition(":")[2]]
    module = getattr(sys.modules.get(names[1]), "__file__", None)
    paths = [Path(name) for name in (*names, module) if name]
    files = [sha256(path.read_bytes()).hexdigest() for path in paths if path.is_file()]
    told = [
        (p.family, p.number, p.scope, p.precision, str(p.plus.info.get("center"))) for p in pairs
    ]
    structures = [atoms for pair in pairs for atoms in (pair.plus, pair.minus)]
    used = versions_of({*COMPUTING, subject.package})
    return identity_of(subject.name, subject.options, files, told, content_hash(structures), used)


def _families(
    subject: Subject,
    families: Sequence[Sequence[Pair]],
    store: Store | None,
    step: Callable[[], None],
) -> Iterator[FamilyVerdicts]:
    """Verdicts on one subject, family by family, and the diagnosis as it is by then."""
    diagnosis: Diagnosis | None = None
    for pairs in families:
        make = partial(_family, subject, pairs, diagnosis)
        if store is None:
            found = make()
        else:
            identity = identity_of_subject(subject, pairs)
            found = store.get(identity[:32], identity, FamilyVerdicts, make)
        diagnosis = found.diagnosis
        for _ in pairs:
            step()
        yield found


def _family(subject: Subject, pairs: Sequence[Pair], diagnosis: Diagnosis | None) -> FamilyVerdicts:
    diagnosis = diagnose(subject) if diagnosis is None else diagnosis.model_copy(deep=True)
    rows = [
        judge(subject, pair, diagnosis, displaced=number < N_PERTURBED)
        for number, pair in enumerate(pairs)
    ]
    return FamilyVerdicts(rows=rows, diagnosis=diagnosis)


def judge(
    subject: Subject, pair: Pair, diagnosis: Diagnosis, *, displaced: bool = False
) -> PairVerdict:
    """Measure the separation of one pair, and give the verdict on it.

    Parameters
    ----------
    subject, pair
        The subject, of the level of the pair.
    diagnosis
        Of the subject; it counts the structures that are described.
    displaced
        Whether to follow displacements of both members as well.

    Examples
    --------
    >>> from atomplete.audit.subjects.named import subject_of
    >>> subject = subject_of("power_spectrum")
    >>> judge(subject, family_pairs("b8", 1)[0], diagnose(subject)).verdict
    'blind'
    """
    group, bits = diagnosis.group, diagnosis.significant_bits
    try:
        found = separation(subject, pair, group=group, bits=bits)
        moved = response(subject, pair, found) if displaced else None
    except CannotDescribe as error:
        return PairVerdict.of(subject.name, pair, group, "undecided", str(error))
    except InputError as error:
        raise InputError(f"{error}: family {pair.family}, pair {pair.number}") from error
    diagnosis.count(found.described, found.not_finite)
    verdict, reason = verdict_on(found)
    if diagnosis.broken is not None:
        verdict, reason = "broken", diagnosis.broken
    return PairVerdict.of(subject.name, pair, group, verdict, reason, found, moved)
