"""The coupling of a tagged neighbour and the density, which explicit and fused rows share."""

import torch
from jaxtyping import Float
from torch import Tensor

from atomplete.o3 import clebsch_gordan, lm_slice

#: C[l1 m1; l2 m2; l3 m3] of one l1: for each l2, the blocks of all l3 side by side.
Couplings = list[tuple[int, Float[Tensor, "_lm3 _m2 _m1 _l3"]]]


def couplings_of(l1: int, orders: list[tuple[int, int]], like: Tensor) -> Couplings:
    """The Clebsch–Gordan blocks that couple l1 to the given (l2, l3), sorted by l2."""
    n_lm = (max(l3 for _, l3 in orders) + 1) ** 2
    couplings = []
    for l2 in sorted({l2 for l2, _ in orders}):
        of_l2 = [l3 for other, l3 in orders if other == l2]
        blocks = like.new_zeros(n_lm, 2 * l2 + 1, 2 * l1 + 1, len(of_l2))
        for position, l3 in enumerate(of_l2):
            block = clebsch_gordan(l1, l2, l3, dtype=like.dtype, device=like.device)
            blocks[lm_slice(l3), :, :, position] = block.permute(2, 1, 0)
        couplings.append((l2, blocks))
    return couplings


def couple(
    g: Float[Tensor, "center neighbor channel lm"],
    rho: Float[Tensor, "center channel lm"],
    couplings: Couplings,
) -> Float[Tensor, "center neighbor m1 l2_l3_q2_q3"]:
    """A row without its first neighbour: Σ_{m2 m3} C[l1 m1; l2 m2; l3 m3] g_{i i2} rho_i."""
    n_centers, n, n_q, _ = g.shape
    parts = []
    for l2, blocks in couplings:
        n_lm, *shape = blocks.shape
        density = (rho[..., :n_lm] @ blocks.flatten(1)).unflatten(2, shape)
        density = density.permute(0, 2, 3, 4, 1).flatten(2)  # center m2 (m1 l3 q3)
        neighbor = g[..., lm_slice(l2)].flatten(1, 2) @ density  # center (neighbor q2) (m1 l3 q3)
        neighbor = neighbor.view(n_centers, n, n_q, *shape[1:], n_q)
        parts.append(neighbor.permute(0, 1, 3, 4, 2, 5))
    return torch.cat(parts, 3).flatten(3)
