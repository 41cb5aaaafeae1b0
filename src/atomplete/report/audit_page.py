"""The page of an audit: which subject tells apart the pairs of which family."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from atomplete.audit.records import LocalResolution, PairVerdict, SmallestBasis
from atomplete.audit.verdicts.user_pairs import user_pairs
from atomplete.degenerate.families.registry import FAMILIES
from atomplete.errors import InputError
from atomplete.report.audit_charts import separations, slopes, spectra
from atomplete.report.charts import number
from atomplete.report.pair_sets import PairSet, viewer_data
from atomplete.report.read import ResultFolder, mapping
from atomplete.report.render import PageKind, render

#: Members of a family that the page shows, at most.
_SHOWN = 20
#: Structures whose spectra are drawn, at most; the table has them all.
_DRAWN = 12
_NOTHING = "–"

#: Head and rows.
Table = tuple[list[str], list[list[str]]]


def audit_page(folder: ResultFolder, progress: bool = False) -> str:
    """HTML of the page; there is nothing that takes long."""
    entries = folder.records("audit.json", PairVerdict)
    if not entries:
        raise InputError(next(iter(folder.problems), f"{folder.path / 'audit.json'}: no rows"))
    run = folder.values("run.json")
    sets = _sets(folder, entries, mapping(run.get("options")).get("seed"))
    resolutions = [
        entry
        for path in sorted(folder.path.glob("resolution*.json"))
        for entry in folder.records(path.name, LocalResolution)
    ]
    sweep = folder.records("sweep.json", SmallestBasis)
    titles = list(dict.fromkeys(e.title for e in resolutions))
    subjects = {e.subject: e.group for e in entries}
    return render(
        "audit.html",
        title="Audit: what descriptors cannot see",
        data=viewer_data(sets) if sets else None,
        n_verdicts=len(entries),
        subjects=subjects,
        faults={subject: _faults(entries, subject) for subject in subjects},
        families=_families(entries, list(subjects), {one.key for one in sets}),
        separations=separations(entries),
        slopes=slopes(entries),
        slope_table=_slope_table(entries),
        spectra=spectra(resolutions, titles[:_DRAWN]),
        titles=titles,
        resolutions=resolutions,
        resolution_table=_resolution_table(resolutions),
        sweep=_sweep_table(sweep),
        run=run,
        problems=folder.problems,
    )


AUDIT_PAGE = PageKind("audit.json", audit_page)


def _faults(entries: Sequence[PairVerdict], subject: str) -> str:
    """Words on a subject: what it is blind to, or that it is broken."""
    of = [e for e in entries if e.subject == subject]
    if broken := dict.fromkeys(e.reason for e in of if e.verdict == "broken"):
        return "; ".join(["broken", *filter(None, broken)])
    blind = dict.fromkeys(e.family for e in of if e.words == "blind")
    return f"blind to pairs of {', '.join(blind)}" if blind else "blind to no pair"


def _families(
    entries: Sequence[PairVerdict], subjects: Sequence[str], shown: set[str]
) -> list[dict[str, Any]]:
    """Lines of the matrix, one for each family and level."""
    lines = []
    for family, level in dict.fromkeys((e.family, e.level) for e in entries):
        found = [e for e in entries if (e.family, e.level) == (family, level)]
        lines.append(
            {
                "name": family,
                "letter": f"{FAMILIES[family].letter}: " if family in FAMILIES else "",
                "pair": found[0].number if family in shown else None,
                "level": level or "",
                "cells": [_cell([e for e in found if e.subject == s]) for s in subjects],
            }
        )
    return lines


def _cell(found: Sequence[PairVerdict]) -> dict[str, Any]:
    """Verdicts of one subject on a family with their counts, and a hint on the numbers."""
    hints = [f"{len(found)} pairs" if len(found) > 1 else "1 pair"]
    if values := [e.separation for e in found if e.separation is not None]:
        hints.append(f"separation {number(min(values), 2)} to {number(max(values), 2)}")
    if floors := [e.noise_floor for e in found if e.noise_floor is not None]:
        hints.append(f"noise floor up to {number(max(floors), 2)}")
    if inexact := [e.imprecision for e in found if e.imprecision]:
        hints.append(f"other digits of the positions up to {number(max(inexact), 2)}")
    hints += dict.fromkeys(e.reason for e in found if e.reason)
    counts = Counter(e.words for e in found).most_common()
    return {"verdicts": counts, "hint": "; ".join(hints)}


def _crossed(found: Mapping[tuple[str, str], str]) -> Table:
    """Head and rows of a table of texts by (family, subject)."""
    families, subjects = (list(dict.fromkeys(key[k] for key in found)) for k in (0, 1))
    rows = [[f, *(found.get((f, s), _NOTHING) for s in subjects)] for f in families]
    return ["family", *subjects], rows


def _slope_table(entries: Sequence[PairVerdict]) -> Table:
    """Slopes of each family by each subject, a range where they differ."""
    slopes: dict[tuple[str, str], list[float]] = {}
    for e in entries:
        if e.slope is not None:
            slopes.setdefault((e.family, e.subject), []).append(e.slope)
    ends = {key: (f"{min(found):.2f}", f"{max(found):.2f}") for key, found in slopes.items()}
    texts = {key: " to ".join(dict.fromkeys(pair)) for key, pair in ends.items()}
    return _crossed({key: text.replace("-", "−") for key, text in texts.items()})


def _resolution_table(entries: Sequence[LocalResolution]) -> Table:
    """Head and rows: rank and smoothness of each subject at each structure."""
    head = ("structure", "subject", "verdict", "directions resolved", "by symmetry zero")
    rows = [
        [
            e.title,
            e.subject,
            e.words,
            f"{e.rank} of {e.directions - e.required_zeros}",
            str(e.required_zeros),
            *(event or _NOTHING for event in (e.cutoff_passed, e.collinear, e.swap)),
        ]
        for e in entries
    ]
    return [*head, "cutoff", "collinear", "swap"], rows


def _sweep_table(sweep: Sequence[SmallestBasis]) -> Table:
    """Smallest basis in which each subject separates each family."""
    return _crossed({(one.family, one.subject): one.text for one in sweep})


def _sets(folder: ResultFolder, entries: Sequence[PairVerdict], seed: Any) -> list[PairSet]:
    """Pairs of the audit that can be drawn: of known families, and of files beside it."""
    seed = seed if isinstance(seed, int) and seed >= 0 else None
    sets = []
    for name in dict.fromkeys(e.family for e in entries):
        verdicts = [e for e in entries if e.family == name]
        if name in FAMILIES:
            n = min(max(e.number or 0 for e in verdicts) + 1, _SHOWN)
            sets.append(PairSet.of_family(name, max(n, 1), seed, verdicts))
        elif path := folder.find(f"{name}.xyz"):
            with folder.noting():
                pairs = user_pairs(path).pairs
                sets.append(PairSet(name, path.name, f"from {path.name}", pairs, verdicts))
    return sets
