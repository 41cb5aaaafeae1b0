"""The card of a labelled data set: origin of its numbers, and structures missing from it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from ase import Atoms

from atomplete.labels.label import Label, LabelMethod
from atomplete.runs.files import atomic_write
from atomplete.runs.fingerprint import content_hash
from atomplete.runs.provenance import versions, versions_behind

UNITS = {"length": "Å", "energy": "eV", "forces": "eV/Å", "stress": "eV/Å³"}


@dataclass(frozen=True)
class LabelSummary:
    """Outcome of a label campaign.

    Attributes
    ----------
    output : Path
        The file with the labelled structures; its card lies beside it.
    journal : Path
        The journal beside it.
    labelled : int
        Number of structures in the output.
    resumed : int
        Number of structures, of all, whose labels were in the journal before.
    failed : tuple of (int, str)
        Index in the input and reason of each structure left out of the output.
    remaining : int
        Number of structures left for another run.
    conflicts : tuple of str
        What merged journals contradict each other in.
    stated : int
        Number of structures in the output that state a charge, a spin or magnetic moments.

    Examples
    --------
    >>> print(LabelSummary(Path("a.xyz"), Path("a.xyz.journal.jsonl"), 8, 3, ((5, "no SCF"),)))
    8 structures labelled in a.xyz (3 from the journal), 1 failed
    """

    output: Path
    journal: Path
    labelled: int
    resumed: int
    failed: tuple[tuple[int, str], ...]
    remaining: int = 0
    conflicts: tuple[str, ...] = ()
    stated: int = 0

    @property
    def card(self) -> Path:
        """The card beside the output."""
        return Path(f"{self.output}.card.yaml")

    def __str__(self) -> str:
        """One line for people."""
        return (
            f"{self.labelled} structures labelled in {self.output} "
            f"({self.resumed} from the journal), {len(self.failed)} failed"
            + (f", {self.remaining} left for another run" if self.remaining else "")
        )


def write_card(
    summary: LabelSummary,
    source: str,
    method: LabelMethod,
    labelled: Sequence[tuple[Atoms, Label]],
    licence: str,
) -> None:
    """Write the card of a data set as YAML, at ``summary.card``.

    It holds neither times nor paths, so that equal data have equal cards.

    Parameters
    ----------
    summary
        Counts and failures.
    source
        Name of the file that the structures come from.
    method
        What computed the labels.
    labelled
        The structures of the data set and their labels, in its order.
    licence
        The licence, in the words of whoever publishes the data.

    Examples
    --------
    >>> import tempfile
    >>> from atomplete.labels import XTB
    >>> h = Atoms("H")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     summary = LabelSummary(Path(folder) / "h.xyz", Path("journal"), 1, 0, ())
    ...     write_card(summary, "a.xyz", XTB(), [(h, XTB().compute(h))], "CC0-1.0")
    ...     yaml.safe_load(summary.card.read_text())["counts"]
    {'structures': 1, 'labelled': 1, 'failed': 0, 'remaining': 0}
    """
    failed = [{"structure": index, "reason": reason} for index, reason in summary.failed]
    theory = (type(method).__doc__ or method.name).strip().splitlines()[0]
    card: dict[str, Any] = {
        "file": summary.output.name,
        "source": source,
        "licence": licence,
        "theory": {"method": method.name, "description": theory, "settings": method.settings},
        "units": UNITS,
        "counts": {
            "structures": len(labelled) + len(failed) + summary.remaining,
            "labelled": len(labelled),
            "failed": len(failed),
            "remaining": summary.remaining,
        },
        "rungs": dict(sorted(Counter(label.rung for _, label in labelled).items())),
        "sha256": fingerprint(labelled),
        "versions": versions() | versions_behind(method.name.removeprefix("ase:")),
        "failures": failed,
        "conflicts": list(summary.conflicts),
    }
    if summary.stated:
        card["electrons"] = f"{summary.stated} structures state charge, spin or moments"
    text = yaml.safe_dump(card, sort_keys=False, allow_unicode=True, width=100)
    with atomic_write(summary.card) as temporary:
        temporary.write_text(text, encoding="utf-8")


def fingerprint(labelled: Sequence[tuple[Atoms, Label]]) -> str:
    """SHA-256 of structures and their energies, forces and stresses, to the last bit.

    Examples
    --------
    >>> fingerprint([(Atoms("H"), Label(-1.0, None, True, 0.1, "xtb", {}))])[:12]
    'efcad1f34aa7'
    """
    values = [(label.energy, label.forces, label.stress) for _, label in labelled]
    return content_hash([atoms for atoms, _ in labelled], [x for three in values for x in three])
