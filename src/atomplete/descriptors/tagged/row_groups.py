"""Rows (i, i1, i2) of many centres at a time, those with the same number of neighbours.

Such centres make tensors without gaps; the groups' rows are put in order in the end.
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

#: Where the rows of a group belong, and blocks of their features.
Group = tuple[
    Int[Tensor, "_center _neighbor_1 _neighbor_2"],
    Iterable[Float[Tensor, "_center _neighbor_1 _neighbor_2 _feature"]],
]


def equal_centers(
    counts: Int[Tensor, " center"], at_once: Callable[[int], int]
) -> Iterator[
    tuple[
        Int[Tensor, " group"],
        Int[Tensor, "group neighbor"],
        Int[Tensor, "group neighbor_1 neighbor_2"],
    ]
]:
    """Centres with the same number n of neighbours, at least one and no more than ``at_once(n)``.

    Yields which they are, their pairs and their rows.
    """
    # an accelerator wants to be filled, and has no such cache
    more = 1 if counts.device.type == "cpu" else 100
    first_pair, first_row = counts.cumsum(0) - counts, (counts**2).cumsum(0) - counts**2
    for n in counts[counts > 0].unique().tolist():
        pair = torch.arange(n, device=counts.device)
        row = torch.arange(n**2, device=counts.device).view(n, n)
        for centers in (counts == n).nonzero()[:, 0].split(max(1, more * at_once(n))):
            yield centers, first_pair[centers, None] + pair, first_row[centers, None, None] + row


def in_order(
    groups: Iterable[Group], n_rows: int, n_features: int, like: Tensor, *, differentiable: bool
) -> Float[Tensor, "row feature"]:
    """The features of all groups' rows in the rows' order."""
    if differentiable:
        return _joined(groups, like.new_empty(0, n_features))
    return _written(groups, _empty(n_rows, n_features, like))


def _written(
    groups: Iterable[Group], values: Float[Tensor, "row feature"]
) -> Float[Tensor, "row feature"]:
    """Write blocks to their rows as soon as they are computed."""
    for rows, blocks in groups:
        start, (first, last) = 0, rows.flatten()[[0, -1]].tolist()
        for block in blocks:
            columns = slice(start, start := start + block.shape[3])
            if last - first == rows.numel() - 1:  # rows of consecutive centres: no scattering
                values[first : last + 1, columns].unflatten(0, rows.shape).copy_(block)
            else:
                values[rows, columns] = block
    return values


def _joined(
    groups: Iterable[Group], nothing: Float[Tensor, "0 feature"]
) -> Float[Tensor, "row feature"]:
    """Join blocks without writing in place, at the cost of more copies."""
    places, values = [], []
    for rows, blocks in groups:
        places.append(rows.flatten())
        values.append(torch.cat([block.flatten(0, 2) for block in blocks], 1))
    if not values:
        return nothing
    place, joined = torch.cat(places), torch.cat(values) if len(values) > 1 else values[0]
    return joined if bool((place[1:] > place[:-1]).all()) else joined[place.argsort()]


def _empty(n_rows: int, n_features: int, like: Tensor) -> Float[Tensor, "row feature"]:
    """New memory; on a processor from numpy, which asks for large pages: faster to fill."""
    if like.device.type != "cpu":
        return like.new_empty(n_rows, n_features)
    dtype = str(like.dtype).removeprefix("torch.")
    return torch.from_numpy(np.empty((n_rows, n_features), dtype))
