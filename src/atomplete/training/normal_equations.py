"""Sums over rows of a linear problem: what its closed-form solution needs to know of the data."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from scipy.linalg.blas import dsyrk
from torch import Tensor


@dataclass(eq=False)
class NormalEquations:
    """Sums over rows a with targets y: aᵀa, aᵀy, y² and their number, with a state to resume.

    ``upper`` is the upper triangle of aᵀa; what stands below its diagonal has no meaning.
    """

    upper: Float[Tensor, "coefficient coefficient"]
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
        dsyrk(1.0, rows.numpy().T, beta=1.0, c=self.upper.numpy().T, lower=True, overwrite_c=True)
        self.right += rows.T @ targets
        self.square += targets.square().sum()
        self.count += len(targets)

    def add_to(self, total: Float[Tensor, "coefficient coefficient"], share: float) -> None:
        """Add the upper triangle of aᵀa, times a share, to a total."""
        total.add_(self.upper, alpha=share)

    def mean_square(self, weights: Float[Tensor, " coefficient"]) -> float:
        """Mean squared error of a solution; zero without rows."""
        full = self.upper.triu() + self.upper.triu(1).T
        total = weights @ (full @ weights) - 2 * self.right @ weights + self.square
        return float(total.clamp_min(0) / self.count.clamp_min(1))

    def state_dict(self) -> dict[str, Tensor]:
        """The sums."""
        return dict(vars(self))

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on from sums that were saved."""
        for name, value in state.items():
            getattr(self, name).copy_(value)


@dataclass(eq=False)
class EnergyRows:
    """Rows that are held, with their targets; squares are counted over ``count`` groups."""

    rows: Float[Tensor, "row coefficient"]
    targets: Float[Tensor, " row"]
    count: int

    def add_to(self, total: Float[Tensor, "coefficient coefficient"], share: float) -> None:
        """Add the sum of aᵀa over rows a, times a share, to a total."""
        total.addmm_(self.rows.T, self.rows, alpha=share)

    @property
    def right(self) -> Float[Tensor, " coefficient"]:
        """Sum of aᵀy."""
        return self.rows.T @ self.targets

    def mean_square(self, weights: Float[Tensor, " coefficient"]) -> float:
        """Mean squared error of a solution."""
        return float((self.rows @ weights - self.targets).square().sum()) / max(self.count, 1)


#: A weight, and the rows that it is the weight of.
Term = tuple[float, EnergyRows | NormalEquations]
