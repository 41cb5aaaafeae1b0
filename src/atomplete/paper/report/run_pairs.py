"""Pairs of a run for the viewer: with predictions, and with the verdicts of some subjects."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from atomplete.audit import diagnose, judge, subject_of
from atomplete.audit.records import PairVerdict
from atomplete.audit.verdicts.pairs import Pair, family_pairs
from atomplete.audit.verdicts.user_pairs import own_pair
from atomplete.degenerate.families.registry import FAMILIES
from atomplete.paper.report.pair_plots import Panel
from atomplete.paper.report.run_folder import RunFolder
from atomplete.report.pair_sets import PairSet
from atomplete.runs.progress import progress_of

#: Subjects whose verdicts the page shows.
SUBJECTS = ("radial_spectrum", "power_spectrum", "bispectrum", "three_center")
#: Pairs of the run that they are asked about: test pairs, within these bounds.
LEAST, MOST = 12, 100
#: Members of each family.
N_FAMILY = 2


def pair_sets(run: RunFolder, panels: Sequence[Panel], *, progress: bool = False) -> list[PairSet]:
    """The pairs of the run, if they are to be found, and families of environments like them."""
    pairs = _run_pairs(run)
    # those that can be chosen in the panels come first
    tested = {int(number) for panel in panels for number in panel.ids}
    n_asked = min(max(len(tested), LEAST), MOST)
    asked = sorted(pairs, key=lambda pair: pair.number not in tested)[:n_asked]
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
        title = f"the {len(pairs)} pairs of this run"
        said = [verdict for verdict in verdicts if verdict.family == "run"]
        points = {panel.name: panel.points() for panel in panels}
        shared = {"rows": list(run.predictions), "points": points}
        sets.insert(0, PairSet("run", title, "", pairs, said, False, _facts(run), shared))
    return sets


def _run_pairs(run: RunFolder) -> list[Pair]:
    """Pairs of the labelled file that the run has used."""
    known = {int(number) for p in run.predictions.values() for number in p.ids}
    return [
        own_pair("run", number, plus, minus)
        for number, plus, minus in run.labelled_pairs()
        if not known or number in known
    ]


def _verdicts(pairs: Sequence[Pair], progress: bool) -> list[PairVerdict]:
    rows = []
    with progress_of("separations", len(SUBJECTS) * len(pairs), progress) as step:
        for subject in map(subject_of, SUBJECTS):
            diagnosis = diagnose(subject)
            for pair in pairs:
                rows.append(judge(subject, pair, diagnosis))
                step()
    return rows


def _facts(run: RunFolder) -> dict[int, dict[str, Any]]:
    """Part and energies of each pair: the reference, then predictions of rows, null if unknown."""
    facts: dict[int, dict[str, Any]] = {}
    for k, one in enumerate(run.predictions.values()):
        reference, predicted = (np.round(e, 6).tolist() for e in (one.reference, one.predicted))
        for row, number in enumerate(one.ids.tolist()):
            unknown = [None] * len(run.predictions)
            known = {"part": one.part[row], "energies": [reference[row], *unknown]}
            facts.setdefault(number, known)["energies"][k + 1] = predicted[row]
    return facts
