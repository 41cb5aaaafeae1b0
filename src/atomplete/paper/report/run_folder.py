"""The folder of a run of ``atomplete reproduce``, as far as it is filled."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from atomplete.errors import InputError
from atomplete.paper.datasets import DATASETS, dataset
from atomplete.paper.studies.ablation import AblationRow
from atomplete.paper.studies.latent_size import LatentSize
from atomplete.paper.studies.learning_curve import CurvePoint, Extrapolation
from atomplete.paper.studies.objectives import LatentObjective
from atomplete.paper.table import TableRow
from atomplete.report.read import read_log, read_options, read_records

# energies are written with nine decimals, and summed in single precision by some models
_NOTHING = 1e-3
_COLUMNS = ("energy_plus", "energy_minus", "predicted_plus", "predicted_minus")


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
    part: np.ndarray
    reference: Float[np.ndarray, "pair 2"]
    predicted: Float[np.ndarray, "pair 2"]

    @classmethod
    def read(cls, path: Path) -> "Predictions":
        """Read ``predictions.csv``."""
        with path.open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        try:
            values = [[float(row[name]) for name in _COLUMNS] for row in rows]
            ids = np.array([int(row["pair_id"]) for row in rows], dtype=int)
            part = np.array([row["part"] for row in rows])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}: damaged, not a table of predictions ({error})") from error
        energies = np.array(values).reshape(-1, 4)
        return cls(ids, part, energies[:, :2], energies[:, 2:])

    @property
    def blind(self) -> bool:
        """Whether the predicted differences are nothing beside those of the reference."""
        predicted, reference = (np.diff(e)[:, 0] for e in (self.predicted, self.reference))
        return float(np.abs(predicted).max()) < _NOTHING * float(np.std(reference))


def read_predictions(table: Sequence[TableRow], folder: Path) -> dict[str, Predictions]:
    """Predictions of the rows that have any, by their names."""
    paths = {row.row: folder / row.row / "predictions.csv" for row in table}
    return {name: Predictions.read(path) for name, path in paths.items() if path.is_file()}


@dataclass(frozen=True, eq=False)
class RunFolder:
    """Results of a run; parts that it does not have are empty."""

    path: Path
    table: list[TableRow]
    provenance: dict[str, Any]
    predictions: dict[str, Predictions]
    logs: dict[str, list[list[dict[str, float]]]]
    latent: list[LatentSize]
    objectives: list[LatentObjective]
    ablation: list[AblationRow]
    learning: list[CurvePoint | Extrapolation]

    @classmethod
    def read(cls, path: Path) -> "RunFolder":
        """Read everything but the structures; ``table.json`` must be there."""
        table = read_records(path / "table.json", TableRow)
        if not table:
            raise InputError(f"{path / 'table.json'}: no rows")
        logs = {
            row.row: [read_log(file) for file in sorted((path / row.row).rglob("log.jsonl"))]
            for row in table
        }
        return cls(
            path=path,
            table=table,
            provenance=read_options(path / "run.json"),
            predictions=read_predictions(table, path),
            logs={name: found for name, found in logs.items() if any(found)},
            latent=read_records(path / "latent_size.json", LatentSize),
            objectives=read_records(path / "objectives.json", LatentObjective),
            ablation=read_records(path / "ablation.json", AblationRow),
            learning=read_records(path / "learning_curve.json", CurvePoint | Extrapolation),
        )

    @property
    def missing(self) -> list[str]:
        """Optional files that the folder does not hold."""
        optional = {
            "latent_size.json": self.latent,
            "objectives.json": self.objectives,
            "ablation.json": self.ablation,
            "learning_curve.json": self.learning,
        }
        return [name for name, content in optional.items() if not content]

    @property
    def source(self) -> str:
        """Origin of the labels in a word: a method, a dataset, or the name of a file."""
        return Path(self.table[0].labels).name

    def labelled_file(self) -> Path | None:
        """The labelled pairs, if they are to be found."""
        options = self.provenance.get("options", {})
        labels = str(options.get("labels", self.table[0].labels))
        if labels in DATASETS:
            return dataset(labels)
        if Path(labels).is_file():
            return Path(labels)
        found = list(self.path.glob(f"b8-*-{labels}.xyz"))
        exact = self.path / f"b8-{options.get('pairs')}-{labels}.xyz"
        return exact if exact in found else max(found, key=_n_pairs, default=None)


def _n_pairs(path: Path) -> int:
    count = path.name.split("-")[1]
    return int(count) if count.isdigit() else 0
