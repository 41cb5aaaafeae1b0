"""The page of a filled table: numbers, plots, curves and pairs."""

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import numpy as np
from pydantic import ValidationError

from atomplete.degenerate.families.registry import FAMILIES
from atomplete.descriptors import ExpansionSpec
from atomplete.paper.report.pair_plots import panels
from atomplete.paper.report.run_charts import QUANTITIES, latent_size, learning_curves, training
from atomplete.paper.report.run_folder import Predictions, RunFolder
from atomplete.report.axis import number
from atomplete.report.page import Section, distance_note, page, provenance, viewer_section
from atomplete.report.pair_sets import PairSet, family_sets, packed
from atomplete.report.resolution import enclosing_expansion, pair_distances
from atomplete.report.tables import ablation_table, errors_table, objectives_table

_PARTS = ("train", "validation", "test")
_OPTIONAL = {
    "latent_size.json": "latent",
    "objectives.json": "objectives",
    "ablation.json": "ablation",
    "learning_curve.json": "learning",
}


def run_page(run: RunFolder, *, progress: bool = False) -> str:
    """The report of a run of ``atomplete reproduce``, as one page of HTML."""
    run_set = _run_set(run, progress)
    # environments seen from their centre, as in the table; the run's own pairs are a family, too
    shown = [
        name
        for name, family in FAMILIES.items()
        if family.level == "environment"
        and not family.pairs(1)[0][0].pbc.any()
        and not (run_set and name == "b8")
    ]
    families = family_sets(shown, progress=progress)
    sets = [run_set, *families] if run_set else families
    n_atoms = len(run_set.pairs[0][0]) if run_set else None
    sections = [
        Section("table", "Table", errors_table(run.table)),
        _pair_plots(run),
        viewer_section(
            "The two members of a pair, as different as they look, have the same density "
            "correlations as seen from the centre, up to the order that fails. What three centres "
            "make of them, and what each model predicts, stands below.",
            distance_note(),
        ),
        training(run),
        latent_size(run, n_atoms),
        _if(run.objectives, "objectives", "Objectives", lambda: objectives_table(run.objectives)),
        _if(run.ablation, "ablation", "Ablation", lambda: ablation_table(run.ablation)),
        learning_curves(run),
        provenance(
            run.provenance, [n for n, field in _OPTIONAL.items() if not getattr(run, field)]
        ),
    ]
    title = "Degenerate pairs: the table of models of arXiv:2302.14770"
    return page(title, _lead(run), [one for one in sections if one], sets)


def _lead(run: RunFolder) -> str:
    first = run.table[0]
    energies = [row for row in run.table if row.target == "energy"] or run.table
    best = min(energies, key=lambda row: row.difference_error)
    counts = (
        f"{first.n_train_pairs} training, {first.n_validation_pairs} validation and "
        f"{first.n_test_pairs} test pairs, {first.source} labels, budget {first.budget}"
    )
    text = (
        f"Lowest error on pair differences: <b>{escape(best.row)}</b> with "
        f"{number(best.difference_error)} (pair means {number(best.mean_error)}), relative to "
        "their spread. "
    )
    if blind := [name for name, one in run.predictions.items() if one.blind]:
        text += (
            f"Blind to the members of a pair: {', '.join(map(escape, blind))}, which predict no "
            "difference at all, an error of 1."
        )
    return f'<p class="lead">{text}</p><p class="quiet">{escape(counts)}</p>'


def _run_set(run: RunFolder, progress: bool) -> PairSet | None:
    ids, pairs = run.pairs()
    if not pairs:
        return None
    expansion = _expansion(run) or enclosing_expansion(*pairs[0])
    measured = pair_distances(pairs, expansion, "O3", progress=progress)
    facts: dict[str, Any] = {}
    if run.predictions:
        first = _aligned(next(iter(run.predictions.values())), ids)
        facts["parts"] = packed(first[0], "u1")
        facts["energies"] = packed(first[1], "<f8")
        facts["errors"] = {
            name: packed(predicted - reference, "<f4")
            for name, one in run.predictions.items()
            for _, reference, predicted in [_aligned(one, ids)]
        }
    return PairSet(
        key="run",
        title=f"the {len(pairs)} pairs of this run",
        note="",
        pairs=pairs,
        ids=ids,
        group="O3",
        distances=measured.values,
        typical=measured.typical if len(pairs) > 1 else None,
        noise=np.broadcast_to(measured.noise[:, None], measured.values.shape),
        facts=facts,
    )


def _aligned(one: Predictions, ids: Sequence[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Part, reference and prediction of the pairs of these numbers; NaN where there is none."""
    place = {int(pair_id): k for k, pair_id in enumerate(one.ids)}
    rows = [place.get(pair_id) for pair_id in ids]
    known = np.array([row is not None for row in rows])
    found = [row for row in rows if row is not None]
    part = np.full(len(ids), 255)
    part[known] = [_PARTS.index(one.part[k]) if one.part[k] in _PARTS else 255 for k in found]
    reference, predicted = np.full((2, len(ids), 2), np.nan)
    reference[known], predicted[known] = one.reference[found], one.predicted[found]
    return part, reference, predicted


def _expansion(run: RunFolder) -> ExpansionSpec | None:
    """The basis of the run's density correlations, so that the page speaks of the same features."""
    try:
        budget = run.provenance["budget"]["density_correlations"]["expansion"]
        return ExpansionSpec.model_validate(budget)
    except (KeyError, TypeError, ValidationError):
        return None


def _pair_plots(run: RunFolder) -> Section | None:
    if not run.predictions:
        return None
    body = (
        "<p>Test pairs only, one panel for each row, with its relative error. The line is perfect "
        "prediction; the band is one published error wide to either side. A model that cannot "
        "tell the members of a pair apart lies flat on zero. Points beyond the axes sit on the "
        "frame. Choose a point to see its pair.</p>"
    )
    if any(len(row.seeds) > 1 for row in run.table):
        body += "<p>Points are those of the first seed, errors are means over all seeds.</p>"
    titles = {"mean": "Pair means, around their average", "difference": "Pair differences E⁺ − E⁻"}
    for quantity in reversed(QUANTITIES):
        body += f"<h3>{titles[quantity]}</h3>" + panels(run.table, run.predictions, quantity)
    return Section("predictions", "Predictions", body)


def _if(present: object, anchor: str, title: str, body: Callable[[], str]) -> Section | None:
    return Section(anchor, title, body()) if present else None
