"""Inputs of a linear readout: derivatives of energies in its coefficients."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from atomplete.descriptors import run
from atomplete.training.closed_form.remembered import Remembered
from atomplete.training.run import Task


class Inputs(NamedTuple):
    """Inputs of consecutive centres, without any scale.

    Attributes
    ----------
    values
        (center, feature), float64.
    block
        (center,) block of coefficients.
    structure
        (center,) position of its structure in the data set.
    squares, number
        Sum of the squares of all features of all rows of training structures, and their number.
    """

    values: Float[Tensor, "center feature"]
    block: Int[Tensor, " center"]
    structure: Int[Tensor, " center"]
    squares: float
    number: int


def inputs_of(task: Task, train: Int[Tensor, " train"], memory: int) -> Remembered[Inputs]:
    """Inputs of all centres of a task, part by part, to pass over them several times."""

    @torch.no_grad()
    def compute() -> Iterator[Inputs]:
        potential, features = task.potential, task.features
        if features is None:
            parts = run(
                potential.descriptor, task.dataset.system(potential.cutoff, potential.centers)
            )
        else:
            parts = iter([features.features])
        for part in parts:
            fitted = torch.isin(part.center_structure[part.center_of_row], train)
            yield Inputs(
                potential.readout.inputs(part).double(),
                potential.readout.block(part),
                part.center_structure,
                float(part.values[fitted].double().square().sum()),
                part.values[fitted].numel(),
            )

    return Remembered(compute, lambda part: part.values.nbytes, memory)


def design_of(
    task: Task, parts: Iterable[Inputs]
) -> tuple[Float[Tensor, "structure coefficient"], float]:
    """Sums of inputs over each structure, and the root mean square of training features."""
    n_structures, (n_blocks, width) = len(task.dataset), task.potential.readout.coefficients.shape
    found, squares, number = torch.zeros(n_structures * n_blocks, width).double(), 0.0, 0
    for part in parts:
        found.index_add_(0, part.structure * n_blocks + part.block, part.values)
        squares, number = squares + part.squares, number + part.number
    return found.view(n_structures, n_blocks * width), (squares / max(number, 1)) ** 0.5
