"""Committees of linear potentials, drawn from a posterior."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

#: Members of a committee: a standard deviation over them is known to 12 %.
MEMBERS = 32


class Committee(nn.Module):
    """Coefficients and references of members, relative to those of their potential.

    Parameters
    ----------
    coefficients
        Of the potential, (block, feature).
    n_species
        Number of its reference energies.

    Attributes
    ----------
    coefficients
        (member, block, feature), drawn from the posterior but for a factor.
    references
        (member, species), eV.
    environments
        (member, block, feature), drawn from the posterior if energies of atoms had been the labels.
    largest
        (block,) the largest standard deviation over ``environments`` of an atom in training data;
        zero where there is none.
    calibration
        (3,) factors of the standard deviations of energies, forces and stresses; NaN before a fit.
    """

    def __init__(self, coefficients: Float[Tensor, "block feature"], n_species: int) -> None:
        super().__init__()
        self.coefficients: Tensor
        self.references: Tensor
        self.environments: Tensor
        self.largest: Tensor
        self.calibration: Tensor
        zero = torch.zeros((), dtype=torch.float64)
        self.register_buffer("coefficients", zero.new_zeros(MEMBERS, *coefficients.shape))
        self.register_buffer("references", zero.new_zeros(MEMBERS, n_species))
        self.register_buffer("environments", torch.zeros_like(self.coefficients))
        self.register_buffer("largest", zero.new_zeros(len(coefficients)))
        self.register_buffer("calibration", zero.new_full((3,), torch.nan))

    @property
    def is_fitted(self) -> bool:
        """Whether members were drawn and calibrated."""
        return bool(self.calibration.isfinite().all())

    def grades(
        self, inputs: Float[Tensor, "center feature"], block: Int[Tensor, " center"]
    ) -> Float[Tensor, " center"]:
        """Extrapolation grades of centres: above 1 they are beyond the training data."""
        largest = self.largest[block]
        deviation = contract(inputs, self.environments, block).square().mean(1).sqrt()
        return torch.where(largest > 0, deviation / largest, torch.inf)


def contract(
    derivatives: Float[Tensor, "item *direction feature"],
    coefficients: Float[Tensor, "member block feature"],
    block: Int[Tensor, " item"],
) -> Float[Tensor, "item *direction member"]:
    """Products of derivatives in the coefficients of a block with those of all members."""
    found = derivatives.new_zeros(*derivatives.shape[:-1], len(coefficients))
    for number in block.unique().tolist():
        here = block == number
        found[here] = derivatives[here] @ coefficients[:, number].T
    return found
