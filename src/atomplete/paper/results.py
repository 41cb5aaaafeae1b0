"""Results of each row and seed, and the table that is made of them."""

from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from atomplete.paper.data import LabelledPairs
from atomplete.paper.errors import PairErrors
from atomplete.runs.files import atomic_write


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
