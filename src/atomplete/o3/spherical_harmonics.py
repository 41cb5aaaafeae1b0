"""Real, orthonormal spherical harmonics Y_lm of unit vectors, m = −l..l."""

from math import factorial, pi, sqrt

import torch
from jaxtyping import Float
from torch import Tensor


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
    """Y_lm(r̂) for l = 0..max_angular, by recursion in the associated Legendre polynomials.

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
        (pair, lm) with lm = l² + l + m, in the dtype of ``directions``.

    Examples
    --------
    >>> z = torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64)
    >>> spherical_harmonics(z, 1) * (4 * pi) ** 0.5
    tensor([[1.0000, 0.0000, 1.7321, 0.0000]], dtype=torch.float64)
    """
    x, y, z = directions.unbind(-1)
    # sin^m(θ) times cos(mφ) and sin(mφ): real and imaginary part of (x + iy)^m
    cosine, sine = [torch.ones_like(x)], [torch.zeros_like(x)]
    for _ in range(max_angular):
        cosine.append(x * cosine[-1] - y * sine[-1])
        sine.append(x * sine[-1] + y * cosine[-2])
    # legendre[l][m] = P_l^m(z) / sin^m(θ)
    legendre: list[list[Tensor]] = []
    diagonal = 1.0  # (2m − 1)!!
    for l in range(max_angular + 1):
        row = []
        for m in range(l - 1):
            upper, lower = legendre[l - 1][m], legendre[l - 2][m]
            row.append(((2 * l - 1) * z * upper - (l + m - 1) * lower) / (l - m))
        if l > 0:
            row.append((2 * l - 1) * z * legendre[l - 1][l - 1])
            diagonal *= 2 * l - 1
        row.append(torch.full_like(z, diagonal))
        legendre.append(row)

    harmonics = []
    for l in range(max_angular + 1):
        for m in range(-l, l + 1):
            k = abs(m)
            norm = sqrt((2 * l + 1) / (4 * pi) * factorial(l - k) / factorial(l + k))
            if m == 0:
                harmonics.append(norm * legendre[l][0])
            else:
                angle = cosine[k] if m > 0 else sine[k]
                harmonics.append(sqrt(2) * norm * legendre[l][k] * angle)
    return torch.stack(harmonics, -1)
