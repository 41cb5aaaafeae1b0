"""Energies of blocks of rows, their derivatives in positions, and those of both in parameters."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from atomplete.training.natural_gradient.blocks import LevelRows


@dataclass(frozen=True, eq=False)
class LevelParameters:
    """Parameters of the rows with the same number of tagged neighbours.

    E = Σ_rows w (a · cos(Ω h + b) + l · h), with b of the species of the tagged neighbours, a and
    l of the species of the centre.
    """

    frequencies: Float[Tensor, "channel cosine"]
    phases: Float[Tensor, "tagged cosine"]
    cosines: Float[Tensor, "species cosine"]
    channels: Float[Tensor, "species channel"]

    @property
    def number(self) -> int:
        """Number of parameters."""
        return sum(part.numel() for part in vars(self).values())


def linearise(
    rows: LevelRows,
    given: LevelParameters,
    by_energy: Float[Tensor, "block parameter"],
    by_slope: Float[Tensor, "block component parameter"],
) -> tuple[Float[Tensor, " block"], Float[Tensor, "block component"]]:
    """Energies and their derivatives in all places; those of both in the parameters are filled in.

    Parameters
    ----------
    rows
        Rows of blocks.
    given
        Parameters.
    by_energy, by_slope
        Where the Jacobian goes, with columns for the parameters in their order, each by rows.
    """
    h, w = rows.values, rows.weight
    by_place, w_by_place = rows.by_places.flatten(2, 3), rows.weight_by_places.flatten(2, 3)
    tagged = torch.nn.functional.one_hot(rows.tagged, len(given.phases)).to(h)
    species = torch.nn.functional.one_hot(rows.species, len(given.cosines)).to(h)
    a, l = given.cosines[rows.species], given.channels[rows.species]
    angle = h @ given.frequencies + given.phases[rows.tagged]
    sine, cosine = angle.sin(), angle.cos()
    turned = by_place @ given.frequencies
    weighted_sine, weighted_cosine = w[..., None] * sine, w[..., None] * cosine
    # derivatives of w cos and of w h
    of_cosine = torch.addcmul(
        w_by_place[..., None] * cosine[:, :, None], weighted_sine[:, :, None], turned, value=-1
    )
    of_channel = torch.addcmul(w_by_place[..., None] * h[:, :, None], w[..., None, None], by_place)
    weighted_h = w[..., None] * h
    energy = (weighted_cosine * a).sum((1, 2)) + (weighted_h * l).sum((1, 2))
    slope = torch.einsum("nkxd,nkd->nx", of_cosine, a) + torch.einsum("nkxc,nkc->nx", of_channel, l)
    # derivatives in the angle of each cosine, of the energy and of its slopes
    first = -a * weighted_sine
    second = torch.addcmul(
        w_by_place[..., None] * sine[:, :, None], weighted_cosine[:, :, None], turned
    ).mul_(-a[:, :, None])
    by_frequency = torch.einsum("nkc,nkxd->nxcd", h, second)
    by_frequency += torch.einsum("nkxc,nkd->nxcd", by_place, first)
    of_energy = (
        torch.einsum("nkc,nkd->ncd", h, first),
        torch.einsum("nkt,nkd->ntd", tagged, first),
        torch.einsum("nks,nkd->nsd", species, weighted_cosine),
        torch.einsum("nks,nkc->nsc", species, weighted_h),
    )
    of_slope = (
        by_frequency,
        torch.einsum("nkt,nkxd->nxtd", tagged, second),
        torch.einsum("nks,nkxd->nxsd", species, of_cosine),
        torch.einsum("nks,nkxc->nxsc", species, of_channel),
    )
    column = 0
    for e, s in zip(of_energy, of_slope, strict=True):
        columns = slice(column, column + e[0].numel())
        by_energy[:, columns] = e.flatten(1)
        by_slope[:, :, columns] = s.flatten(2)
        column = columns.stop
    return energy, slope
