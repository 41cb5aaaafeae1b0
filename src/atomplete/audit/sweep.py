"""Resolution sweeps: the basis that it takes to tell the pairs of a family apart."""

from collections.abc import Sequence

from atomplete.audit.records import SmallestBasis
from atomplete.audit.subjects.subject import Basis, Scope, Subject
from atomplete.audit.verdicts.diagnosis import Diagnosis, diagnose
from atomplete.audit.verdicts.pairs import Pair, family_pairs
from atomplete.audit.verdicts.separation import separation
from atomplete.audit.verdicts.verdict import verdict_on
from atomplete.degenerate.families.registry import get
from atomplete.errors import InputError
from atomplete.runs.progress import progress_of

#: From coarse to fine: radial functions and angular orders grow together; then single precision,
#: and a smeared density, in the last basis.
LADDER = (
    *(Basis(n, l) for n, l in ((1, 0), (1, 1), (2, 1), (2, 2), (3, 3), (4, 4), (4, 6))),
    Basis(4, 6, dtype="float32"),
    Basis(4, 6, width=0.5),
)

# Steps after the ladder proper, which ask what is lost again.
_N_BASIS = 7

# Whether there is a basis to choose does not depend on the scope.
_ANY = Scope("environment", 5.0, (6,))


def sweep(
    subjects: Sequence[Subject],
    families: Sequence[str],
    *,
    n: int = 5,
    seed: int | None = None,
    progress: bool = True,
) -> list[SmallestBasis]:
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
    chosen = [subject for subject in subjects if subject.basis(_ANY) is not None]
    known = [get(name) for name in families if not get(name).congruent]
    rows = []
    with progress_of("bases", len(chosen) * len(LADDER), progress) as step:
        for subject in chosen:
            pairs = {
                family.name: family_pairs(family.name, n, seed)
                for family in known
                if family.level in subject.levels
            }
            counts: dict[str, list[int | None]] = {name: [] for name in pairs}
            for basis in LADDER:
                for name, count in _separated(subject, basis, pairs).items():
                    counts[name].append(count)
                step()
            described = [name for name, found in counts.items() if set(found) != {None}]
            rows += [
                _smallest(subject.name, name, [count or 0 for count in counts[name]], n)
                for name in described
            ]
    return rows


def _separated(
    subject: Subject, basis: Basis, pairs: dict[str, list[Pair]]
) -> dict[str, int | None]:
    """Number of separated pairs of each family; None where the basis cannot describe them."""
    try:
        other = subject.at(basis)
        diagnosis = diagnose(other)
    except InputError:  # a basis that the subject does not have
        return dict.fromkeys(pairs)
    return {name: _count(other, diagnosis, members) for name, members in pairs.items()}


def _count(subject: Subject, diagnosis: Diagnosis, pairs: Sequence[Pair]) -> int | None:
    group, bits = diagnosis.group, diagnosis.significant_bits
    try:
        measured = [separation(subject, pair, group=group, bits=bits) for pair in pairs]
    except InputError:  # or not in this basis
        return None
    verdicts = [verdict_on(found)[0] for found in measured]
    return 0 if diagnosis.broken is not None else verdicts.count("separates")


def _smallest(subject: str, family: str, counts: Sequence[int], n: int) -> SmallestBasis:
    """The first step of the ladder proper that separates all."""
    smallest = next((LADDER[k] for k, count in enumerate(counts[:_N_BASIS]) if count == n), None)
    return SmallestBasis(
        subject=subject,
        family=family,
        smallest=smallest,
        separated=tuple(counts),
        n=n,
        ladder=LADDER[: len(counts)],
    )
