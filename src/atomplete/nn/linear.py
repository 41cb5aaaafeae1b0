"""Linear models, fitted in closed form."""

from typing import Literal

import torch
from jaxtyping import Float, Int
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from atomplete.descriptors import Features

#: Candidates for the strength of the penalty.
STRENGTHS = tuple(10.0**exponent for exponent in range(-13, -1))


class LinearSpec(BaseModel):
    """A linear model: no options but the group.

    Under O(3) only scalars enter: a linear function of pseudoscalars changes sign in a mirror.

    Examples
    --------
    >>> LinearSpec()
    LinearSpec(type='linear', group='O3')
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    type: Literal["linear"] = "linear"
    group: Literal["O3", "SO3"] = "O3"


class Linear(nn.Module):
    """E_i = w · Σ_rows x: blind to whatever the plain sum of rows is blind to.

    Examples
    --------
    >>> Linear(LinearSpec(), n_even=400, n_odd=250)
    Linear(400 features; O3)
    """

    def __init__(self, spec: LinearSpec, n_even: int, n_odd: int) -> None:
        super().__init__()
        self.spec = spec
        n_features = n_even if spec.group == "O3" else n_even + n_odd
        self.register_buffer("weights", torch.zeros(n_features, dtype=torch.float64))
        self.weights: Tensor

    def __repr__(self) -> str:
        return f"Linear({len(self.weights)} features; {self.spec.group})"

    def inputs(self, features: Features) -> Float[Tensor, "center feature"]:
        """Sums over rows, (center, feature), of the features that the group allows."""
        total = features.sum_over_neighbors()
        return total[:, features.parity > 0] if self.spec.group == "O3" else total

    def forward(self, features: Features) -> Float[Tensor, " center"]:
        """E_i of each centre, in the model's own scale."""
        inputs = self.inputs(features)
        return inputs @ self.weights.to(inputs)


def fit_ridge(
    inputs: Float[Tensor, "structure feature"],
    targets: Float[Tensor, " structure"],
    train: Int[Tensor, " train"],
    validation: Int[Tensor, " validation"],
) -> tuple[Float[Tensor, " feature"], float]:
    """Least squares with an L2 penalty, its strength chosen on validation data.

    The penalty is relative to the largest eigenvalue of the inputs' second moment, one of
    ``STRENGTHS``.

    Parameters
    ----------
    inputs, targets
        (structure, feature) and (structure,), in float64, both with what is fitted without
        penalty (an intercept, say) taken out already.
    train, validation
        Rows of both.

    Returns
    -------
    weights, strength
        (feature,), and the strength that gave the smallest validation error.

    Examples
    --------
    >>> x = torch.eye(3, dtype=torch.float64)
    >>> y = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    >>> fit_ridge(x, y, torch.arange(3), torch.arange(3))
    (tensor([1.0000, 2.0000, 3.0000], dtype=torch.float64), 1e-13)
    """
    x, y = inputs[train], targets[train]
    values, vectors = torch.linalg.eigh(x.T @ x)
    projected = vectors.T @ (x.T @ y)

    def solve(strength: float) -> Tensor:
        return vectors @ (projected / (values.clamp_min(0) + strength * values[-1]))

    def error(strength: float) -> float:
        return float((inputs[validation] @ solve(strength) - targets[validation]).square().mean())

    best = min(STRENGTHS, key=error)
    return solve(best), best
