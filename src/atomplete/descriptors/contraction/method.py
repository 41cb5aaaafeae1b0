"""Choice of the algorithm that finds components of rows within a bound on memory."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from atomplete.descriptors.memory import CHUNK_BYTES, OVERHEAD
from atomplete.errors import InputError

Method = Literal["exact", "sketch"]

#: Multiply-adds below which nobody waits: then second moments are accumulated if they fit.
LONG = 10**13

#: How many times cheaper a sketch must be to be used although second moments fit.
MUCH_CHEAPER = 4

#: Rows of a chunk, if memory allows: with fewer, products wait for memory.
ROWS_AT_ONCE = 512

#: Copies of a row that are held while it is computed.
ROW_COPIES = 2


@dataclass(frozen=True)
class Plan:
    """Algorithm, its cost, and the memory that it holds.

    Attributes
    ----------
    method
        Exact second moments, or a sketch of them.
    held
        Bytes beside a chunk of rows.
    peak
        Bytes at the end, when there are no rows any more.
    operations
        Multiply-adds.
    n_columns
        Even and odd columns of a sketch.
    chunk_bytes
        Bound on a chunk of rows.
    """

    method: Method
    held: int
    peak: int
    operations: int
    n_columns: tuple[int, int] = (0, 0)
    chunk_bytes: int = 0

    @property
    def n_passes(self) -> int:
        """Number of times that the rows are computed."""
        return 1 if self.method == "exact" else 2


def plan(
    sizes: Sequence[tuple[int, int]],
    kept: tuple[int, int],
    n_rows: int,
    *,
    largest: int,
    memory: int,
) -> Plan:
    """Choose the algorithm by memory, and by operations where both fit.

    Parameters
    ----------
    sizes
        Of even and of odd features, how many sums and differences there are (``Exchange``).
    kept
        Even and odd components.
    n_rows
        Rows to multiply.
    largest
        Bytes of the smallest chunk of rows that there can be: those of the largest environment.
    memory
        Bound, bytes.

    Raises
    ------
    InputError
        If neither way fits the bound.

    Examples
    --------
    >>> paper = [(2610, 2358), (1278, 1098)], (600, 350), 196_000
    >>> [plan(*paper, largest=10**7, memory=m * 10**6).method for m in (2000, 300)]
    ['exact', 'sketch']
    """
    ways = _exact(sizes, kept, n_rows), _sketch(sizes, kept, n_rows)
    need = [max(way.peak, way.held + largest) for way in ways]
    fitting = [way for way, bytes_ in zip(ways, need, strict=True) if bytes_ <= memory]
    if not fitting:
        raise InputError(
            f"{kept[0]} even and {kept[1]} odd components of {sum(sizes[0])} and {sum(sizes[1])} "
            f"features take {min(need) / 1e9:.2g} GB with the rows of the largest environment, "
            f"more than the {memory / 1e9:.2g} GB allowed; contract radial channels first, keep "
            "fewer components, or allow more memory"
        )
    cheaper = ways[0].operations > max(LONG, MUCH_CHEAPER * ways[1].operations)
    chosen = fitting[-1] if cheaper else fitting[0]
    at_once = max(CHUNK_BYTES, ROWS_AT_ONCE * ROW_COPIES * 8 * sum(map(sum, sizes)))
    return replace(chosen, chunk_bytes=min(at_once, memory - chosen.held))


def _exact(sizes: Sequence[tuple[int, int]], kept: tuple[int, int], n_rows: int) -> Plan:
    halves = [size for both in sizes for size in both]
    moments = OVERHEAD + 8 * sum(size**2 for size in halves)
    vectors = _vector_bytes(sizes, kept)
    return Plan(
        method="exact",
        held=moments,
        # the largest is diagonalised: its vectors and two more as work space
        peak=max(moments + 3 * 8 * max(halves) ** 2 + vectors, OVERHEAD + 4 * vectors),
        operations=sum(n_rows * size**2 // 2 + 4 * size**3 for size in halves),
    )


def _sketch(sizes: Sequence[tuple[int, int]], kept: tuple[int, int], n_rows: int) -> Plan:
    # a quarter more columns than components: within a few per cent of what the optimum loses
    n_columns = kept[0] + kept[0] // 4 + 10, kept[1] + kept[1] // 4 + 10
    tall = [(size, min(size, n)) for both, n in zip(sizes, n_columns, strict=True) for size in both]
    columns = 8 * sum(size * n for size, n in tall)
    squares = 8 * sum(n**2 for _, n in tall)
    vectors = _vector_bytes(sizes, kept)
    return Plan(
        method="sketch",
        held=OVERHEAD + 2 * columns + squares,
        # the largest is made orthonormal: a copy and work space
        peak=max(
            OVERHEAD + 2 * columns + 2 * 8 * max(size * n for size, n in tall) + squares,
            OVERHEAD + columns + 4 * squares + vectors,
            OVERHEAD + 4 * vectors,
        ),
        # two products to span a space, one and a small one within it
        operations=sum(n_rows * n * (3 * size + n) + 4 * size * n**2 for size, n in tall),
        n_columns=n_columns,
    )


def _vector_bytes(sizes: Sequence[tuple[int, int]], kept: tuple[int, int]) -> int:
    """Bytes of all components; four such are held at the end: halves, joined, in order, signed."""
    return 8 * sum(sum(both) * k for both, k in zip(sizes, kept, strict=True))
