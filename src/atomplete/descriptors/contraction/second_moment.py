"""Leading eigenvectors of second moments of rows that come in chunks: exact, or from a sketch."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

#: Rows of several blocks of features, float64. Each is taken off the list when it is added, so
#: that nothing of a chunk is left while the next one is computed.
Blocks = list[Float[Tensor, "row feature"]]

#: Columns of a strip of a second moment: what lies above the diagonal is not computed.
STRIP = 512


@dataclass(frozen=True)
class Spectrum:
    """Eigenpairs of a second moment, the largest first, and its trace."""

    values: Float[Tensor, " k"]
    vectors: Float[Tensor, "feature k"]
    trace: float


def leading(moment: Float[Tensor, "feature feature"], n_vectors: int) -> Spectrum:
    """The leading eigenpairs of a second moment, of which the lower triangle is read.

    Examples
    --------
    >>> leading(torch.diag(torch.tensor([1.0, 4.0])), 1).values
    tensor([4.])
    """
    values, vectors = torch.linalg.eigh(moment)
    first = max(0, len(values) - n_vectors)
    trace = float(moment.trace())
    return Spectrum(values[first:].flip(0), vectors[:, first:].flip(1), trace)


def exact(
    chunks: Iterable[Blocks], sizes: Sequence[int], n_vectors: Sequence[int]
) -> list[Spectrum]:
    """Spectra of the second moments of several blocks of features.

    Parameters
    ----------
    chunks
        Rows of each block, chunk by chunk.
    sizes
        Number of features of each block.
    n_vectors
        Eigenvectors to find of each block, at the most.
    """
    moments = _second_moments(chunks, sizes)
    # each is dropped as soon as it is diagonalised
    return [leading(moments.pop(0), n) for n in n_vectors]


def sketched(
    passes: Callable[[], Iterable[Blocks]],
    sizes: Sequence[int],
    n_vectors: Sequence[int],
    n_columns: Sequence[int],
) -> list[Spectrum]:
    """The same from two passes over the rows, holding tall matrices of few columns only.

    The second moment is applied to ``n_columns`` random columns, and diagonalised in the space
    that they then span. That space does not depend on how the rows are cut into chunks.

    References
    ----------
    Halko, Martinsson, Tropp, SIAM Rev. 53, 217 (2011).
    """
    products = _products(passes(), sizes, n_columns)
    bases = [torch.linalg.qr(products.pop(0)).Q for _ in sizes]
    moments, traces = _moments_within(passes(), bases)
    spectra = [leading(moment, n) for moment, n in zip(moments, n_vectors, strict=True)]
    return [
        Spectrum(found.values, bases.pop(0) @ found.vectors, trace)
        for found, trace in zip(spectra, traces, strict=True)
    ]


def _second_moments(chunks: Iterable[Blocks], sizes: Sequence[int]) -> list[Tensor]:
    """The lower triangles of Σ rows^T rows of each block, strip by strip."""
    moments = [torch.zeros(size, size, dtype=torch.float64) for size in sizes]
    for blocks in chunks:
        for moment in moments:
            rows = blocks.pop(0)
            for start in range(0, len(moment), STRIP):
                stop = min(start + STRIP, len(moment))
                moment[start:stop, :stop].addmm_(rows[:, start:stop].T, rows[:, :stop])
        del rows
    return moments


def _products(
    chunks: Iterable[Blocks], sizes: Sequence[int], n_columns: Sequence[int]
) -> list[Tensor]:
    """The second moment of each block applied to random columns."""
    generator = torch.Generator().manual_seed(0)
    columns = [
        torch.randn(size, min(size, n), generator=generator, dtype=torch.float64)
        for size, n in zip(sizes, n_columns, strict=True)
    ]
    products = [torch.zeros_like(block) for block in columns]
    for blocks in chunks:
        for product, random in zip(products, columns, strict=True):
            rows = blocks.pop(0)
            product.addmm_(rows.T, rows @ random)
        del rows
    return products


def _moments_within(
    chunks: Iterable[Blocks], bases: Sequence[Tensor]
) -> tuple[list[Tensor], list[float]]:
    """Second moments within the spaces that orthonormal columns span; traces of the whole."""
    moments = [basis.new_zeros(basis.shape[1], basis.shape[1]) for basis in bases]
    traces = [0.0 for _ in bases]
    for blocks in chunks:
        for k, basis in enumerate(bases):
            rows = blocks.pop(0)
            within = rows @ basis
            moments[k].addmm_(within.T, within)
            traces[k] += float(torch.linalg.vector_norm(rows)) ** 2
        del rows
    return moments, traces
