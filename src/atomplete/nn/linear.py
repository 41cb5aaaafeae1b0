"""Linear readouts, fitted in closed form."""

from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from atomplete.descriptors import Features
from atomplete.nn.readout import Readout, ReadoutSpec


class LinearSpec(ReadoutSpec):
    """Spec of a linear readout.

    Under O(3) only scalars enter: a linear function of pseudoscalars changes sign in a mirror.
    Centres of each species have weights of their own, since features do not tell the species of
    their centre.

    Examples
    --------
    >>> LinearSpec()
    LinearSpec(type='linear', group='O3')
    """

    type: Literal["linear"] = "linear"
    group: Literal["O3", "SO3"] = "O3"


class Linear(Readout, spec=LinearSpec):
    """E_i = w(species of i) · Σ_rows x: blind to whatever the plain sum of rows is blind to.

    Parameters
    ----------
    spec
        Group.
    parity
        (feature,) +1 for scalars, −1 for pseudoscalars.
    species
        Atomic numbers of the centres; without any, all have the same weights.
    seed
        Plays no part.

    Examples
    --------
    >>> Linear(LinearSpec(), parity=torch.tensor([1, 1, -1]))
    Linear(2 features; O3)
    """

    is_linear: ClassVar[bool] = True

    def __init__(
        self,
        spec: LinearSpec,
        *,
        parity: Int[Tensor, " feature"],
        species: tuple[int, ...] = (),
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.spec, self._species = spec, species
        n_features = int((parity > 0).sum()) if spec.group == "O3" else len(parity)
        self.weights: Tensor
        shape = max(len(self._species), 1), n_features
        self.register_buffer("weights", torch.zeros(shape, dtype=torch.float64))

    def __repr__(self) -> str:
        blocks = f" × {len(self.weights)} species" if len(self.weights) > 1 else ""
        return f"Linear({self.weights.shape[1]} features{blocks}; {self.spec.group})"

    @property
    def coefficients(self) -> Float[Tensor, "block feature"]:
        """The weights."""
        return self.weights

    def inputs(self, features: Features) -> Float[Tensor, "center feature"]:
        """Sums over rows, (center, feature), of the features that the group allows."""
        total = features.sum_over_neighbors()
        return total[:, self.columns(features.parity)] if self.spec.group == "O3" else total

    def columns(self, parity: Int[Tensor, " feature"]) -> Int[Tensor, " column"]:
        """The scalars under O(3), else all features."""
        return ((parity > 0) | (self.spec.group == "SO3")).nonzero()[:, 0]

    def block(self, features: Features) -> Int[Tensor, " center"]:
        """Position of the species of each centre, or zero if there is one only."""
        if len(self._species) <= 1:
            return super().block(features)
        return features.center_position(self._species, "the readout")

    def forward(self, features: Features) -> Float[Tensor, " center"]:
        """E_i of each centre, in the model's own scale."""
        inputs = self.inputs(features)
        weights = self.weights.to(inputs)
        if len(weights) == 1:
            return inputs @ weights[0]
        return (inputs * weights[self.block(features)]).sum(1)
