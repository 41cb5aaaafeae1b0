"""Pairs of a run for the viewer: with predictions, and with the verdicts of some subjects."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from atomplete.audit.subjects.named import subject_of
from atomplete.audit.verdicts.diagnosis import diagnose
from atomplete.audit.verdicts.measure import measure
from atomplete.audit.verdicts.pairs import Pair, family_pairs
from atomplete.audit.verdicts.row import Row
from atomplete.audit.verdicts.verdict import verdict_on
from atomplete.data import pair_structures, read_structures
from atomplete.degenerate.families.registry import FAMILIES
from atomplete.paper.report.pair_plots import Panel
from atomplete.paper.report.run_folder import Predictions, RunFolder
from atomplete.report.pair_sets import PairSet, packed
from atomplete.report.records import AuditEntry
from atomplete.runs.progress import progress_of

#: Subjects whose verdicts the page shows.
SUBJECTS = ("radial_spectrum", "power_spectrum", "bispectrum", "three_center")
#: Pairs of the run that they are asked about, and members of each family.
N_RUN, N_FAMILY = 12, 2

_PARTS = ("train", "validation", "test")


def pair_sets(run: RunFolder, panels: Sequence[Panel], *, progress: bool = False) -> list[PairSet]:
    """The pairs of the run, if they are to be found, and families of environments like them."""
    pairs = _run_pairs(run)
    # those that can be chosen in the panels come first
    tested = {int(number) for panel in panels for number in panel.ids}
    asked = sorted(pairs, key=lambda pair: pair.number not in tested)[:N_RUN]
    families = {
        name: family_pairs(name, N_FAMILY)
        for name, family in FAMILIES.items()
        if family.level == "environment"
        and not family.pairs(1)[0][0].pbc.any()
        and not (pairs and name == "b8")  # the run's own pairs are those
    }
    verdicts = _verdicts([*asked, *(p for found in families.values() for p in found)], progress)
    sets = [
        PairSet.of_family(name, N_FAMILY, verdicts=[v for v in verdicts if v.family == name])
        for name in families
    ]
    if pairs:
        title, of_run = (
            f"the {len(pairs)} pairs of this run",
            [verdict for verdict in verdicts if verdict.family == "run"],
        )
        facts = _facts([pair.number for pair in pairs], run.predictions, panels)
        sets.insert(0, PairSet("run", title, "", pairs, of_run, facts=facts))
    return sets


def _run_pairs(run: RunFolder) -> list[Pair]:
    """Pairs of the labelled file that the run has used."""
    path = run.labelled_file()
    if path is None:
        return []
    structures = read_structures(path)
    found = pair_structures(structures, path)
    known = {int(number) for p in run.predictions.values() for number in p.ids}
    return [
        Pair("run", number, "environment", structures[plus], structures[minus], own=True)
        for number, (plus, minus) in zip(found.ids.tolist(), found.indices, strict=True)
        if not known or number in known
    ]


def _verdicts(pairs: Sequence[Pair], progress: bool) -> list[AuditEntry]:
    rows = []
    with progress_of("separations", len(SUBJECTS) * len(pairs), progress) as step:
        for subject in map(subject_of, SUBJECTS):
            diagnosis = diagnose(subject)
            for pair in pairs:
                measured, _ = measure(subject, pair, diagnosis)
                verdict, reason = verdict_on(measured)
                rows.append(Row(subject.name, pair, diagnosis.group, verdict, reason, measured))
                step()
    return [AuditEntry.model_validate(row.as_json()) for row in rows]


def _facts(
    ids: Sequence[int], predictions: Mapping[str, Predictions], panels: Sequence[Panel]
) -> dict[str, Any]:
    """Parts, energies and errors in the order of the pairs, and the points of the panels."""
    if not predictions:
        return {}
    aligned = {name: _aligned(one, ids) for name, one in predictions.items()}
    part, reference, _ = next(iter(aligned.values()))
    return {
        "parts": packed(part, "u1"),
        "energies": packed(reference, "<f8"),
        "errors": {name: packed(p - r, "<f4") for name, (_, r, p) in aligned.items()},
        "points": {panel.name: panel.values() for panel in panels},
    }


def _aligned(one: Predictions, ids: Sequence[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Part, reference and prediction of the pairs of these numbers; NaN where there is none."""
    place = {number: k for k, number in enumerate(one.ids.tolist())}
    rows = np.array([place.get(number, -1) for number in ids])
    part = np.array([_PARTS.index(p) if p in _PARTS else 255 for p in one.part] + [255])
    missing = np.full((1, 2), np.nan)
    reference, predicted = (np.concatenate([e, missing]) for e in (one.reference, one.predicted))
    return part[rows], reference[rows], predicted[rows]
