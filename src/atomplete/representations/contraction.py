"""Contractions fitted by streaming: no more than one chunk of rows is ever held.

Principal components about zero, in order of their mean square, without whitening: the scale of
a component is information, and small components may carry what tells two structures apart.
"""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

from atomplete.o3 import lm_slice
from atomplete.representations.features import Features


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
    moments: list[Tensor] = []
    for chunk in g_ij:
        orders = range(round(chunk.shape[2] ** 0.5))
        blocks = [chunk[:, :, lm_slice(o3_lambda)].double() for o3_lambda in orders]
        products = [torch.einsum("pam,pbm->ab", block, block) for block in blocks]
        moments = [m + p for m, p in zip(moments, products, strict=True)] if moments else products
    return torch.stack([principal_components(moment, n_components) for moment in moments])


def row_components(
    rows: Iterable[Features], n_components: tuple[int, int]
) -> tuple[Float[Tensor, "even kept_even"], Float[Tensor, "odd kept_odd"]]:
    """Principal components of feature rows about zero, scalars and pseudoscalars apart.

    Parameters
    ----------
    rows
        Chunks of rows of the training data.
    n_components
        How many scalars and how many pseudoscalars to keep.

    Returns
    -------
    even, odd
        Orthonormal columns, float64, as ``Features.project`` takes them.
    """
    even: Tensor | float = 0.0
    odd: Tensor | float = 0.0
    for chunk in rows:
        even = even + (chunk.even.T @ chunk.even).double()
        odd = odd + (chunk.odd.T @ chunk.odd).double()
    if not isinstance(even, Tensor) or not isinstance(odd, Tensor):
        raise ValueError("no rows to find components of")
    return principal_components(even, n_components[0]), principal_components(odd, n_components[1])


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
    vectors = torch.linalg.eigh(moment).eigenvectors.flip(1)[:, :n_components]
    # the sign of an eigenvector is arbitrary: fixed here so that reruns agree
    largest = vectors.abs().argmax(0) if vectors.shape[1] else vectors.new_zeros(0).long()
    vectors = vectors * torch.sign(vectors.gather(0, largest[None]))
    # eigh fills columns; in the layout of a loaded checkpoint, products round the same way
    return vectors.contiguous()
