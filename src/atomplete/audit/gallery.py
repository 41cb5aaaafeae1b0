"""The gallery of the documentation: what usual descriptors tell apart, side by side."""

from collections.abc import Sequence

from rich.text import Text

from atomplete.audit.run import Audit
from atomplete.audit.subjects.named import subject_of
from atomplete.audit.subjects.subject import Subject
from atomplete.audit.table import cell
from atomplete.degenerate.families.registry import FAMILIES
from atomplete.errors import MissingExtraError

#: Descriptors of the gallery. Ours are also taken under SO(3), to see enantiomers, and MACE also
#: with one layer, which is one of densities.
GALLERY = (
    "dscribe:ACSF",
    "dscribe:MBTR",
    "dscribe:SOAP",
    "featomic:SoapPowerSpectrum",
    "power_spectrum",
    "bispectrum",
    "nu4",
    "mace:untrained?layers=1",
    "mace:untrained",
    "N1nu1",
    "N2nu1",
    "N1nu1?group=SO3",
    "N2nu1?group=SO3",
)


def gallery(more: Sequence[str] = ()) -> list[Subject]:
    """Return the subjects of the gallery, without those of packages that are not installed.

    Parameters
    ----------
    more
        Subjects to add, such as ``mace:FILE``.

    Examples
    --------
    >>> [subject.name for subject in gallery()][-1]
    'N2nu1?group=SO3'
    """
    subjects = []
    for name in (*GALLERY, *more):
        try:
            subjects.append(subject_of(name))
        except MissingExtraError:
            if name in more:
                raise
    return subjects


def as_markdown(audit: Audit, versions: dict[str, str]) -> str:
    """Return the table of an audit for the documentation, with the versions used.

    Examples
    --------
    >>> print(as_markdown(Audit([]), {"atomplete": "0.1.0"}))
    | family |
    |---|
    <BLANKLINE>
    Versions: atomplete 0.1.0.
    """
    names = list(audit.diagnoses)
    lines = [f"| {' | '.join(('family', *names))} |", f"|{'---|' * (len(names) + 1)}"]
    for family in FAMILIES.values():
        found = {
            name: [r for r in audit.rows if (r.subject, r.family) == (name, family.name)]
            for name in names
        }
        if any(found.values()):
            cells = (Text.from_markup(cell(found[name])).plain for name in names)
            lines.append(f"| {' | '.join((f'{family.letter} {family.name}', *cells))} |")
    used = ", ".join(f"{name} {number}" for name, number in sorted(versions.items()))
    return "\n".join([*lines, "", f"Versions: {used}."])
