"""Invariant density correlations rho_i^{⊗ν}, ν = 1, 2, 3: nothing tagged (N = 0).

ν = 1 is a radial spectrum (distances), ν = 2 the power spectrum of SOAP, ν = 3 the bispectrum.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from atomplete.o3 import clebsch_gordan, coupled_triples, lm_slice


def nu1(rho_i: Float[Tensor, "center channel lm"]) -> Float[Tensor, "center feature"]:
    """The isotropic part of the density, <q 0 0|rho_i>: (center, channel).

    Examples
    --------
    >>> nu1(torch.zeros(5, 6, 16)).shape
    torch.Size([5, 6])
    """
    return rho_i[:, :, 0]


def nu2(rho_i: Float[Tensor, "center channel lm"]) -> Float[Tensor, "center feature"]:
    """The power spectrum Σ_m <q l m|rho_i><q' l m|rho_i> / √(2l+1), channels q ≤ q'.

    References
    ----------
    Bartók, Kondor, Csányi, Phys. Rev. B 87, 184115 (2013).

    Examples
    --------
    >>> nu2(torch.zeros(5, 6, 16)).shape
    torch.Size([5, 84])
    """
    n_channels, orders = rho_i.shape[1], range(_max_angular(rho_i) + 1)
    q1, q2 = torch.triu_indices(n_channels, n_channels, device=rho_i.device)
    upper = (q1 * n_channels + q2).expand(len(rho_i), -1)
    blocks = []
    for block in rho_i.split([2 * l + 1 for l in orders], 2):
        product = (block @ block.transpose(1, 2)).flatten(1)
        blocks.append(product.gather(1, upper) / block.shape[2] ** 0.5)
    return torch.cat(blocks, 1)


def nu3(
    rho_i: Float[Tensor, "center channel lm"],
) -> tuple[Float[Tensor, "center feature"], Int[Tensor, " feature"]]:
    """The bispectrum Σ_m C ρ_{q1 l1 m1} ρ_{q2 l2 m2} ρ_{q3 l3 m3}, each multiset (q, l) once.

    Returns
    -------
    values, parity
        (center, feature), and (feature,): +1 for even l1+l2+l3 (scalars), −1 for odd ones
        (pseudoscalars).

    References
    ----------
    Bartók, Kondor, Csányi, Phys. Rev. B 87, 184115 (2013).

    Examples
    --------
    >>> values, parity = nu3(torch.zeros(5, 6, 16))
    >>> values.shape, int((parity < 0).sum())
    (torch.Size([5, 1268]), 310)
    """
    blocks, parities = [], []
    for l1, l2, l3 in coupled_triples(_max_angular(rho_i)):
        if not l1 <= l2 <= l3:
            continue
        block = bispectrum_block(rho_i, l1, l2, l3)
        parity = (-1) ** (l1 + l2 + l3)
        unique = _unique_channels(rho_i.shape[1], (l1, l2, l3), parity, rho_i.device)
        blocks.append(block.flatten(1)[:, unique])
        parities.append(torch.full((len(unique),), parity, device=rho_i.device))
    return torch.cat(blocks, 1), torch.cat(parities)


def bispectrum_block(
    rho_i: Float[Tensor, "center channel lm"], l1: int, l2: int, l3: int
) -> Float[Tensor, "center q1 q2 q3"]:
    """All channels of one (l1, l2, l3): two densities are coupled to l3, then contracted.

    Examples
    --------
    >>> bispectrum_block(torch.zeros(5, 6, 16), 1, 2, 3).shape
    torch.Size([5, 6, 6, 6])
    """
    coupling = clebsch_gordan(l1, l2, l3, dtype=rho_i.dtype, device=rho_i.device)
    first, second, third = (rho_i[:, :, lm_slice(l)] for l in (l1, l2, l3))
    coupled = torch.einsum("iax,xyz,iby->iabz", first, coupling, second)
    return torch.einsum("iabz,icz->iabc", coupled, third)


def _max_angular(rho_i: Tensor) -> int:
    return round(rho_i.shape[2] ** 0.5) - 1


def _unique_channels(
    n_channels: int, orders: tuple[int, int, int], parity: int, device: torch.device
) -> Tensor:
    """Flat indices of the (q1, q2, q3) that are not related by a permutation of equal l.

    An odd block is antisymmetric in equal l, and vanishes where their channels agree.
    """
    l1, l2, l3 = orders
    channels = torch.arange(n_channels, device=device)
    q1, q2, q3 = torch.meshgrid(channels, channels, channels, indexing="ij")
    keep = torch.ones_like(q1, dtype=torch.bool)
    if l1 == l2:
        keep &= q1 <= q2 if parity > 0 else q1 < q2
    if l2 == l3:
        keep &= q2 <= q3 if parity > 0 else q2 < q3
    return keep.flatten().nonzero()[:, 0]
