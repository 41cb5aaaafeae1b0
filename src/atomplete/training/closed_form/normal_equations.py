"""Sums over rows of a linear problem: what its closed-form solution needs to know of the data."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from scipy.linalg.blas import dsymv, dsyrk
from torch import Tensor


@dataclass(eq=False)
class NormalEquations:
    """Sums over rows a with targets y: aᵀa, aᵀy, y² and their number, with a state to resume.

    Of aᵀa the upper triangle is summed up; what is below the diagonal means nothing.
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
        """Mean squared error of a solution."""
        product = dsymv(1.0, self.matrix.numpy().T, weights.numpy(), lower=True)
        total = weights @ torch.from_numpy(product) - 2 * self.right @ weights + self.square
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
    """Sums whose mean square is the weighted sum of those of all terms.

    Rows and targets of sums are multiplied by ``units``. The memory of the first of the sums
    becomes that of the result, and that of the others is freed.
    """
    total = sums[0][1] if sums else NormalEquations.empty(n)
    of_rows, of_targets = units
    for weight, of_kind in sums:
        share = weight / max(float(of_kind.count), 1)
        of_kind.matrix *= share * of_rows**2
        of_kind.right *= share * of_rows * of_targets
        of_kind.square *= share * of_targets**2
        if of_kind is not total:
            total.add_sums(of_kind)
            of_kind.release()
    for weight, term in held:
        root = (weight / max(term.number, 1)) ** 0.5
        total.add(root * term.rows, root * term.targets)
    total.count.fill_(1)
    return total
