"""Overlaps of Slater orbitals of the second shell, in closed form."""

import torch
from jaxtyping import Float
from torch import Tensor


def slater_overlaps(x: Float[Tensor, "*pair"]) -> Float[Tensor, "*pair 4"]:
    """Overlaps ssσ, spσ, ppσ, ppπ of 2s and 2p orbitals with radial part r exp(−ζ r).

    Parameters
    ----------
    x
        Distance times ζ, the same exponent for all orbitals.

    Returns
    -------
    Float[Tensor, "*pair 4"]
        p points from the first atom to the second on both.

    References
    ----------
    Mulliken, Rieke, Orloff, Orloff, J. Chem. Phys. 17, 1248 (1949).

    Examples
    --------
    >>> slater_overlaps(torch.zeros(1)).tolist()
    [[1.0, -0.0, 1.0, 1.0]]
    """
    polynomials = (
        1 + x + 4 * x**2 / 9 + x**3 / 9 + x**4 / 45,
        -x * (1 + x + 7 * x**2 / 15 + 2 * x**3 / 15) / 12**0.5,
        1 + x + x**2 / 5 - 2 * x**3 / 15 - x**4 / 15,
        1 + x + 2 * x**2 / 5 + x**3 / 15,
    )
    return torch.stack(polynomials, -1) * torch.exp(-x)[..., None]
