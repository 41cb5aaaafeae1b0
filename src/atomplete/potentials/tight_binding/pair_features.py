"""Features of pairs of atoms for two-centre matrix elements: their distance and surroundings."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from atomplete.radial import CutoffFunction, ShiftedCosine
from atomplete.units import Cutoff


class PairBasisSpec(BaseModel):
    """Functions of a distance, alone and times densities of neighbours at both of its ends.

    Examples
    --------
    >>> PairBasisSpec().widths
    (1.2, 1.7, 2.4)
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    cutoff: Cutoff = Field(default=4.5, description="Å")
    cutoff_function: CutoffFunction = ShiftedCosine(width=0.5)
    max_radial: int = Field(default=8, ge=1, le=100, description="functions of the distance")
    max_radial_surroundings: int = Field(
        default=5, ge=1, le=100, description="of these, how many are multiplied with densities"
    )
    decay: float = Field(default=1.5, gt=0, description="length on which functions decay, Å")
    widths: tuple[float, ...] = Field(
        default=(1.2, 1.7, 2.4),
        min_length=1,
        max_length=20,
        description="of Gaussians that count neighbours, Å",
    )


@dataclass(frozen=True, eq=False)
class PairFeatures:
    """Features of the pairs of atoms within structures that have as many atoms.

    Attributes
    ----------
    distance
        (structure, i, j), Å; zero for i = j.
    direction
        r_j − r_i over its length, (structure, i, j, xyz); zero for i = j.
    between
        Invariants that do not change when i and j are exchanged, (structure, i, j, feature).
    seen_from
        Invariants of j as seen from i, (structure, i, j, feature).
    """

    distance: Float[Tensor, "structure i j"]
    direction: Float[Tensor, "structure i j xyz"]
    between: Float[Tensor, "structure i j feature"]
    seen_from: Float[Tensor, "structure i j on_site_feature"]


def pair_features(
    positions: Float[Tensor, "structure atom xyz"], spec: PairBasisSpec
) -> PairFeatures:
    """Correlate two tagged atoms with the density of their neighbours.

    With b_k(r) the functions of the distance, h_a(r) Gaussians, rho_ia = Σ_m h_a(r_im) and
    t_ab(ij) = Σ_m h_a(r_im) h_b(r_jm), the features are b_k(r_ij), and b_k(r_ij) times each of
    rho_ia + rho_ja, rho_ia rho_ja, (rho_ia − rho_ja)² and t_ab + t_ba; as seen from i, the
    exchange of i and j need not be symmetric.

    References
    ----------
    Nigam, Willatt, Ceriotti, J. Chem. Phys. 156, 014115 (2022): N-centre representations.

    Examples
    --------
    >>> x = torch.tensor([[[0.0, 0, 0], [0, 0, 1.6], [0, 1.6, 0]]], dtype=torch.float64)
    >>> features = pair_features(x, PairBasisSpec(widths=(1.5,)))
    >>> features.between.shape, features.seen_from.shape
    (torch.Size([1, 3, 3, 28]), torch.Size([1, 3, 3, 28]))
    """
    separation = positions[:, None] - positions[:, :, None]
    itself = torch.eye(positions.shape[1], dtype=torch.bool)
    # away from zero, where the length has no derivative
    r = (separation.square().sum(-1) + itself).sqrt()
    cut = spec.cutoff_function(r.flatten(), spec.cutoff).view_as(r) * ~itself
    radial = _radial(r, spec) * cut[..., None]
    widths = torch.tensor(spec.widths, dtype=r.dtype)
    gaussian = torch.exp(-((r[..., None] / widths) ** 2)) * cut[..., None]
    rho = gaussian.sum(2)
    i, j = rho[:, :, None].expand_as(gaussian), rho[:, None].expand_as(gaussian)
    shared = torch.einsum("sima,sjmb->sijab", gaussian, gaussian)
    a, b = torch.triu_indices(len(widths), len(widths))
    exchanged = shared.transpose(-1, -2)
    symmetric = (shared + exchanged)[..., a, b] / 2
    odd = (shared - exchanged)[..., a[a != b], b[a != b]]
    low = radial[..., : spec.max_radial_surroundings]

    def times_low(*surroundings: Tensor) -> Tensor:
        product = low[..., None] * torch.cat(surroundings, -1)[..., None, :]
        return torch.cat([radial, product.flatten(-2)], -1)

    return PairFeatures(
        distance=r * ~itself,
        direction=separation / r[..., None],
        between=times_low(i + j, i * j, (i - j) ** 2, symmetric),
        seen_from=times_low(i, j, i**2, symmetric, odd),
    )


def _radial(r: Float[Tensor, "*pair"], spec: PairBasisSpec) -> Float[Tensor, "*pair radial"]:
    """Chebyshev polynomials of an exponential of the distance, bounded at any."""
    end = torch.exp(torch.tensor(-spec.cutoff / spec.decay, dtype=r.dtype))
    x = 2 * (torch.exp(-r / spec.decay) - end) / (1 - end) - 1
    polynomials = [torch.ones_like(x), x]
    while len(polynomials) < spec.max_radial:
        polynomials.append(2 * x * polynomials[-1] - polynomials[-2])
    decaying = torch.exp(-r / spec.decay)[..., None]
    return torch.stack(polynomials[: spec.max_radial], -1) * decaying
