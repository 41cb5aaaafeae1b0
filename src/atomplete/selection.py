"""Rows, centres or structures that a user chooses, checked at one place."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from atomplete.errors import InputError


def chosen_of(
    given: Iterable[Any] | Tensor, count: int, one: str, many: str, device: Any = "cpu"
) -> Int[Tensor, " chosen"]:
    """Positions that are chosen among ``count``, in the order given and as often as given.

    Parameters
    ----------
    given
        Numbers from 0 on, as a list, a range, a NumPy array or a tensor; or a mask of ``count``
        booleans.
    count
        How many there are to choose from.
    one, many
        What one and many of them are called, for errors.
    device
        Of the result.

    Raises
    ------
    InputError
        For a number that is negative or too large, a mask of another length, or anything else.

    Examples
    --------
    >>> chosen_of(range(3, 0, -1), 4, "row", "rows"), chosen_of([True, False], 2, "row", "rows")
    (tensor([3, 2, 1]), tensor([0]))
    >>> chosen_of([-1], 4, "row", "rows")
    Traceback (most recent call last):
    atomplete.errors.InputError: row -1 of 4 rows
    """
    try:
        array = given.detach().cpu().numpy() if isinstance(given, Tensor) else np.asarray(given)
    except ValueError:  # lists of different lengths
        array = np.asarray(None)
    if array.dtype == bool and array.ndim == 1:
        if len(array) != count:
            raise InputError(f"a mask of length {len(array)} for {count} {many}")
        array = np.flatnonzero(array)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise InputError(f"{many} are chosen by a list of whole numbers or a mask, not {given!r}")
    outside = (array < 0) | (array >= count)
    if outside.any():
        raise InputError(f"{one} {array[outside][0]} of {count} {many}")
    return torch.as_tensor(array.astype(np.int64), device=device)


def members(
    group: Int[Tensor, " member"], chosen: Int[Tensor, " chosen"]
) -> tuple[Int[Tensor, " found"], Int[Tensor, " found"]]:
    """Members of chosen groups in a sorted column of group numbers, and whose they are.

    Examples
    --------
    >>> members(torch.tensor([0, 0, 1, 3]), torch.tensor([3, 0]))
    (tensor([3, 0, 1]), tensor([0, 1, 1]))
    """
    start = torch.searchsorted(group, chosen)
    length = torch.searchsorted(group, chosen, right=True) - start
    owner = torch.repeat_interleave(length)
    first = length.cumsum(0) - length
    return torch.arange(len(owner), device=owner.device) + (start - first)[owner], owner
