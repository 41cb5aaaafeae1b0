"""The page of a filled table: numbers, plots, curves and pairs."""

from typing import Any

from atomplete.paper.report.pair_plots import drawings, panels
from atomplete.paper.report.run_charts import (
    QUANTITIES,
    errors,
    latent_size,
    learning_curves,
    training,
)
from atomplete.paper.report.run_folder import RunFolder
from atomplete.paper.report.run_pairs import pair_sets
from atomplete.report.charts import number
from atomplete.report.pair_sets import viewer_data
from atomplete.report.read import ResultFolder
from atomplete.report.render import PageKind, render

#: From this relative error of differences on, predicting none at all would be as good.
_BLIND = 0.99


def run_page(folder: ResultFolder, progress: bool = False) -> str:
    """HTML of the page of a run of ``atomplete reproduce``."""
    run = RunFolder.read(folder)
    shown = {quantity: panels(run.table, run.predictions, quantity) for quantity in QUANTITIES}
    sets = pair_sets(run, [p for found in shown.values() for p in found], progress=progress)
    own = sets[0].pairs[0].plus if sets and sets[0].key == "run" else None
    energies = [row for row in run.table if row.target == "energy"] or run.table
    return render(
        "run.html",
        package="atomplete.paper.report",
        title="Degenerate pairs: the table of models of arXiv:2302.14770",
        data=viewer_data(sets),
        run=run,
        best=min(energies, key=lambda row: row.difference_error),
        blind=[name for name, one in run.predictions.items() if one.blind],
        n_seeds=max(len(row.seeds) for row in run.table),
        errors=errors(run.table),
        panels={quantity: drawings(found) for quantity, found in shown.items()},
        training=training(run),
        latent=latent_size(run.latent, 3 * len(own) - 6 if own else None),
        objectives=_objectives(run),
        ablation=_ablation(run),
        learning=learning_curves(run),
        duration=_duration,
        missing=run.missing + ([] if own else ["labelled pairs"]),
        problems=folder.problems,
    )


RUN_PAGE = PageKind("table.json", run_page)


def _objectives(run: RunFolder) -> list[list[str]]:
    """Rows of the table of objectives."""
    return [
        [
            one.objective,
            number(one.separation),
            f"{one.jacobian_rank:g} of {one.full_rank:g}",
            number(one.mean_error),
            number(one.difference_error),
        ]
        for one in run.objectives
    ]


def _ablation(run: RunFolder) -> dict[str, Any]:
    """Sets of pairs in columns; a line for each representation, with its results or None."""
    sets = list(dict.fromkeys(one.set for one in run.ablation))
    found = {(one.representation, one.set): one for one in run.ablation}
    lines = {
        name: [found.get((name, pairs)) for pairs in sets]
        for name in dict.fromkeys(one.representation for one in run.ablation)
    }
    return {"sets": sets, "lines": lines, "blind": _BLIND}


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
