"""Three-centre descriptors: two tagged neighbours and one density (N = 2, ν = 1).

xi_q(A_{i i1 i2}) = Σ_{m1 m2 m3} C[l1 m1; l2 m2; l3 m3] g_{i i1} g_{i i2} rho_i
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from atomplete.basis import CutoffFunction
from atomplete.o3 import clebsch_gordan, coupled_triples, lm_slice
from atomplete.representations.features import Features
from atomplete.system import System


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
    labels = three_center_labels(g_ij.shape[1], max_angular).to(g_ij.device)
    counts = system.neighbor_counts
    first_pair = counts.cumsum(0) - counts
    blocks, positions = [g_ij.new_empty(0, len(labels))], []
    for size in counts[counts > 0].unique().tolist():
        centers = (counts == size).nonzero()[:, 0]
        pairs = first_pair[centers][:, None] + torch.arange(size, device=centers.device)
        blocks.append(_rows(g_ij[pairs], rho_i[centers], max_angular))
        positions.append(centers.repeat_interleave(size**2))
    values = blocks[-1] if len(blocks) <= 2 else torch.cat(blocks)
    if len(positions) > 1:
        values = values[torch.cat(positions).argsort(stable=True)]

    first, second = neighbor_tuples(system)
    r = torch.linalg.vector_norm(system.r_ij, dim=-1)
    within_cutoff = cutoff_function(r, cutoff)
    structure = system.structure[system.centers]
    start = system.first_atom[structure]
    atom = system.centers - start
    center = system.i[first]
    return Features(
        values=values,
        rows={
            "structure": structure[center],
            "center": atom[center],
            "neighbor_1": system.j[first] - start[center],
            "neighbor_2": system.j[second] - start[center],
        },
        parity=1 - 2 * (labels[:, 1::2].sum(1) % 2),
        center_of_row=center,
        center_structure=structure,
        center_atom=atom,
        center_species=system.species[system.centers],
        weight=within_cutoff[first] * within_cutoff[second],
    )


def three_center_labels(n_channels: int, max_angular: int) -> Int[Tensor, "feature 6"]:
    """What each feature is: (q1, l1, q2, l2, q3, l3), in the order of ``three_center``.

    Examples
    --------
    >>> three_center_labels(6, 3).shape
    torch.Size([7344, 6])
    """
    q = torch.arange(n_channels)
    labels = []
    for l1, couplings in _by_first_order(max_angular):
        orders = torch.tensor(couplings)
        q1, t, q2, q3 = (
            axis.flatten()
            for axis in torch.meshgrid(q, torch.arange(len(orders)), q, q, indexing="ij")
        )
        l2, l3 = orders[t].unbind(1)
        labels.append(torch.stack([q1, torch.full_like(q1, l1), q2, l2, q3, l3], 1))
    return torch.cat(labels)


def neighbor_tuples(system: System) -> tuple[Int[Tensor, " row"], Int[Tensor, " row"]]:
    """All ordered pairs of neighbours of each centre, as two positions in the pair list."""
    counts = system.neighbor_counts
    start = counts.cumsum(0) - counts
    rows = counts**2
    center = torch.repeat_interleave(rows)
    within = torch.arange(len(center), device=center.device) - (rows.cumsum(0) - rows)[center]
    first = start[center] + within.div(counts[center], rounding_mode="floor")
    return first, start[center] + within % counts[center]


def _by_first_order(max_angular: int) -> list[tuple[int, list[tuple[int, int]]]]:
    """The triples (l1, l2, l3), gathered by l1."""
    triples = coupled_triples(max_angular)
    return [
        (l1, [(l2, l3) for first, l2, l3 in triples if first == l1])
        for l1 in range(max_angular + 1)
    ]


def _rows(
    g: Float[Tensor, "center neighbor channel lm"],
    rho: Float[Tensor, "center channel lm"],
    max_angular: int,
) -> Float[Tensor, "row feature"]:
    """Rows of centres that all have the same number of neighbours."""
    blocks = []
    for l1, couplings in _by_first_order(max_angular):
        # everything but the first neighbour: (center, neighbor_2, m1, l2 l3 q2 q3)
        coupled = []
        for l2, l3 in couplings:
            block = clebsch_gordan(l1, l2, l3, dtype=g.dtype, device=g.device)
            density = torch.einsum("abc,iqc->iabq", block, rho[:, :, lm_slice(l3)])
            neighbor = torch.einsum("ijpb,iabq->ijapq", g[..., lm_slice(l2)], density)
            coupled.append(neighbor.flatten(3))
        rest = torch.cat(coupled, -1)
        block = torch.einsum("ijqa,ikaf->ijkqf", g[..., lm_slice(l1)], rest)
        blocks.append(block.flatten(0, 2).flatten(1))
    return torch.cat(blocks, 1)
