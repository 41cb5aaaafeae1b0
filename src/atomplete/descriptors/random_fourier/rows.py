"""Rows of random invariants of padded environments, and their derivatives, in closed form.

With N tagged neighbours a row is, for each channel, a trilinear form in the coefficients of the
tagged neighbours and, for the factors that are left, in their sums over all neighbours.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Rows:
    """Rows of one kind for some environments, and what their derivatives are made of.

    Attributes
    ----------
    values
        (environment, row, channel).
    weight
        (environment, row), the product of the weights of the tagged neighbours.
    tags
        (tag, row), slots of the tagged neighbours.
    partial
        For each factor (environment, row, channel, lm), its derivative; a row axis of length 1
        stands for all rows.
    """

    values: Float[Tensor, "environment row channel"]
    weight: Float[Tensor, "environment row"]
    tags: Int[Tensor, "tag row"]
    partial: tuple[Float[Tensor, "environment _ channel lm"], ...]


@dataclass(frozen=True)
class RowSlopes:
    """Rows of one kind, scaled, with their derivatives in the vectors to all neighbours.

    Attributes
    ----------
    values
        (environment, row, channel), h / σ.
    weight
        (environment, row).
    by_vectors
        (environment, row, slot, xyz, channel), derivatives of ``values``, 1/Å.
    weight_by_vectors
        (environment, row, slot, xyz), derivatives of ``weight``, 1/Å.
    species
        (environment, row), number of the choice of species of the tagged neighbours.
    """

    values: Float[Tensor, "environment row channel"]
    weight: Float[Tensor, "environment row"]
    by_vectors: Float[Tensor, "environment row slot xyz channel"]
    weight_by_vectors: Float[Tensor, "environment row slot xyz"]
    species: Int[Tensor, "environment row"]


def tag_slots(n_tagged: int, n_slots: int, device: torch.device) -> Int[Tensor, "tag row"]:
    """Slots of the tagged neighbours of each row: all of them, or all pairs of two.

    Examples
    --------
    >>> tag_slots(2, 3, torch.device("cpu"))
    tensor([[0, 0, 1],
            [1, 2, 2]])
    """
    if n_tagged == 2:
        return torch.triu_indices(n_slots, n_slots, 1, device=device)
    rows = n_slots if n_tagged else 1
    return torch.arange(rows, device=device).expand(n_tagged, rows)


def rows_of(
    tagged: Float[Tensor, "environment tag_slot channel lm"],
    densities: Float[Tensor, "factor environment channel lm"],
    weight: Float[Tensor, "environment tag_slot"],
    n_tagged: int,
    forms: Float[Tensor, "channel lm_1 lm_1 lm_1"],
    n_odd: int,
    *,
    partials: bool = False,
) -> Rows:
    """Rows with N tagged neighbours.

    Parameters
    ----------
    tagged
        Coefficients of those that may be tagged, the first slots.
    densities
        Sums of coefficients over all neighbours, for each factor that is left.
    weight
        Of those that may be tagged.
    n_tagged
        N.
    forms
        Trilinear form of each channel, as ``couplings`` makes them.
    n_odd
        Channels, the last ones, that are squared.
    partials
        Whether derivatives will be asked for.
    """
    tags = tag_slots(n_tagged, weight.shape[1], weight.device)
    factors = [*(tagged[:, slots] for slots in tags), *densities[:, :, None]]
    # the factor with the fewest rows first
    a, b, d = (torch.nn.functional.pad(x, (0, 1), value=1.0) for x in factors)
    with_d = torch.einsum("cxyz,ercz->ercxy", forms, d)[:, 0]
    of_a = torch.einsum("ecxy,ercy->ercx", with_d, b)
    values = (a * of_a).sum(-1)
    partial: tuple[Tensor, ...] = ()
    if partials:
        of_b = torch.einsum("ecxy,ercx->ercy", with_d, a)
        if n_tagged < 2:  # b is the same for all rows
            with_b = torch.einsum("cxyz,ecy->ecxz", forms, b[:, 0])
            of_d = torch.einsum("ecxz,ercx->ercz", with_b, a)
        else:
            with_a = torch.einsum("cxyz,ercx->ercyz", forms, a)
            of_d = torch.einsum("ercyz,ercy->ercz", with_a, b)
        partial = tuple(x[..., :-1] for x in (of_a, of_b, of_d))
    if n_odd:
        odd = values[..., -n_odd:]
        ones = torch.ones_like(values[..., :-n_odd])
        if partials:
            chain = torch.cat([ones, 2 * odd], -1)[..., None]
            partial = tuple(chain * x for x in partial)
        values = torch.cat([values[..., :-n_odd], odd.square()], -1)
    row_weight = weight.new_ones(len(weight), tags.shape[1])
    for slots in tags:
        row_weight = row_weight * weight[:, slots]
    return Rows(values, row_weight, tags, partial)


def derivatives_of_rows(
    rows: Rows,
    slopes: Float[Tensor, "xyz factor environment slot channel lm"],
    weight: Float[Tensor, "environment tag_slot"],
    weight_slopes: Float[Tensor, "xyz environment tag_slot"],
) -> tuple[
    Float[Tensor, "environment row slot xyz channel"],
    Float[Tensor, "environment row slot xyz"],
]:
    """Derivatives of values and weights of rows in the vectors to all neighbours.

    Parameters
    ----------
    rows
        Rows with their partial derivatives.
    slopes
        Derivatives of the coefficients of each slot in its own vector.
    weight, weight_slopes
        Of those that may be tagged, and their derivatives.
    """
    n_tagged, n_rows = rows.tags.shape[0], rows.tags.shape[1]
    n_factors = slopes.shape[1]
    values = slopes.new_zeros(())
    for factor in range(n_tagged, 3):  # sums move with every slot
        source = slopes[:, n_factors - 3 + factor]
        values = values + torch.einsum("ercs,xemcs->ermxc", rows.partial[factor], source)
    values = values.expand(-1, n_rows, -1, -1, -1).clone()
    environments, _, n_slots = values.shape[:3]
    weights = values.new_zeros(environments, n_rows, n_slots, 3)
    row = torch.arange(n_rows, device=values.device)
    for factor, slots in enumerate(rows.tags):
        source = slopes[:, 0][:, :, slots]
        values[:, row, slots] += torch.einsum("ercs,xercs->erxc", rows.partial[factor], source)
        change = weight_slopes[:, :, slots]
        for other, others in enumerate(rows.tags):
            if other != factor:
                change = change * weight[:, others]
        weights[:, row, slots] += change.permute(1, 2, 0)
    return values, weights
