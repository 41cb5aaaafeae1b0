"""The page of an audit: which subject tells apart the pairs of which family."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from atomplete.data import pair_structures, read_structures
from atomplete.degenerate.families.registry import FAMILIES
from atomplete.errors import InputError
from atomplete.report.audit.audit_charts import separations, slopes
from atomplete.report.audit.audit_verdicts import lead, matrix, resolutions, style, words
from atomplete.report.audit.spectra import spectra
from atomplete.report.page import Section, page, provenance, viewer_section
from atomplete.report.pair_sets import PairSet, family_set
from atomplete.report.records import (
    AuditEntry,
    ResolutionEntry,
    SweepEntry,
    read_json,
    read_records,
)

_PAIRS = (
    "The pairs that were audited, with the verdicts on each. Choose a family in the matrix above, "
    "or here."
)
#: Members of a family that the page shows, at most.
_SHOWN = 20


def audit_page(folder: Path) -> str:
    """The report of ``audit.json`` in a folder, as one page of HTML."""
    entries = read_records(folder / "audit.json", AuditEntry)
    if not entries:
        raise InputError(f"{folder / 'audit.json'}: no rows")
    run = read_json(folder / "run.json") if (folder / "run.json").is_file() else {}
    sets = _sets(folder, entries, run.get("options", {}).get("seed"))
    parts = [
        Section("verdicts", "Verdicts", matrix(entries, {one.key for one in sets})),
        separations(entries),
        viewer_section(_PAIRS) if sets else None,
        slopes(entries),
        spectra(_resolutions(folder)),
        resolutions(read_records(folder / "sweep.json", SweepEntry)),
        provenance(run),
    ]
    return page(
        "Audit: what descriptors cannot see",
        lead(entries),
        [part for part in parts if part],
        sets,
    )


def _resolutions(folder: Path) -> list[ResolutionEntry]:
    """Of each file that ``atomplete resolve`` has left, as one subject has one file."""
    paths = sorted(folder.glob("resolution*.json"))
    return [entry for path in paths for entry in read_records(path, ResolutionEntry)]


def _sets(folder: Path, entries: Sequence[AuditEntry], seed: int | None) -> list[PairSet]:
    """The pairs of the audit that can be drawn: of known families, and of files beside it."""
    verdicts: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for e in entries:
        if e.number is not None:
            said = {
                "subject": e.subject,
                "style": style(e),
                "words": words(e),
                "reason": e.reason,
                "separation": e.separation,
                "noise_floor": e.noise_floor,
            }
            verdicts.setdefault(e.family, {}).setdefault(str(e.number), []).append(said)
    names = list(dict.fromkeys(e.family for e in entries if e.family in FAMILIES))
    counts = {name: max((int(k) + 1 for k in verdicts.get(name, {})), default=1) for name in names}
    sets = [family_set(FAMILIES[name], min(counts[name], _SHOWN), seed) for name in names]
    sets += _file_sets(folder, verdicts)
    for one in sets:
        one.facts.update(verdicts=verdicts.get(one.key, {}))
    return sets


def _file_sets(folder: Path, families: Iterable[str]) -> list[PairSet]:
    """Pairs of the user's, kept beside the audit as extended XYZ; the file names the family."""
    sets = []
    for path in [folder / f"{name}.xyz" for name in families if name not in FAMILIES]:
        if not path.is_file():
            continue
        structures = read_structures(path)
        found = pair_structures(structures, path)
        pairs = [(structures[plus], structures[minus]) for plus, minus in found.indices]
        sets.append(
            PairSet(
                key=path.stem,
                title=path.name,
                note=f"from {path.name}",
                pairs=pairs,
                ids=found.ids.tolist(),
                group="O3",
            )
        )
    return sets
