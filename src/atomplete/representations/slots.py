"""Tables of the pairs in each of many groups, so that a sum over them is a matrix product."""

import torch
from jaxtyping import Int
from torch import Tensor

#: Pairs in one table, about: few enough to stay in cache, many enough for the time of a call.
SLOTS = 4096


def slots_of_groups(
    group_of_pair: Int[Tensor, " pair"], n_groups: int
) -> tuple[Int[Tensor, " occupied"], list[Int[Tensor, "group slot"]]]:
    """Groups that are not empty, and tables of their pairs, each for a run of those groups.

    Groups of many pairs come first, so that those in one table have similar numbers of them.
    Slots that remain hold the number of pairs, the position after the last.

    Examples
    --------
    >>> slots_of_groups(torch.tensor([0, 2, 2, 0, 2]), 4)
    (tensor([2, 0]), [tensor([[1, 2, 4],
            [0, 3, 5]])])
    """
    n_pairs = len(group_of_pair)
    pairs = torch.arange(n_pairs, device=group_of_pair.device)
    if (group_of_pair.diff() < 0).any():
        pairs = group_of_pair.argsort(stable=True)
    counts = torch.bincount(group_of_pair, minlength=n_groups)
    first = counts.cumsum(0) - counts
    groups = counts.argsort(descending=True, stable=True)
    groups = groups[counts[groups] > 0]
    tables, widths = [], counts[groups].tolist()
    while widths:
        start = len(groups) - len(widths)
        run = groups[start : start + max(1, SLOTS // widths[0])]
        place = torch.arange(widths[0], device=pairs.device)
        slot = pairs[(first[run, None] + place).clamp(max=n_pairs - 1)]
        tables.append(slot.where(place < counts[run, None], n_pairs))
        del widths[: len(run)]
    return groups, tables
