"""Tables of the pairs in each of many groups, so that a sum over them is a matrix product."""

import torch
from jaxtyping import Int
from torch import Tensor

#: Pairs in one table, about: few enough to stay in cache, many enough for the time of a call.
SLOTS = 7168


def slots_of_groups(
    group_of_pair: Int[Tensor, " pair"], n_groups: int
) -> tuple[Int[Tensor, " group"], list[Int[Tensor, "run slot"]]]:
    """All groups in an order, and tables of their pairs, each for a run of them.

    Groups of many pairs come first, so that those in one table have similar numbers of them,
    and empty ones last, in no table. Slots that remain hold the number of pairs, the position
    after the last.

    Examples
    --------
    >>> slots_of_groups(torch.tensor([0, 2, 2, 0, 2]), 4)
    (tensor([2, 0, 1, 3]), [tensor([[1, 2, 4],
            [0, 3, 5]])])
    """
    n_pairs, order = len(group_of_pair), None
    if (group_of_pair[1:] < group_of_pair[:-1]).any():
        group_of_pair, order = group_of_pair.sort(stable=True)
    bounds = torch.arange(n_groups + 1, device=group_of_pair.device)
    first = torch.searchsorted(group_of_pair, bounds)
    counts = first.diff()
    widths, groups = counts.sort(descending=True, stable=True)
    tables, start, n_occupied = [], 0, int((counts > 0).sum())
    while start < n_occupied:
        width = int(widths[start])
        run = groups[start : min(start + max(1, SLOTS // width), n_occupied)]
        place = torch.arange(width, device=groups.device)
        slot = first[run, None] + place
        tables.append(slot.where(place < counts[run, None], n_pairs))
        start += len(run)
    if order is not None:
        order = torch.cat([order, order.new_tensor([n_pairs])])
        tables = [order[slot] for slot in tables]
    return groups, tables
