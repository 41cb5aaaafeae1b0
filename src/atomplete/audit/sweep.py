"""How fine a basis has to be for a family to be told apart."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from atomplete.audit.subjects.subject import CannotDescribe, Resolution, Subject
from atomplete.audit.verdicts.diagnosis import Diagnosis, diagnose
from atomplete.audit.verdicts.measure import measure
from atomplete.audit.verdicts.pairs import Pair, family_pairs
from atomplete.audit.verdicts.verdict import verdict_on
from atomplete.degenerate.families.registry import get
from atomplete.errors import InputError
from atomplete.runs.progress import progress_of

#: From coarse to fine: radial functions and angular orders grow together; then single precision,
#: and a smeared density, in the last basis.
LADDER = (
    *(Resolution(n, l) for n, l in ((1, 0), (1, 1), (2, 1), (2, 2), (3, 3), (4, 4), (4, 6))),
    Resolution(4, 6, dtype="float32"),
    Resolution(4, 6, width=0.5),
)

# Steps after the ladder proper, which ask what is lost again.
_N_BASIS = 7


@dataclass(frozen=True)
class SweepRow:
    """Where on the ladder a subject tells a family apart.

    Attributes
    ----------
    subject, family
        Names.
    smallest
        The first basis that separates all members; None if none does.
    separated
        How many of the members each step of the ladder separates.
    n
        Members of the family that were looked at.

    Examples
    --------
    >>> SweepRow("power_spectrum", "distances", Resolution(1, 1), (0, 5), 5).text
    'n=1, l≤1'
    """

    subject: str
    family: str
    smallest: Resolution | None
    separated: tuple[int, ...]
    n: int

    @property
    def text(self) -> str:
        """The smallest basis in words; what single precision or a smeared density lose."""
        if self.smallest is None:
            return "never" if not any(self.separated) else f"{max(self.separated)} of {self.n}"
        lost = [
            f"{name} {count} of {self.n}"
            for name, count in zip(("float32", "0.5 Å"), self.separated[_N_BASIS:], strict=False)
            if count < self.n
        ]
        return str(self.smallest) + (f" ({'; '.join(lost)})" if lost else "")

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        steps = [asdict(step) for step in LADDER]
        return {**asdict(self), "ladder": steps[: len(self.separated)]}


def sweep(
    subjects: Sequence[Subject],
    families: Sequence[str],
    *,
    n: int = 5,
    seed: int | None = None,
    progress: bool = True,
) -> list[SweepRow]:
    """Find the smallest basis in which each family is told apart.

    Parameters
    ----------
    subjects
        Those without a basis to choose are left out.
    families
        Names; controls are left out, and what a subject does not describe in any basis.
    n
        Members of each.
    seed
        Of random members; by default each family's own.
    progress
        Whether to show how far it is.

    Examples
    --------
    >>> from atomplete.audit.subjects.named import subject_of
    >>> (row,) = sweep([subject_of("power_spectrum")], ["distances"], n=1, progress=False)
    >>> row.text
    'n=1, l≤1'
    """
    chosen = [subject for subject in subjects if subject.at is not None]
    known = [get(name) for name in families if not get(name).congruent]
    rows = []
    with progress_of("resolutions", len(chosen) * len(LADDER), progress) as step:
        for subject in chosen:
            pairs = {
                family.name: family_pairs(family.name, n, seed)
                for family in known
                if family.level in subject.levels
            }
            counts: dict[str, list[int | None]] = {name: [] for name in pairs}
            for resolution in LADDER:
                for name, count in _separated(subject, resolution, pairs).items():
                    counts[name].append(count)
                step()
            described = [name for name, found in counts.items() if set(found) != {None}]
            rows += [
                _row(subject.name, name, [count or 0 for count in counts[name]], n)
                for name in described
            ]
    return rows


def _separated(
    subject: Subject, resolution: Resolution, pairs: dict[str, list[Pair]]
) -> dict[str, int | None]:
    """How many members of each family one resolution separates; None of what it cannot describe."""
    assert subject.at is not None
    try:
        finer = subject.at(resolution)
        diagnosis = diagnose(finer)
    except InputError:  # a basis that the subject does not have
        return dict.fromkeys(pairs)
    return {name: _count(finer, diagnosis, members) for name, members in pairs.items()}


def _count(subject: Subject, diagnosis: Diagnosis, pairs: Sequence[Pair]) -> int | None:
    try:
        verdicts = [verdict_on(measure(subject, pair, diagnosis)[0])[0] for pair in pairs]
    except (CannotDescribe, InputError):  # or not in this basis
        return None
    return 0 if diagnosis.broken is not None else verdicts.count("separates")


def _row(subject: str, family: str, counts: Sequence[int], n: int) -> SweepRow:
    basis = counts[:_N_BASIS]
    smallest = next((LADDER[k] for k, count in enumerate(basis) if count == n), None)
    return SweepRow(subject, family, smallest, tuple(counts), n)
