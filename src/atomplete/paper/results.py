"""What a run writes for each row and seed, and the table that is made of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from atomplete.paper.data import LabelledPairs
from atomplete.paper.errors import PairErrors
from atomplete.runs.files import atomic_write

Result = TypeVar("Result", bound=BaseModel)


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
        """From errors on test and validation pairs."""
        return cls(
            mean_error=test.mean,
            difference_error=test.difference,
            validation_mean_error=validation.mean,
            validation_difference_error=validation.difference,
            seconds=round(seconds, 1),
        )


def found_or(kind: type[Result], path: Path, identity: str, make: Callable[[], Result]) -> Result:
    """What an earlier run with the same options and data wrote, or a new result, written last."""
    try:
        content = json.loads(path.read_text())
        if content["identity"] == identity:
            return kind.model_validate(content["result"])
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        pass  # none, or none that can be read: it is made anew
    result = make()
    write_json(path, {"identity": identity, "result": result.model_dump()})
    return result


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


def write_json(path: Path, content: Any) -> None:
    """Write plain data, under a temporary name first."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n")
