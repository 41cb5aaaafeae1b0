"""Equivariant blocks and their Clebsch–Gordan products: one iteration ν → ν + 1.

A block (λ, σ) is a tensor (row, feature, μ): components μ = −λ..λ, parity under inversion σ(−1)^λ.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from atomplete.o3 import clebsch_gordan, lm_slice

#: (o3_lambda, o3_sigma) → (row, feature, mu).
Blocks = Mapping[tuple[int, int], Float[Tensor, "row feature mu"]]


def blocks_of(coefficients: Float[Tensor, "row channel lm"]) -> dict[tuple[int, int], Tensor]:
    """Cut g_ij or rho_i into its blocks (λ, +1).

    Examples
    --------
    >>> {key: tuple(block.shape) for key, block in blocks_of(torch.zeros(5, 6, 4)).items()}
    {(0, 1): (5, 6, 1), (1, 1): (5, 6, 3)}
    """
    max_angular = round(coefficients.shape[2] ** 0.5) - 1
    return {(l, 1): coefficients[:, :, lm_slice(l)] for l in range(max_angular + 1)}


def couplings(
    left: list[tuple[int, int]], right: list[tuple[int, int]], o3_lambda: int, o3_sigma: int
) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """The pairs of blocks whose product has a part (λ, σ), in order.

    The parity of a product is that of its factors: σ = σ1 σ2 (−1)^(λ1 + λ2 + λ).

    Examples
    --------
    >>> couplings([(0, 1), (1, 1)], [(0, 1), (1, 1)], 1, -1)
    [((1, 1), (1, 1))]
    """
    return [
        (a, b)
        for a in left
        for b in right
        if abs(a[0] - b[0]) <= o3_lambda <= a[0] + b[0]
        and a[1] * b[1] * (-1) ** (a[0] + b[0] + o3_lambda) == o3_sigma
    ]


def couple(
    left: Float[Tensor, "row a mu1"], right: Float[Tensor, "row b mu2"], o3_lambda: int
) -> Float[Tensor, "row a_b mu"]:
    """The part λ of the product of two blocks, all features with all: feature a·n_b + b.

    Σ_{μ1 μ2} C[λ1 μ1; λ2 μ2 | λ μ] left right, orthonormal: over all λ, squares add up to the
    product of the squares.

    Examples
    --------
    >>> couple(torch.ones(5, 2, 3), torch.ones(5, 4, 3), 2).shape
    torch.Size([5, 8, 5])
    """
    orders = left.shape[2] // 2, right.shape[2] // 2
    block = clebsch_gordan(*orders, o3_lambda, dtype=left.dtype, device=left.device)
    # the smaller factor takes the coefficients in, the larger one is touched once
    coupled = torch.einsum("xyz,rby->rxbz", block, right)
    n_rows, n_left = left.shape[:2]
    product = left @ coupled.flatten(2)
    return product.reshape(n_rows, n_left * right.shape[1], 2 * o3_lambda + 1)


def blocks_of_order(nu: int, max_angular: int, largest: int) -> list[tuple[int, int]]:
    """The blocks (λ, σ) with λ ≤ ``largest`` of ν densities coupled one after the other.

    Every intermediate order of two densities or more is bounded by ``largest``, too. Blocks run
    over σ = +1, λ = 0, 1, …, then σ = −1, λ = 1, 2, …, and (0, −1) last; those that no product
    reaches are left out.

    Examples
    --------
    >>> blocks_of_order(2, max_angular=1, largest=1)
    [(0, 1), (1, 1), (1, -1)]
    """
    density = [(l, 1) for l in range(max_angular + 1)]
    orders = range(largest + 1)
    blocks = density
    for _ in range(nu - 1):
        keys = [(l, 1) for l in orders] + [(l, -1) for l in (*orders[1:], 0)]
        blocks = [key for key in keys if couplings(blocks, density, *key)]
    return blocks
