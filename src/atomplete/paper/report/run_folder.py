"""The folder of a run of ``atomplete reproduce``, as far as it is filled."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from atomplete.data import pair_structures, read_structures
from atomplete.errors import InputError
from atomplete.paper.datasets import DATASETS, dataset
from atomplete.report.records import (
    AblationEntry,
    LatentEntry,
    LearningEntry,
    ObjectiveEntry,
    TableEntry,
    read_json,
    read_records,
)
from atomplete.report.resolution import Pair

# energies are written with nine decimals, and summed in single precision by some models
_NOTHING = 1e-3
_PREDICTION_COLUMNS = ("energy_plus", "energy_minus", "predicted_plus", "predicted_minus")


@dataclass(frozen=True, eq=False)
class Predictions:
    """Energies of all pairs by one row, eV.

    Attributes
    ----------
    ids, part
        (pair,) number and part (train, validation, test) of each pair.
    reference, predicted
        (pair, 2) energies of plus and minus.
    """

    ids: Int[np.ndarray, " pair"]
    part: list[str]
    reference: Float[np.ndarray, "pair 2"]
    predicted: Float[np.ndarray, "pair 2"]

    @property
    def blind(self) -> bool:
        """Whether the predicted differences are nothing beside those of the reference."""
        predicted, reference = (np.diff(e)[:, 0] for e in (self.predicted, self.reference))
        return float(np.abs(predicted).max()) < _NOTHING * float(np.std(reference))


@dataclass(frozen=True, eq=False)
class RunFolder:
    """What a run has written; parts that it has not are empty."""

    path: Path
    table: list[TableEntry]
    provenance: dict[str, Any]
    predictions: dict[str, Predictions]
    logs: dict[str, list[list[dict[str, float]]]]
    latent: list[LatentEntry]
    objectives: list[ObjectiveEntry]
    ablation: list[AblationEntry]
    learning: list[LearningEntry]

    @classmethod
    def read(cls, path: Path) -> "RunFolder":
        """Read everything but the structures; ``table.json`` must be there."""
        table = read_records(path / "table.json", TableEntry)
        if not table:
            raise InputError(f"{path / 'table.json'}: no rows")
        run = path / "run.json"
        provenance = read_json(run) if run.is_file() else {}
        if not isinstance(provenance, dict):
            raise InputError(f"{run}: options by name are expected")
        predictions = {
            row.row: _read_predictions(file)
            for row in table
            if (file := path / row.row / "predictions.csv").is_file()
        }
        logs = {
            row.row: [_read_log(file) for file in sorted((path / row.row).rglob("log.jsonl"))]
            for row in table
        }
        return cls(
            path=path,
            table=table,
            provenance=provenance,
            predictions=predictions,
            logs={name: found for name, found in logs.items() if any(found)},
            latent=read_records(path / "latent_size.json", LatentEntry),
            objectives=read_records(path / "objectives.json", ObjectiveEntry),
            ablation=read_records(path / "ablation.json", AblationEntry),
            learning=read_records(path / "learning_curve.json", LearningEntry),
        )

    def pairs(self) -> tuple[list[int], list[Pair]]:
        """The pairs of the run, by their numbers; none if the file is not to be found."""
        path = self._labelled_file()
        if path is None:
            return [], []
        structures = read_structures(path)
        found = pair_structures(structures, path)
        known = {int(i) for p in self.predictions.values() for i in p.ids}
        kept = [
            (int(pair_id), (structures[plus], structures[minus]))
            for pair_id, (plus, minus) in zip(found.ids, found.indices, strict=True)
            if not known or int(pair_id) in known
        ]
        return [pair_id for pair_id, _ in kept], [pair for _, pair in kept]

    def _labelled_file(self) -> Path | None:
        labels = str(self.provenance.get("options", {}).get("labels", self.table[0].labels))
        if labels in DATASETS:
            return dataset(labels)
        if Path(labels).is_file():
            return Path(labels)
        found = list(self.path.glob(f"b8-*-{labels}.xyz"))
        n_pairs = self.provenance.get("options", {}).get("pairs")
        exact = self.path / f"b8-{n_pairs}-{labels}.xyz"
        return exact if exact in found else max(found, key=_n_pairs, default=None)


def _n_pairs(path: Path) -> int:
    count = path.name.split("-")[1]
    return int(count) if count.isdigit() else 0


def _read_predictions(path: Path) -> Predictions:
    with path.open() as file:
        rows = list(csv.DictReader(file))
    try:
        values = [[float(row[name]) for name in _PREDICTION_COLUMNS] for row in rows]
        ids = np.array([int(row["pair_id"]) for row in rows], dtype=int)
        part = [row["part"] for row in rows]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: damaged, not a table of predictions ({error})") from error
    energies = np.array(values).reshape(-1, 4)
    return Predictions(ids, part, energies[:, :2], energies[:, 2:])


def _read_log(path: Path) -> list[dict[str, float]]:
    """Epochs of a training; the last line may be half written."""
    epochs = []
    lines = path.read_text().splitlines()
    for number, line in enumerate(lines):
        try:
            epochs.append(json.loads(line))
        except ValueError as error:
            if number < len(lines) - 1:
                raise InputError(f"{path}, line {number + 1}: damaged, not JSON") from error
    return epochs
