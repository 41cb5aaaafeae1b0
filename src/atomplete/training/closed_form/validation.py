"""Errors of forces and stresses of validation data, as functions of the coefficients."""

from collections.abc import Iterator, Sequence
from itertools import chain

from jaxtyping import Float
from torch import Tensor

from atomplete.training.closed_form.derivative_rows import Labelled, bytes_of_rows
from atomplete.training.closed_form.remembered import Remembered
from atomplete.training.closed_form.shares import shares_of
from atomplete.training.run import Task

#: Kind, rows and targets of a part of the data.
Rows = tuple[str, Float[Tensor, "row coefficient"], Float[Tensor, " row"]]


class Validation:
    """Rows of derivatives of validation data, kept where they take little memory.

    Parameters
    ----------
    task
        A fit, whose scales are settled.
    kinds
        Those of "forces" and "stress" that are fitted to.
    dtype
        Of derivatives.
    memory
        Bound on derivatives that are held at once, bytes, and on half of what is kept.
    """

    def __init__(self, task: Task, kinds: Sequence[str], dtype: str, memory: int) -> None:
        self._potential, self._kinds = task.potential, kinds

        def compute() -> Iterator[Rows]:
            if not kinds:
                return
            potential, structures = task.potential, task.split.validation.flatten().unique()
            data = Labelled.of(potential, task.dataset, structures)
            need = bytes_of_rows(potential, data.system).tolist()
            for part in chain.from_iterable(shares_of(need, memory)):
                for kind, rows, targets in data.part(part).rows(potential, kinds, dtype):
                    has = targets.isfinite()
                    yield kind, rows[has], targets[has] / potential.scale

        self._rows = Remembered(compute, lambda part: part[1].nbytes, memory // 2)

    def changes(
        self, coefficients: Float[Tensor, "member coefficient"]
    ) -> Iterator[tuple[str, Float[Tensor, "row member"], Float[Tensor, " row"]]]:
        """Kind, predictions with several coefficients, and targets of each part, over the scale."""
        scaled = (self._potential.feature_scale * coefficients).T
        for kind, rows, targets in self._rows:
            yield kind, rows.double() @ scaled, targets

    def mean_squares(self, weights: Float[Tensor, " coefficient"]) -> dict[str, float]:
        """Mean squared errors by kind, over the square of the scale."""
        squares, count = dict.fromkeys(self._kinds, 0.0), dict.fromkeys(self._kinds, 0)
        for kind, predicted, targets in self.changes(weights[None]):
            squares[kind] += float((predicted[:, 0] - targets).square().sum())
            count[kind] += len(targets)
        return {kind: square / max(count[kind], 1) for kind, square in squares.items()}
