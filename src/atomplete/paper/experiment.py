"""The run that fills the table: pairs, labels, features, models, errors; resumable throughout."""

from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from atomplete.errors import InputError
from atomplete.paper.data import LabelledPairs, labelled_file
from atomplete.paper.options import ReproduceOptions
from atomplete.paper.presets import Budget
from atomplete.paper.results import Predictions, RowResult
from atomplete.paper.seed_run import SeedRun
from atomplete.paper.table import ROWS, Row, TableRow
from atomplete.runs.files import write_json
from atomplete.runs.folder import in_run_folder
from atomplete.runs.provenance import COMPUTING, versions, versions_of
from atomplete.runs.store import Store, identity_of


@in_run_folder("reproduce")
def reproduce(options: ReproduceOptions, folder: Path, *, progress: bool = True) -> list[TableRow]:
    """Fill the table in ``folder``; what an earlier run finished there is not done again.

    Parameters
    ----------
    options
        What to run.
    folder
        Holds pairs, labels, a folder for each row (and in it, one for each seed but the first),
        ``table.json`` and ``run.json``.
    progress
        Whether to show how far it is.

    Returns
    -------
    list of TableRow
        One for each row asked for, in the order of the published table.

    Raises
    ------
    InputError
        For an unknown row, or a file that cannot be used; nothing is written then.

    Examples
    --------
    >>> reproduce(ReproduceOptions(rows=("E_NL",)), Path("runs"))
    Traceback (most recent call last):
    atomplete.errors.InputError: unknown row E_NL; known rows: A_L_rho, A_NL_rho, A_L, ...
    """
    rows = rows_of(options)
    runs = open_runs(options, {name for row in rows for name in _needs(row)}, folder, progress)
    results: dict[str, list[RowResult]] = {row.name: [] for row in rows}
    for run in runs:
        for row in rows:
            results[row.name].append(_filled(run, row))
        run.forget()
    data, budget = runs[0].data, runs[0].budget
    table = [_table_row(row, results[row.name], data, options) for row in rows]
    write_json(folder / "table.json", [row.model_dump() for row in table])
    write_json(folder / "run.json", _provenance(options, budget, data))
    return table


def rows_of(options: ReproduceOptions) -> list[Row]:
    """The rows to fill, in the order of the table; all of them must be known."""
    unknown = [name for name in options.rows if name not in ROWS]
    if unknown:
        raise InputError(f"unknown row {unknown[0]}; known rows: {', '.join(ROWS)}")
    return [row for name, row in ROWS.items() if name in options.rows]


def open_runs(
    options: ReproduceOptions, representations: Collection[str], folder: Path, progress: bool
) -> list[SeedRun]:
    """A run for each seed, on labelled pairs that the representations can describe."""
    budget = options.resolved_budget()
    path = labelled_file(
        options.labels, options.pairs, folder, workers=options.workers, progress=progress
    )
    splits = {seed: LabelledPairs.read(path, options.pairs, seed) for seed in options.seeds}
    for name in representations:
        splits[options.seeds[0]].check_species(budget.species(name), path)
    if "best" in representations:
        for data in splits.values():
            data.check_forces(path)
    folder.mkdir(parents=True, exist_ok=True)

    def folder_of(name: str, seed: int) -> Path:
        return folder / name if seed == options.seeds[0] else folder / name / f"seed-{seed}"

    return [
        SeedRun(budget, data, partial(folder_of, seed=seed), seed, progress)
        for seed, data in splits.items()
    ]


def _needs(row: Row) -> tuple[str, ...]:
    """The representations that a row needs, by their names in a budget."""
    if row.inputs == "structures":
        return (row.name,)
    if row.inputs in ROWS:
        return _needs(ROWS[row.inputs])
    return (row.inputs, "nice") if row.target == "features" else (row.inputs,)


def _filled(run: SeedRun, row: Row) -> RowResult:
    """A row's result, an earlier run's if it is there, with its predictions."""
    folder = run.folder_of(row.name)
    if row.target == "energy":
        try:
            whole = np.array_equal(Predictions.read(folder / "predictions.csv").ids, run.data.ids)
        except InputError:
            whole = False
        if not whole:  # trained models are there still, and predict again
            (folder / "result.json").unlink(missing_ok=True)
    store = Store(folder)
    return store.get("result", _row_identity(run, row), RowResult, lambda: run.fill(row))


def _row_identity(run: SeedRun, row: Row) -> str:
    if row.inputs != "structures":
        return identity(run, row=row.model_dump())
    best = run.budget.best.model_dump(mode="json")
    return identity(run, row=row.model_dump(), best=best, forces=run.data.dataset.hash)


def identity(run: SeedRun, **what: Any) -> str:
    """Hash all that a result depends on; but for one, none depends on the row ``best``."""
    budget = run.budget.model_dump(mode="json", exclude={"best"})
    return identity_of(what, budget, run.seed, run.data.hash, versions_of(COMPUTING))


def _table_row(
    row: Row, found: list[RowResult], data: LabelledPairs, options: ReproduceOptions
) -> TableRow:
    def over_seeds(name: str) -> np.ndarray:
        return np.array([getattr(result, name) for result in found])

    def spread(name: str) -> float | None:
        return float(over_seeds(name).std(ddof=1)) if len(found) > 1 else None

    errors = [name for name in RowResult.model_fields if name.endswith("error")]
    return TableRow(
        row=row.name,
        v1_name=row.v1_name,
        target=row.target,
        **{name: float(over_seeds(name).mean()) for name in errors},
        mean_error_spread=spread("mean_error"),
        difference_error_spread=spread("difference_error"),
        published_mean_error=row.published_mean_error,
        published_difference_error=row.published_difference_error,
        n_train_pairs=len(data.split.train),
        n_validation_pairs=len(data.split.validation),
        n_test_pairs=len(data.split.test),
        labels=options.labels,
        budget=options.budget,
        seeds=options.seeds,
        seconds=round(float(over_seeds("seconds").sum()), 1),
    )


def _provenance(options: ReproduceOptions, budget: Budget, data: LabelledPairs) -> dict[str, Any]:
    """All that the numbers depend on."""
    return {
        "options": options.model_dump(mode="json"),
        "budget": budget.model_dump(mode="json"),
        "data_sha256": data.hash,
        "dropped_pairs": data.dropped,
        "threads": torch.get_num_threads(),
        "versions": versions(),
    }
