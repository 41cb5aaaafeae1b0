"""Real, orthonormal spherical harmonics Y_lm of unit vectors, m = −l..l."""

from functools import cache
from math import pi

import torch
from jaxtyping import Float
from torch import Tensor

from atomplete.o3.clebsch_gordan import clebsch_gordan


def lm_slice(o3_lambda: int) -> slice:
    """Positions of the 2l+1 components of order l on an axis that runs over all (l, m).

    Examples
    --------
    >>> lm_slice(2)
    slice(4, 9, None)
    """
    return slice(o3_lambda**2, (o3_lambda + 1) ** 2)


def spherical_harmonics(
    directions: Float[Tensor, "pair xyz"], max_angular: int
) -> Float[Tensor, "pair lm"]:
    """Y_lm(r̂) for l = 0..max_angular, each order from the one below: Y_l ∝ C (r̂ ⊗ Y_{l−1}).

    Y_l = (y, z, x)·sqrt(3/4π) for l = 1: no Condon–Shortley phase, as in sphericart.

    Parameters
    ----------
    directions
        Unit vectors, (pair, xyz). They are not normalised here.
    max_angular
        Largest l, inclusive.

    Returns
    -------
    Tensor
        (pair, lm) with lm = l² + l + m, in the dtype of ``directions``; strided, as its
        components are computed one after another.

    Examples
    --------
    >>> z = torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64)
    >>> spherical_harmonics(z, 1) * (4 * pi) ** 0.5
    tensor([[1.0000, 0.0000, 1.7321, 0.0000]], dtype=torch.float64)
    """
    xyz = directions.T.contiguous()
    harmonics = [torch.full_like(xyz[:1], (4 * pi) ** -0.5)]
    for o3_lambda in range(1, max_angular + 1):
        matrix = raising(o3_lambda).to(directions)
        harmonics.append(matrix @ (xyz[:, None] * harmonics[-1]).flatten(0, 1))
    return torch.cat(harmonics).T


@cache
def raising(o3_lambda: int) -> Float[Tensor, "mu product"]:
    """The matrix that takes the products r̂ ⊗ Y_{l−1} to Y_l."""
    coupling = clebsch_gordan(1, o3_lambda - 1, o3_lambda)[[2, 0, 1]]  # (y, z, x) to (x, y, z)
    return ((2 * o3_lambda + 1) / o3_lambda) ** 0.5 * coupling.flatten(0, 1).T.contiguous()
