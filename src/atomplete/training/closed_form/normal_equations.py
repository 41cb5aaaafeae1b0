"""Sums over rows of a linear problem: what its closed-form solution needs to know of the data."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from scipy.linalg.blas import dsyrk
from torch import Tensor

#: Rows of a matrix that are mirrored at a time, without a copy of the whole.
BLOCK = 512


@dataclass(eq=False)
class NormalEquations:
    """Sums over rows a with targets y: aᵀa, aᵀy, y² and their number, with a state to resume.

    Of aᵀa only the upper triangle is summed up; ``combined`` gives the whole.
    """

    matrix: Float[Tensor, "coefficient coefficient"]
    right: Float[Tensor, " coefficient"]
    square: Float[Tensor, ""]
    count: Float[Tensor, ""]

    @classmethod
    def empty(cls, n: int) -> "NormalEquations":
        """No row yet."""
        zero = torch.zeros((), dtype=torch.float64)
        return cls(zero.new_zeros(n, n), zero.new_zeros(n), zero.clone(), zero.clone())

    def add(self, rows: Float[Tensor, "row coefficient"], targets: Float[Tensor, " row"]) -> None:
        """Add rows; those without a target, NaN, are left out."""
        has = targets.isfinite()
        rows, targets = (rows, targets) if has.all() else (rows[has], targets[has])
        rows = rows.double()
        # half the work of a product of matrices; BLAS takes the transpose of what torch stores
        transposed = self.matrix.numpy().T
        dsyrk(1.0, rows.numpy().T, beta=1.0, c=transposed, lower=True, overwrite_c=True)
        self.right += rows.T @ targets
        self.square += targets.square().sum()
        self.count += len(targets)

    def mean_square(self, weights: Float[Tensor, " coefficient"]) -> float:
        """Mean squared error of a solution, from a whole matrix."""
        total = weights @ (self.matrix @ weights) - 2 * self.right @ weights + self.square
        return float(total.clamp_min(0) / self.count.clamp_min(1))

    def add_sums(self, other: "NormalEquations") -> None:
        """Add sums over other rows."""
        self._add(other.upper(), vars(other))

    def add_state(self, state: Mapping[str, Tensor]) -> None:
        """Add sums over other rows from their state, without a matrix of them."""
        self._add(_rows_of(state["upper"], len(self.matrix)), state)

    def _add(self, upper: Iterator[Tensor], others: Mapping[str, Tensor]) -> None:
        for mine, other in zip(self.upper(), upper, strict=True):
            mine += other
        for name in ("right", "square", "count"):
            getattr(self, name).add_(others[name])

    def upper(self) -> Iterator[Float[Tensor, " rest"]]:
        """Rows of the upper triangle."""
        return (row[k:] for k, row in enumerate(self.matrix))

    def clear(self) -> None:
        """Forget all rows."""
        for value in vars(self).values():
            value.zero_()

    def release(self) -> None:
        """Free the memory of the matrix."""
        self.matrix = self.matrix.new_zeros(0, 0)

    def state_dict(self) -> dict[str, Tensor]:
        """The sums, of the matrix the rows of its upper triangle one after the other."""
        upper = torch.cat([*self.upper(), self.matrix.new_zeros(0)])
        return {"upper": upper, "right": self.right, "square": self.square, "count": self.count}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from sums that were saved."""
        self.clear()
        self.add_state(state)


def _rows_of(upper: Float[Tensor, " entry"], n: int) -> Iterator[Float[Tensor, " rest"]]:
    return iter(upper.split(list(range(n, 0, -1))))


@dataclass(eq=False)
class EnergyRows:
    """Rows that are held, with their targets; squares are counted over ``number`` groups."""

    rows: Float[Tensor, "row coefficient"]
    targets: Float[Tensor, " row"]
    number: int

    def mean_square(self, weights: Float[Tensor, " coefficient"]) -> float:
        """Mean squared error of a solution."""
        return float((self.rows @ weights - self.targets).square().sum()) / max(self.number, 1)


def combined(
    held: list[tuple[float, EnergyRows]],
    sums: list[tuple[float, NormalEquations]],
    n: int,
    units: tuple[float, float] = (1.0, 1.0),
) -> NormalEquations:
    """Sums whose mean square is the weighted sum of those of all terms; the matrix is whole.

    Rows and targets of sums are multiplied by ``units``.
    """
    total = NormalEquations.empty(n)
    of_rows, of_targets = units
    for weight, of_kind in sums:
        share = weight / max(float(of_kind.count), 1)
        total.matrix.add_(of_kind.matrix, alpha=share * of_rows**2)
        total.right.add_(of_kind.right, alpha=share * of_rows * of_targets)
        total.square.add_(of_kind.square, alpha=share * of_targets**2)
    for weight, term in held:
        root = (weight / max(term.number, 1)) ** 0.5
        total.add(root * term.rows, root * term.targets)
    total.count.fill_(1)
    for start in range(0, n, BLOCK):
        stop = start + BLOCK
        inner = total.matrix[start:stop, start:stop]
        inner.copy_(inner.triu() + inner.triu(1).T)
        total.matrix[stop:, start:stop] = total.matrix[start:stop, stop:].T
    return total
