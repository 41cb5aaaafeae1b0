"""Several passes over what takes long to compute."""

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Remembered(Generic[T]):
    """Items that are computed in the first pass, and again in later ones if they are too large.

    Parameters
    ----------
    compute
        Gives the items of a pass.
    size
        Bytes of an item.
    memory
        Bound on all of them, beyond which none is kept.

    Examples
    --------
    >>> def compute():
    ...     print("computing")
    ...     yield from "abc"
    >>> letters = Remembered(compute, len, memory=3)
    >>> [*letters, *letters]
    computing
    ['a', 'b', 'c', 'a', 'b', 'c']
    """

    def __init__(
        self, compute: Callable[[], Iterator[T]], size: Callable[[T], int], memory: int
    ) -> None:
        self._compute, self._size, self._memory = compute, size, memory
        self._kept: list[T] | None = None

    def __iter__(self) -> Iterator[T]:
        """All items, in the same order each time."""
        if self._kept is not None:
            yield from self._kept
            return
        kept, used = list[T](), 0
        for item in self._compute():
            used += self._size(item)
            if used <= self._memory:
                kept.append(item)
            else:
                kept.clear()
            yield item
        if used <= self._memory:
            self._kept = kept
