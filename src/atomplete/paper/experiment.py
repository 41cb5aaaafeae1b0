"""The run that fills the table: pairs, labels, features, models, errors; resumable throughout."""

import hashlib
import json
import time
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from atomplete.config import checked
from atomplete.errors import InputError
from atomplete.files import atomic_write
from atomplete.models import EnergyModel, EnergyModelSpec, LinearSpec, RowTable, save
from atomplete.paper.budgets import BUDGETS, Budget
from atomplete.paper.data import LabelledPairs, labelled_file
from atomplete.paper.errors import pair_errors
from atomplete.paper.table import ROWS, Row, TableRow
from atomplete.representations import Representation, ThreeCenter, build, split
from atomplete.system import System
from atomplete.train import train
from atomplete.versions import versions

#: With fewer, the validation or the test part would be a single pair, which has no spread.
MINIMUM_PAIRS = 17


class ReproduceOptions(BaseModel):
    """Options of ``atomplete reproduce``.

    Examples
    --------
    >>> ReproduceOptions(pairs=60, budget="smoke").rows
    ('B_L', 'B_NL', 'D_L', 'D_NL')
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    pairs: int = Field(default=4000, ge=MINIMUM_PAIRS, description="how many of the paper's pairs")
    labels: str = Field(
        default="xtb", description="xtb, pbe (the dataset in the package), or a labelled file"
    )
    rows: tuple[str, ...] = Field(
        default=tuple(ROWS), min_length=1, description="rows of the table to fill"
    )
    budget: Literal["smoke", "standard", "paper"] = "standard"
    settings: dict[str, Any] = Field(
        default_factory=dict, description="what to change in the budget's specs"
    )
    seed: int = Field(default=0, ge=0)
    workers: int = Field(default=1, ge=1, description="processes for labelling")

    def resolved_budget(self) -> Budget:
        """The preset with ``settings`` laid over it."""
        preset = BUDGETS[self.budget].model_dump()
        return checked(Budget, _overlay(preset, self.settings), "settings")


def reproduce(options: ReproduceOptions, folder: Path, *, progress: bool = True) -> list[TableRow]:
    """Fill the table in ``folder``; what an earlier run finished there is not done again.

    Parameters
    ----------
    options
        What to run.
    folder
        Holds pairs, labels, a folder for each row, ``table.json`` and ``run.json``.
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
    >>> reproduce(ReproduceOptions(rows=("A_NL",)), Path("runs"))
    Traceback (most recent call last):
    atomplete.errors.InputError: unknown row A_NL; known rows: B_L, B_NL, D_L, D_NL
    """
    unknown = [name for name in options.rows if name not in ROWS]
    if unknown:
        raise InputError(f"unknown row {unknown[0]}; known rows: {', '.join(ROWS)}")
    budget = options.resolved_budget()
    path = labelled_file(
        options.labels, options.pairs, folder, workers=options.workers, progress=progress
    )
    data = LabelledPairs.read(path, options.pairs, options.seed)
    rows = [row for name, row in ROWS.items() if name in options.rows]
    for row in rows:
        data.check_species(getattr(budget, row.inputs).expansion.species, path)
    folder.mkdir(parents=True, exist_ok=True)
    run = _Run(options, budget, data, folder, progress)
    results = {row.name: result for row in rows if (result := run.finished(row))}
    for inputs in dict.fromkeys(row.inputs for row in rows):
        pending = [row for row in rows if row.inputs == inputs and row.name not in results]
        if pending:
            results |= {result.row: result for result in run.fill(pending)}
    table = [results[row.name] for row in rows]
    _write_json(folder / "table.json", [row.model_dump() for row in table])
    _write_json(folder / "run.json", run.provenance())
    return table


class _Run:
    """One data set and budget in one folder."""

    def __init__(
        self,
        options: ReproduceOptions,
        budget: Budget,
        data: LabelledPairs,
        folder: Path,
        progress: bool,
    ) -> None:
        self.options, self.budget, self.data = options, budget, data
        self.folder, self.progress = folder, progress
        self.data_hash = data.hash

    def provenance(self) -> dict[str, Any]:
        """All that the numbers depend on."""
        return {
            "options": self.options.model_dump(mode="json"),
            "budget": self.budget.model_dump(mode="json"),
            "data_sha256": self.data_hash,
            "dropped_pairs": self.data.dropped,
            "threads": torch.get_num_threads(),
            "versions": versions(),
        }

    def _identity(self, row: Row) -> str:
        parts = {
            "row": row.model_dump(),
            "budget": self.budget.model_dump(mode="json"),
            "seed": self.options.seed,
            "data": self.data_hash,
            "versions": versions(),
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def finished(self, row: Row) -> TableRow | None:
        """What an earlier run with the same options and data found for this row."""
        try:
            content = json.loads((self.folder / row.name / "result.json").read_text())
            if content["identity"] == self._identity(row):
                return TableRow.model_validate(content["result"])
        except (OSError, ValueError, KeyError, TypeError, ValidationError):
            pass  # none, or none that can be read: the row is filled anew
        return None

    def fill(self, rows: list[Row]) -> list[TableRow]:
        """Fill rows that share their inputs: features are computed once."""
        started = time.monotonic()
        spec = getattr(self.budget, rows[0].inputs)
        representation = build(spec)
        dtype = getattr(torch, self.budget.train.dtype)
        cutoff = spec.expansion.cutoff
        if isinstance(representation, ThreeCenter):
            train_pairs = self.data.groups(self.data.split.train).flatten().tolist()
            training = System.from_atoms([self.data.structures[s] for s in train_pairs], cutoff)
            representation.fit(split(representation, training), progress=self.progress)
        system = System.from_atoms(self.data.structures, cutoff)
        table, sums = RowTable.compute(representation, system, dtype, progress=self.progress)
        seconds = time.monotonic() - started
        return [self._fill_row(row, representation, table, sums, seconds) for row in rows]

    def _fill_row(
        self,
        row: Row,
        representation: Representation,
        table: RowTable,
        sums: RowTable,
        feature_seconds: float,
    ) -> TableRow:
        started = time.monotonic()
        data, folder = self.data, self.folder / row.name
        form = LinearSpec() if row.form == "linear" else self.budget.deep_set
        species = tuple(sorted(set(table.features.center_species.tolist())))
        spec = EnergyModelSpec(representation=representation.spec, model=form, species=species)
        model = EnergyModel(spec, seed=self.options.seed)
        model.representation = representation
        train_groups, validation_groups = map(
            data.groups, (data.split.train, data.split.validation)
        )
        folder.mkdir(parents=True, exist_ok=True)
        if row.form == "linear":
            train_set, validation_set = train_groups.flatten(), validation_groups.flatten()
            model.fit_linear(sums.features, data.energies, train_set, validation_set)
            predicted = model.energies(sums.features, len(data.energies)).numpy()
        else:
            model.normalise(table.features, data.energies, train_groups.flatten())
            train(
                model,
                table,
                data.energies,
                train_groups,
                validation_groups,
                self.budget.train,
                folder,
                seed=self.options.seed,
                progress=self.progress,
            )
            predicted = _predict(model, table)
        save(folder / "model.pt", model)
        predicted = predicted.reshape(-1, 2)
        _write_predictions(folder / "predictions.csv", data, predicted)
        result = self._result(row, predicted, feature_seconds + time.monotonic() - started)
        content = {"identity": self._identity(row), "result": result.model_dump()}
        _write_json(folder / "result.json", content)
        return result

    def _result(self, row: Row, predicted: np.ndarray, seconds: float) -> TableRow:
        parts = self.data.split
        reference = self.data.energies.numpy().reshape(-1, 2)
        test, validation = (
            pair_errors(predicted[part], reference[part]) for part in (parts.test, parts.validation)
        )
        return TableRow(
            row=row.name,
            v1_name=row.v1_name,
            mean_error=test.mean,
            difference_error=test.difference,
            validation_mean_error=validation.mean,
            validation_difference_error=validation.difference,
            published_mean_error=row.published_mean_error,
            published_difference_error=row.published_difference_error,
            n_train_pairs=len(parts.train),
            n_validation_pairs=len(parts.validation),
            n_test_pairs=len(parts.test),
            labels=self.options.labels,
            budget=self.options.budget,
            seed=self.options.seed,
            seconds=round(seconds, 1),
        )


@torch.no_grad()
def _predict(model: EnergyModel, table: RowTable) -> np.ndarray:
    """Energies of all structures from features computed before, in float64."""
    parts = []
    for structures in torch.arange(table.n_structures).split(256):
        features = table.batch(structures)
        parts.append(model.energies(features.to(torch.float64), len(structures)))
    return torch.cat(parts).numpy()


def _write_predictions(path: Path, data: LabelledPairs, predicted: np.ndarray) -> None:
    part_of = {
        int(pair): name
        for name in ("train", "validation", "test")
        for pair in getattr(data.split, name)
    }
    lines = ["pair_id,part,energy_plus,energy_minus,predicted_plus,predicted_minus"]
    reference = data.energies.numpy().reshape(-1, 2)
    for pair, pair_id in enumerate(data.ids):
        numbers = (*reference[pair], *predicted[pair])
        lines.append(f"{pair_id},{part_of[pair]}," + ",".join(f"{x:.9f}" for x in numbers))
    with atomic_write(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n")


def _write_json(path: Path, content: Any) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n")


def _overlay(preset: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Nested options laid over a preset; another ``type`` of option starts from nothing."""
    merged = dict(preset)
    for name, value in changes.items():
        old = preset.get(name)
        if isinstance(old, dict) and isinstance(value, dict):
            same_type = value.get("type", old.get("type")) == old.get("type")
            merged[name] = _overlay(old, value) if same_type else value
        else:
            merged[name] = value
    return merged
