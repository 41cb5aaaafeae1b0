"""Three-centre descriptors: two tagged neighbours and one density (N = 2, ν = 1).

xi_q(A_{i i1 i2}) = Σ_{m1 m2 m3} C[l1 m1; l2 m2; l3 m3] g_{i i1} g_{i i2} rho_i
"""

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from atomplete.descriptors.features import Features
from atomplete.descriptors.tagged.coupling import Couplings, couple, couplings_of
from atomplete.descriptors.tagged.row_groups import equal_centers, in_order
from atomplete.o3 import coupled_triples, lm_slice
from atomplete.radial import CutoffFunction
from atomplete.system import System

#: Rows computed at a time, so that what is temporary stays in the cache of a processor.
ROWS_IN_CACHE = 800


def three_center(
    system: System,
    g_ij: Float[Tensor, "pair channel lm"],
    rho_i: Float[Tensor, "center channel lm"],
    *,
    cutoff: float,
    cutoff_function: CutoffFunction,
) -> Features:
    """All rows (i, i1, i2) of the given system, i1 = i2 included.

    Features run over l1, then q1, then (l2, l3), q2, q3, as ``three_center_labels`` lists them.
    Centres without neighbours have no rows. Summed over (i1, i2), a row block is the full
    bispectrum.

    Parameters
    ----------
    system
        Atoms and pairs.
    g_ij
        (pair, channel, lm).
    rho_i
        (center, channel, lm).
    cutoff, cutoff_function
        Give the weights of the rows, Å.

    Returns
    -------
    Features
        (row, feature), rows labelled by structure, center, neighbor_1, neighbor_2.

    References
    ----------
    Nigam, Pozdnyakov, Huguenin-Dumittan, Ceriotti, arXiv:2302.14770.
    """
    max_angular = round(g_ij.shape[2] ** 0.5) - 1
    couplings = [
        couplings_of(l1, _coupled_to(l1, max_angular), g_ij) for l1 in range(max_angular + 1)
    ]
    parity = three_center_parity(g_ij.shape[1], max_angular)
    counts = system.neighbor_counts
    groups = (
        (rows, _blocks(g_ij[pairs], rho_i[centers], couplings))
        for centers, pairs, rows in equal_centers(counts, lambda n: ROWS_IN_CACHE // n**2)
    )
    values = in_order(
        groups,
        int((counts**2).sum()),
        len(parity),
        g_ij,
        differentiable=torch.is_grad_enabled() and (g_ij.requires_grad or rho_i.requires_grad),
    )
    return rows_of_pairs(system, values, parity, cutoff=cutoff, cutoff_function=cutoff_function)


def rows_of_pairs(
    system: System,
    values: Float[Tensor, "row feature"],
    parity: Int[Tensor, " feature"],
    *,
    cutoff: float,
    cutoff_function: CutoffFunction,
) -> Features:
    """Name the atoms of rows (i, i1, i2) and give the rows their weights."""
    weight = cutoff_function(torch.linalg.vector_norm(system.r_ij, dim=-1), cutoff)
    rows = Features.of_neighbors(system, neighbor_tuples(system), weight)
    return rows.with_values(values, parity)


def three_center_labels(n_channels: int, max_angular: int) -> Int[Tensor, "feature 6"]:
    """Labels of features, (q1, l1, q2, l2, q3, l3), in the order of ``three_center``.

    Examples
    --------
    >>> three_center_labels(6, 3).shape
    torch.Size([7344, 6])
    """
    q = torch.arange(n_channels)
    blocks = [torch.tensor(_coupled_to(l1, max_angular)) for l1 in range(max_angular + 1)]
    # filled in place: of many channels, copies would count
    labels = torch.empty(sum(map(len, blocks)) * n_channels**3, 6, dtype=torch.long)
    start = 0
    for l1, orders in enumerate(blocks):
        shape = n_channels, len(orders), n_channels, n_channels
        block = labels[start : (start := start + n_channels**3 * len(orders))].view(*shape, 6)
        block[..., 0] = q[:, None, None, None]
        block[..., 1] = l1
        block[..., 2] = q[:, None]
        block[..., 3] = orders[:, 0, None, None]
        block[..., 4] = q
        block[..., 5] = orders[:, 1, None, None]
    return labels


def three_center_parity(n_channels: int, max_angular: int) -> Int[Tensor, " feature"]:
    """(feature,) +1 for scalars, −1 for pseudoscalars, in the order of ``three_center``.

    Examples
    --------
    >>> int((three_center_parity(6, 3) < 0).sum())
    2376
    """
    signs = [
        torch.tensor([(-1) ** (l1 + l2 + l3) for l2, l3 in _coupled_to(l1, max_angular)])
        for l1 in range(max_angular + 1)
    ]
    blocks = [sign.repeat_interleave(n_channels**2).repeat(n_channels) for sign in signs]
    return torch.cat(blocks)


def neighbor_tuples(system: System) -> tuple[Int[Tensor, " row"], Int[Tensor, " row"]]:
    """All ordered pairs of neighbours of each centre, as two positions in the pair list."""
    counts = system.neighbor_counts
    start = counts.cumsum(0) - counts
    rows = counts**2
    center = torch.repeat_interleave(rows)
    within = torch.arange(len(center), device=center.device) - (rows.cumsum(0) - rows)[center]
    first = start[center] + within.div(counts[center], rounding_mode="floor")
    return first, start[center] + within % counts[center]


def _blocks(
    g: Float[Tensor, "center neighbor channel lm"],
    rho: Float[Tensor, "center channel lm"],
    couplings: list[Couplings],
) -> Iterator[Float[Tensor, "center neighbor_1 neighbor_2 feature"]]:
    """The features of one l1 after the other."""
    n, n_q = g.shape[1:3]
    for l1, of_l1 in enumerate(couplings):
        rest = couple(g, rho, of_l1)
        first = g[..., lm_slice(l1)].flatten(1, 2)
        block = first[:, None] @ rest  # center neighbor_2 (neighbor_1 q1) (l2 l3 q2 q3)
        yield block.unflatten(2, (n, n_q)).flatten(3).transpose(1, 2)


def _coupled_to(l1: int, max_angular: int) -> list[tuple[int, int]]:
    """All (l2, l3) that couple to l1, in order."""
    return [(l2, l3) for first, l2, l3 in coupled_triples(max_angular) if first == l1]
