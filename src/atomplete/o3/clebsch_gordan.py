"""Clebsch–Gordan blocks in the basis of real spherical harmonics."""

from functools import cache
from itertools import product

import numpy as np
import torch
import wigners
from jaxtyping import Float
from torch import Tensor


def _real_from_complex(o3_lambda: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Complex harmonics that each real one is made of: that of −|m|, then that of |m|.

    As (m,) their positions and factors, for complex ones with the Condon–Shortley phase.
    """
    m = np.arange(-o3_lambda, o3_lambda + 1)
    sign, zero = (-1.0) ** m, m == 0
    minus = np.where(m < 0, 1j, 1.0) / 2**0.5
    plus = np.where(m < 0, -1j * sign, sign) / 2**0.5
    return [
        (o3_lambda - abs(m), np.where(zero, 1.0, minus)),
        (o3_lambda + abs(m), np.where(zero, 0.0, plus)),
    ]


@cache
def _block(l1: int, l2: int, l3: int) -> Float[Tensor, "m1 m2 m3"]:
    complex_block = wigners.clebsch_gordan_array(l1, l2, l3)
    block = np.zeros(complex_block.shape, dtype=complex)
    for (i, a), (j, b), (k, c) in product(*map(_real_from_complex, (l1, l2, l3))):
        factors = a.conj()[:, None, None] * b.conj()[:, None] * c
        block += factors * complex_block[np.ix_(i, j, k)]
    # real for even l1+l2+l3, imaginary for odd
    return torch.from_numpy(block.real if (l1 + l2 + l3) % 2 == 0 else block.imag).contiguous()


def clebsch_gordan(
    l1: int,
    l2: int,
    l3: int,
    *,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
) -> Float[Tensor, "m1 m2 m3"]:
    """The block C[m1, m2, m3] = <l1 m1; l2 m2 | l3 m3> for real harmonics.

    Orthonormal: sum over m1, m2 of C C is the identity in m3. For odd l1+l2+l3 the imaginary
    part is taken, which couples two tensors to one of the opposite parity σ.

    Raises
    ------
    ValueError
        If (l1, l2, l3) breaks the triangle rule.

    Examples
    --------
    The coupling of two vectors to a vector is their cross product over sqrt(2):

    >>> block = clebsch_gordan(1, 1, 1)
    >>> a = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)  # x in the order y, z, x
    >>> b = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)  # y
    >>> (torch.einsum("i,j,ijk->k", a, b, block).abs() * 2**0.5).round(decimals=9)  # z
    tensor([0., 1., 0.], dtype=torch.float64)
    """
    if not abs(l1 - l2) <= l3 <= l1 + l2:
        raise ValueError(f"({l1}, {l2}, {l3}) breaks the triangle rule |l1 − l2| ≤ l3 ≤ l1 + l2")
    # a copy: what the caller does to it must not reach the cache
    return _block(l1, l2, l3).to(dtype=dtype, device=device, copy=True)


def coupled_triples(max_angular: int) -> list[tuple[int, int, int]]:
    """All (l1, l2, l3) up to ``max_angular`` that couple to an invariant, in order.

    Those with odd sum give pseudoscalars (σ = −1).

    Examples
    --------
    >>> triples = coupled_triples(3)
    >>> len(triples), sum(sum(t) % 2 for t in triples)
    (34, 11)
    """
    orders = range(max_angular + 1)
    return [
        (l1, l2, l3) for l1 in orders for l2 in orders for l3 in orders
        if abs(l1 - l2) <= l3 <= l1 + l2
    ]  # fmt: skip
