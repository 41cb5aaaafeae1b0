"""Contractions fitted by streaming: no more than one chunk of rows is ever held.

Principal components about zero, in order of their mean square, without whitening: the scale of
a component is information, and small components may carry what tells two structures apart.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from atomplete.descriptors.contraction.exchange import Exchange
from atomplete.descriptors.contraction.method import Method, Plan
from atomplete.descriptors.contraction.second_moment import (
    Blocks,
    Spectrum,
    exact,
    leading,
    sketched,
)
from atomplete.o3 import lm_slice


@dataclass(frozen=True)
class Kept:
    """Components and variance that a contraction has kept.

    Attributes
    ----------
    what
        The quantity that was contracted.
    of, kept
        Its features, and how many components of them are left.
    lost
        Fraction of the mean square over the training data that these do not hold.
    method
        Whether they are exact principal components or those of a sketch.

    Examples
    --------
    >>> print(Kept("even rows", of=4968, kept=600, lost=1.2e-9, method="exact"))
    even rows                 600 of   4968 kept, 1.2e-09 of the mean square lost (exact)
    """

    what: str
    of: int
    kept: int
    lost: float
    method: Method

    def __str__(self) -> str:
        return (
            f"{self.what:22s} {self.kept:6d} of {self.of:6d} kept, "
            f"{self.lost:.1e} of the mean square lost ({self.method})"
        )


def radial_components(
    g_ij: Iterable[Float[Tensor, "pair channel lm"]], n_components: int
) -> Float[Tensor, "l channel kept"]:
    """The optimal radial basis of each l: principal components of the pair coefficients.

    Parameters
    ----------
    g_ij
        Chunks of pair coefficients of the training data, (pair, channel, lm).
    n_components
        Channels to keep for each l.

    Returns
    -------
    Tensor
        (l, channel, kept), orthonormal columns, float64.

    References
    ----------
    Goscinski, Musil, Pozdnyakov, Nigam, Ceriotti, J. Chem. Phys. 155, 104106 (2021).

    Examples
    --------
    >>> g = torch.randn(50, 6, 4, generator=torch.Generator().manual_seed(0)).double()
    >>> radial_components([g], 2).shape
    torch.Size([2, 6, 2])
    """
    moments = radial_moments(g_ij)
    return torch.stack([principal_components(moment, n_components) for moment in moments])


def radial_moments(
    g_ij: Iterable[Float[Tensor, "pair channel lm"]],
) -> list[Float[Tensor, "channel channel"]]:
    """Second moments Σ_m g_ij g_ij of the channels of each l, over chunks of pairs."""
    moments: list[Tensor] = []
    for chunk in g_ij:
        orders = range(round(chunk.shape[2] ** 0.5))
        blocks = [chunk[:, :, lm_slice(o3_lambda)].double() for o3_lambda in orders]
        products = [torch.einsum("pam,pbm->ab", block, block) for block in blocks]
        moments = [m + p for m, p in zip(moments, products, strict=True)] if moments else products
    return moments


def radial_kept(
    moments: list[Float[Tensor, "channel channel"]], radial: Float[Tensor, "l channel kept"]
) -> tuple[Kept, ...]:
    """Components that a radial contraction keeps of each l."""
    kept = []
    for o3_lambda, (moment, columns) in enumerate(zip(moments, radial, strict=True)):
        held = Spectrum((columns * (moment @ columns)).sum(0), columns, float(moment.trace()))
        kept.append(_kept(f"radial channels, l = {o3_lambda}", held, "exact"))
    return tuple(kept)


def row_components(
    passes: Callable[[], Iterable[Float[Tensor, "row feature"]]],
    parities: tuple[Exchange, Exchange],
    n_components: tuple[int, int],
    plan: Plan,
) -> tuple[Float[Tensor, "even kept_even"], Float[Tensor, "odd kept_odd"], tuple[Kept, ...]]:
    """Principal components of three-centre rows about zero, scalars and pseudoscalars apart.

    Parameters
    ----------
    passes
        Begins a pass over the rows i1 ≤ i2 of the training data, chunk by chunk; those that
        stand for two rows times √2.
    parities
        Even and odd features.
    n_components
        How many of them to keep.
    plan
        The way to find them.

    Returns
    -------
    even, odd
        Orthonormal columns, float64, as ``Features.project`` takes them.
    kept
        What they hold.
    """
    sizes = [size for exchange in parities for size in exchange.sizes]
    n_vectors = [n for n in n_components for _ in range(2)]

    def fold(rows: Tensor) -> Blocks:
        return [block for exchange in parities for block in exchange.fold(rows)]

    if plan.method == "exact":
        spectra = exact(map(fold, passes()), sizes, n_vectors)
    else:
        n_columns = [n for n in plan.n_columns for _ in range(2)]
        spectra = sketched(lambda: map(fold, passes()), sizes, n_vectors, n_columns)
    even, odd = (
        _joined(exchange, spectra[2 * k], spectra[2 * k + 1], n_components[k])
        for k, exchange in enumerate(parities)
    )
    kept = _kept("even rows", even, plan.method), _kept("odd rows", odd, plan.method)
    return even.vectors, odd.vectors, kept


def _joined(
    exchange: Exchange, sums: Spectrum, differences: Spectrum, n_components: int
) -> Spectrum:
    """The leading eigenpairs of both halves, in order and over all features."""
    values = torch.cat([sums.values, differences.values])
    order = values.argsort(descending=True, stable=True)[:n_components]
    columns = exchange.unfold(sums.vectors, differences.vectors)[:, order]
    return Spectrum(values[order], _signed(columns), sums.trace + differences.trace)


def _kept(what: str, found: Spectrum, method: Method) -> Kept:
    """Share of the trace, the mean square of all features, that the eigenvectors hold."""
    of, kept = found.vectors.shape
    lost = max(0.0, 1 - float(found.values.sum()) / found.trace) if found.trace else 0.0
    return Kept(what, of, kept, lost, method)


def principal_components(
    moment: Float[Tensor, "feature feature"], n_components: int
) -> Float[Tensor, "feature kept"]:
    """Leading eigenvectors of a second moment, each with its largest entry positive.

    Examples
    --------
    >>> principal_components(torch.diag(torch.tensor([1.0, 4.0])), 1)
    tensor([[0.],
            [1.]])
    """
    return _signed(leading(moment, n_components).vectors)


def _signed(vectors: Float[Tensor, "feature kept"]) -> Float[Tensor, "feature kept"]:
    """Eigenvectors with fixed signs: theirs are arbitrary, but reruns must agree."""
    largest = vectors.abs().argmax(0) if vectors.shape[1] else vectors.new_zeros(0).long()
    vectors = vectors * torch.sign(vectors.gather(0, largest[None]))
    # eigh fills columns; in the layout of a loaded checkpoint, products round the same way
    return vectors.contiguous()
