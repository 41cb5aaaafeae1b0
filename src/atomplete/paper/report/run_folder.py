"""The folder of a run of ``atomplete reproduce``, as far as it is filled."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ase import Atoms

from atomplete.data import pair_structures, read_structures
from atomplete.errors import InputError
from atomplete.paper.data import METHODS, LabelledPairs
from atomplete.paper.datasets import DATASETS, dataset
from atomplete.paper.results import Predictions
from atomplete.paper.studies.ablation import AblationRow
from atomplete.paper.studies.latent_size import LatentSize
from atomplete.paper.studies.learning_curve import CurvePoint, Extrapolation
from atomplete.paper.studies.objectives import LatentObjective
from atomplete.paper.table import TableRow
from atomplete.report.read import ResultFolder, mapping


def read_predictions(table: Sequence[TableRow], folder: ResultFolder) -> dict[str, Predictions]:
    """Predictions of the rows that have any, by their names."""
    found = {}
    for row in table:
        if path := folder.find(f"{row.row}/predictions.csv"):
            with folder.noting():
                found[row.row] = Predictions.read(path)
    return found


@dataclass(frozen=True, eq=False)
class RunFolder:
    """Results of a run; parts that it does not have are empty."""

    files: ResultFolder
    table: list[TableRow]
    provenance: dict[str, Any]
    predictions: dict[str, Predictions]
    logs: dict[str, list[list[dict[str, float]]]]
    latent: list[LatentSize]
    objectives: list[LatentObjective]
    ablation: list[AblationRow]
    learning: list[CurvePoint | Extrapolation]

    @classmethod
    def read(cls, files: ResultFolder) -> "RunFolder":
        """Read everything but the structures; ``table.json`` must be there."""
        table = files.records("table.json", TableRow)
        if not table:
            raise InputError(next(iter(files.problems), f"{files.path / 'table.json'}: no rows"))
        logs = {row.row: _logs(files, row) for row in table}
        return cls(
            files=files,
            table=table,
            provenance=files.values("run.json"),
            predictions=read_predictions(table, files),
            logs={name: found for name, found in logs.items() if any(found)},
            latent=files.records("latent_size.json", LatentSize),
            objectives=files.records("objectives.json", LatentObjective),
            ablation=files.records("ablation.json", AblationRow),
            learning=files.records("learning_curve.json", CurvePoint | Extrapolation),
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
        bare = [row.row for row in self.table if row.target == "energy"]
        return [name for name, content in optional.items() if not content] + [
            f"{row}/predictions.csv" for row in bare if row not in self.predictions
        ]

    @property
    def source(self) -> str:
        """Origin of the labels in a word: a method, a dataset, or the name of a file."""
        return Path(self.table[0].labels).name

    def labelled_pairs(self) -> list[tuple[int, Atoms, Atoms]]:
        """Number, plus and minus of each of the labelled pairs, if they are to be found.

        A file elsewhere that the folder names is shown only if it is known to hold just what
        the run has used: a folder from somewhere else must not bring files of its reader to light.
        """
        options = mapping(self.provenance.get("options"))
        labels = str(options.get("labels", self.table[0].labels))
        path = dataset(labels) if labels in DATASETS else self._made(options.get("pairs"), labels)
        with self.files.noting():
            if path is not None:
                structures = read_structures(path)
            elif labels in METHODS:
                return []
            else:
                path, structures = Path(labels), self._used(labels, options.get("pairs"))
            found = pair_structures(structures, path)
            return [
                (number, structures[plus], structures[minus])
                for number, (plus, minus) in zip(found.ids.tolist(), found.indices, strict=True)
            ]
        return []

    def _used(self, labels: str, n_pairs: object) -> list[Atoms]:
        """Structures of a file elsewhere, if they are those of the run."""
        try:
            is_file = isinstance(n_pairs, int) and Path(labels).is_file()
        except (OSError, ValueError):
            is_file = False
        if not is_file:
            raise InputError(f"{labels}: there is no such file, from which the run had its pairs")
        used = LabelledPairs.read(Path(labels), int(str(n_pairs)), seed=0)
        if used.hash != self.provenance.get("data_sha256"):
            raise InputError(f"{labels}: it does not hold the labelled pairs of this run")
        return used.structures

    def _made(self, n_pairs: object, labels: str) -> Path | None:
        """The file that the run has made; the largest, if it is not known which."""
        found = {}
        for path in self.files.path.glob("b8-*.xyz"):
            _, count, *rest = path.stem.split("-", 2)
            if rest == [labels] and count.isdigit() and self.files.find(path.name):
                found[int(count)] = path
        if n_pairs in found:
            return found[n_pairs]
        return found[max(found)] if found else None


def _logs(files: ResultFolder, row: TableRow) -> list[list[dict[str, float]]]:
    """Logs of a row, of all of its seeds."""
    folder = files.find(row.row)
    paths = sorted(folder.rglob("log.jsonl")) if folder is not None else []
    return [files.log(str(path.relative_to(files.path))) for path in paths]
