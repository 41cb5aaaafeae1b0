"""Results of each row and seed, and the predictions that they are made of."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from pydantic import BaseModel, ConfigDict

from atomplete.errors import InputError
from atomplete.paper.data import LabelledPairs
from atomplete.paper.errors import PairErrors
from atomplete.runs.files import atomic_write

# energies are written with nine decimals, and summed in single precision by some models
_NOTHING = 1e-3
_MOST = 1e100  # eV
_COLUMNS = ("energy_plus", "energy_minus", "predicted_plus", "predicted_minus")


class RowResult(BaseModel):
    """Errors of one row with one seed, and the seconds that it took with its features."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    mean_error: float
    difference_error: float
    validation_mean_error: float
    validation_difference_error: float
    seconds: float

    @classmethod
    def of(cls, test: PairErrors, validation: PairErrors, seconds: float) -> "RowResult":
        """Make the result of errors on test and validation pairs."""
        return cls(
            mean_error=test.mean,
            difference_error=test.difference,
            validation_mean_error=validation.mean,
            validation_difference_error=validation.difference,
            seconds=round(seconds, 1),
        )


def write_predictions(path: Path, data: LabelledPairs, predicted: np.ndarray) -> None:
    """Reference and predicted energies of all pairs, eV, as a table of text."""
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
        try:
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            if lines and not lines[-1].endswith("\n"):
                raise ValueError("the last line was cut")
            rows = list(csv.DictReader(lines))
            values = [[float(row[name]) for name in _COLUMNS] for row in rows]
            ids = np.array([int(row["pair_id"]) for row in rows], dtype=int)
            part = np.array([row["part"] for row in rows], dtype=str)
        except (KeyError, TypeError, ValueError, OverflowError, OSError, csv.Error) as error:
            raise InputError(f"{path}: damaged, not a table of predictions ({error})") from error
        energies = np.array(values).reshape(-1, 4)
        if not len(energies) or not (np.abs(energies) < _MOST).all():
            raise InputError(f"{path}: damaged, it holds no energies, or some that are none")
        return cls(ids, part, energies[:, :2], energies[:, 2:])

    @property
    def blind(self) -> bool:
        """Whether the predicted differences are nothing beside those of the reference."""
        predicted, reference = (np.diff(e)[:, 0] for e in (self.predicted, self.reference))
        return float(np.abs(predicted).max()) < _NOTHING * float(np.std(reference))
