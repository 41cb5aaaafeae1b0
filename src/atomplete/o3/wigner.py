"""Wigner matrices of real spherical harmonics, for proper and improper rotations."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from atomplete.o3.spherical_harmonics import lm_slice, spherical_harmonics


def wigner_d(o3_lambda: int, rotation: Float[Tensor, "3 3"]) -> Float[Tensor, "mu mu_prime"]:
    """D with Y_l(R r̂) = D Y_l(r̂), for R in O(3).

    D = ∫ Y_l(R r̂) Y_l(r̂)^T dr̂ by a quadrature that is exact for polynomials of degree 2l, so
    improper rotations need no separate treatment.

    Examples
    --------
    >>> bool(torch.allclose(wigner_d(3, -torch.eye(3)), -torch.eye(7), atol=1e-6))
    True
    """
    dtype = rotation.dtype
    z, weight = np.polynomial.legendre.leggauss(o3_lambda + 1)
    phi = 2 * np.pi * np.arange(2 * o3_lambda + 2) / (2 * o3_lambda + 2)
    z, phi = (axis.ravel() for axis in np.meshgrid(z, phi, indexing="ij"))
    s = np.sqrt(1 - z**2)
    points = np.stack([s * np.cos(phi), s * np.sin(phi), z], -1)
    weights = np.repeat(weight, 2 * o3_lambda + 2) * 2 * np.pi / (2 * o3_lambda + 2)
    r = torch.as_tensor(points, dtype=dtype)
    w = torch.as_tensor(weights, dtype=dtype)
    part = lm_slice(o3_lambda)
    rotated = spherical_harmonics(r @ rotation.T, o3_lambda)[:, part]
    return torch.einsum("p,pa,pb->ab", w, rotated, spherical_harmonics(r, o3_lambda)[:, part])


def random_rotation(
    generator: torch.Generator, *, proper: bool | None = None
) -> Float[Tensor, "3 3"]:
    """A uniformly random element of O(3) in float64; of SO(3) only, or of its coset only.

    Parameters
    ----------
    generator
        Source of randomness.
    proper
        ``True`` for determinant +1, ``False`` for −1, ``None`` for either.

    Examples
    --------
    >>> R = random_rotation(torch.Generator().manual_seed(0), proper=False)
    >>> round(torch.linalg.det(R).item(), 12)
    -1.0
    """
    q, r = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64))
    q = q * torch.sign(torch.diagonal(r))  # Haar measure needs the signs of R fixed
    if proper is not None and (torch.linalg.det(q) > 0) != proper:
        q = -q
    return q
