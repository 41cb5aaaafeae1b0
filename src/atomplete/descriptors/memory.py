"""Memory of an evaluation: measured on one environment, scaled to all others."""

import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, no_type_check

import torch
from jaxtyping import Int
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from atomplete.system import System

#: Default bound on the memory of one chunk, bytes. Small chunks stay in cache and are faster.
CHUNK_BYTES = 64 * 2**20

#: Default bound on what fitting and evaluation hold beside structures and pairs, bytes.
MEMORY = 2 * 10**9

#: What allocators and matrix products hold beside tensors, bytes.
OVERHEAD = 100 * 10**6

#: What is added, for tables with empty places, and for centres that are unlike the measured one.
MARGIN = 1.5

#: Bytes that a measurement may itself take, about.
ROOM = 32 * 2**20

#: Parity and labels of a feature: seven columns, and what makes them.
LABEL_BYTES = 8 * 8

#: Copies of a large row that are held while it is computed.
LARGE_COPIES = 4

#: So few centres are a chunk of their own, if copies of their rows take no more than it may.
FEW_CENTERS, COPIES = 16, 16


class LiveBytes(TorchDispatchMode):
    """Bytes held by all tensors that are used meanwhile, whoever made them.

    Attributes
    ----------
    held
        After each operation.

    Examples
    --------
    >>> with LiveBytes() as seen:
    ...     for _ in range(3):
    ...         a = torch.ones(1000, dtype=torch.float64)
    ...         b = a + 1
    ...         del a, b
    >>> seen.peak
    16000
    """

    def __init__(self) -> None:
        super().__init__()
        self.held: list[int] = []
        self._live = 0
        self._storages: dict[int, weakref.ref] = {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """False: nothing is compiled here, and to load the compiler takes seconds."""
        return False

    @property
    def peak(self) -> int:
        """Largest number of bytes held at one time."""
        return max(self.held, default=0)

    @no_type_check  # runs at every operation: to check types would be most of the time
    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run one operation and count what it has used and made."""
        result = func(*args, **(kwargs or {}))
        for value in tree_leaves((args, kwargs, result)):
            if isinstance(value, Tensor):
                self._see(value.untyped_storage())
        self.held.append(self._live)
        return result

    @no_type_check
    def _see(self, storage: torch.UntypedStorage) -> None:
        key, size = id(storage), storage.nbytes()
        if key in self._storages:
            return
        self._live += size
        self._storages[key] = weakref.ref(storage, partial(self._forget, key, size))

    @no_type_check
    def _forget(self, key: int, size: int, _: Any) -> None:
        self._live -= size
        del self._storages[key]


class Measured(NamedTuple):
    """Bytes of one centre with so many neighbours and rows, the margin included."""

    neighbors: int
    rows: int
    bytes: float


#: What was measured of a function, by the dtype and the device of the positions.
Measurements = dict[tuple[torch.dtype, torch.device], list[Measured]]


def center_bytes(
    function: Callable[[System], Any],
    system: System,
    rows_of: Callable[[System], Int[Tensor, " center"]],
    known: Measurements | None = None,
    numbers_per_row: int | None = None,
) -> Int[Tensor, " center"]:
    """Bytes that each centre takes while ``function`` is evaluated, at the most.

    Rows that are large are counted. Of others, measured is what one more copy adds to two of the
    centre that has most rows, with its nearest neighbour and with as many neighbours as little
    memory allows, all if it can be. What another centre takes grows no faster than its neighbours
    or its rows, whichever grow faster.

    Parameters
    ----------
    function
        Features of a system, or anything that is made of its centres.
    system
        Any number of structures.
    rows_of
        Number of rows of each centre of a system.
    known
        What was measured of the function before; what is measured now is added.
    numbers_per_row
        Numbers that a row is computed from at the least, by default those of the function.

    Examples
    --------
    >>> import ase
    >>> from atomplete.descriptors import ThreeCenterSpec, build
    >>> system = System.from_atoms(ase.Atoms("B2", [(0, 0, 0), (0, 0, 1.6)]), cutoff=2.0)
    >>> descriptor = build(ThreeCenterSpec())
    >>> need = center_bytes(descriptor, system, descriptor.rows_per_center)
    >>> need.shape, bool((need > 7344 * 8).all())
    (torch.Size([2]), True)
    """
    counts, rows = system.neighbor_counts, rows_of(system)
    if not len(counts):
        return counts
    if numbers_per_row is None:
        numbers_per_row = getattr(function, "numbers_per_row", 0)
    of_row = numbers_per_row * system.dtype.itemsize
    if LARGE_COPIES * 3 * of_row > ROOM:  # a measurement would itself take more than its room
        return LARGE_COPIES * of_row * rows.clamp_min(1)
    known = {} if known is None else known
    found = known.setdefault((system.dtype, system.positions.device), [])
    most = int(counts.max()), int(rows.max())
    if not any(most[0] <= one.neighbors and most[1] <= one.rows for one in found):
        found += _measured(function, system, rows_of)
    bounds = [
        one.bytes * torch.maximum(counts / max(one.neighbors, 1), rows / max(one.rows, 1))
        for one in found
    ]
    least = [bound.clamp_min(one.bytes) for bound, one in zip(bounds, found, strict=True)]
    return torch.stack(least).amin(0).ceil().long()


def is_one_chunk(
    function: Callable[[System], Any],
    system: System,
    rows_of: Callable[[System], Int[Tensor, " center"]],
    chunk_bytes: int,
) -> bool:
    """Whether there is so little to be computed that nothing must be measured or cut.

    Only of a function that says how many ``numbers_per_row`` there are.

    Examples
    --------
    >>> import ase
    >>> from atomplete.descriptors import ThreeCenterSpec, build
    >>> system = System.from_atoms(ase.Atoms("B2", [(0, 0, 0), (0, 0, 1.6)]), cutoff=2.0)
    >>> descriptor = build(ThreeCenterSpec())
    >>> is_one_chunk(descriptor, system, descriptor.rows_per_center, 2**24)
    True
    """
    numbers = getattr(function, "numbers_per_row", 0)
    if len(system.centers) > FEW_CENTERS or not numbers:
        return False
    # sums over neighbours may be computed from a term for each two of them
    terms = torch.maximum(rows_of(system), system.neighbor_counts.clamp_min(1) ** 2)
    return COPIES * int(terms.sum()) * numbers * system.dtype.itemsize <= chunk_bytes


def _measured(
    function: Callable[[System], Any],
    system: System,
    rows_of: Callable[[System], Int[Tensor, " center"]],
) -> Iterator[Measured]:
    """Measure a centre with one neighbour first, then with as many as that allows."""
    counts, rows = system.neighbor_counts, rows_of(system)
    center = int((rows.double() * (1 + int(counts.max())) + counts).argmax())
    most, few = int(counts[center]), min(1, int(counts[center]))
    while True:
        # one copy would not do: tensors of one row are handled in other ways
        two, three = (_nearest(system, center, few, copies) for copies in (2, 3))
        size = MARGIN * max(1, _bytes_of_one(function, two, three))
        yield Measured(few, int(rows_of(two)[0]), size)
        allowed = min(most, int(few * (ROOM / size) ** 0.5))
        if allowed <= few:
            return
        few = allowed


def _nearest(system: System, center: int, n_neighbors: int, copies: int) -> System:
    """Copies of one centre with its nearest neighbours, among all atoms."""
    one = system.select_centers(center, center + 1)
    order = torch.linalg.vector_norm(one.r_ij.detach(), dim=-1).argsort(stable=True)
    pairs = order[:n_neighbors].sort().values.repeat(copies)
    return replace(
        one,
        centers=one.centers.repeat(copies),
        i=torch.arange(copies, device=pairs.device).repeat_interleave(n_neighbors),
        j=one.j[pairs],
        shift=one.shift[pairs],
    )


def _bytes_of_one(function: Callable[[System], Any], two: System, three: System) -> int:
    """Largest excess of the bytes held for three equal centres over those for two."""
    function(two)  # what is cached is not of a centre
    fewer, more = _held(function, two), _held(function, three)
    if len(fewer) == len(more):
        return max((b - a for a, b in zip(fewer, more, strict=True)), default=0)
    return max(fewer) // 2


def _held(function: Callable[[System], Any], system: System) -> list[int]:
    with LiveBytes() as seen:
        function(system)
    return seen.held
