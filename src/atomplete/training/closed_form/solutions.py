"""Solutions of normal equations with their posterior, and the strength of the penalty.

References
----------
Bigi, Chong, Ceriotti, Grasselli, Mach. Learn.: Sci. Technol. 5, 045018 (2024), arXiv:2403.02251.
"""

from collections.abc import Callable, Sequence
from math import inf
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from scipy.linalg.lapack import dpotrf, dpotrs, dtrtrs
from torch import Tensor

from atomplete.errors import InputError
from atomplete.training.closed_form.normal_equations import NormalEquations

#: What strengths of a penalty are relative to; see ``RidgeSpec``.
Penalty = Literal["eigenvalue", "diagonal"]

#: Features whose squares are smaller than this part of the largest have not been seen.
UNSEEN = 1e-20

#: The solution for a strength of the penalty and members of its posterior relative to it; None if
#: numbers do not allow the strength.
Solution = Callable[[float], Float[Tensor, "1+member coefficient"] | None]

#: Rows of a matrix that are mirrored at a time, without a copy of the whole.
BLOCK = 512

#: Seed of the members.
SEED = 0


def solutions(total: NormalEquations, penalty: Penalty, n_members: int = 0) -> Solution:
    """Solution of normal equations with a penalty, as a function of its strength.

    With N the normal matrix and λ D the penalty, members are samples of a normal distribution
    about zero with the covariance (N + λ D)⁻¹. A feature that training data do not have, as of
    elements that never meet, has a coefficient of zero, and is in members as uncertain as the
    penalty leaves one of average size.

    Parameters
    ----------
    total
        Normal equations. The triangle of their matrix that means nothing is used as memory.
    penalty
        D, see ``RidgeSpec``.
    n_members
        Number of samples, drawn with a fixed seed.

    Examples
    --------
    >>> sums = NormalEquations.empty(2)
    >>> sums.add(torch.tensor([[2.0, 0.0], [0.0, 1.0]]).double(), torch.ones(2).double())
    >>> solution = solutions(sums, "diagonal", 10**5)(1e-3)
    >>> solution[0]
    tensor([0.4995, 0.9990], dtype=torch.float64)
    >>> solution[1:].std(0)
    tensor([0.5..., 0.9...], dtype=torch.float64)
    """
    generator = torch.Generator().manual_seed(SEED)
    n = len(total.right)
    drawn = torch.randn(n, n_members, generator=generator, dtype=torch.float64)
    of_penalty = {"eigenvalue": _by_eigenvalues, "diagonal": _by_factors}
    return of_penalty[penalty](total, drawn)


def _by_eigenvalues(total: NormalEquations, drawn: Float[Tensor, "coefficient member"]) -> Solution:
    values, vectors = torch.linalg.eigh(total.matrix, UPLO="U")
    projected, values = vectors.T @ total.right, values.clamp_min(0)

    def solution(strength: float) -> Float[Tensor, "1+member coefficient"] | None:
        shifted = values + strength * values[-1]
        members = drawn / shifted.sqrt()[:, None]
        return (vectors @ torch.column_stack([projected / shifted, members])).T

    return solution


def _by_factors(total: NormalEquations, drawn: Float[Tensor, "coefficient member"]) -> Solution:
    """Solutions by Cholesky factors: they stand below the diagonal, beside the matrix."""
    normal = total.matrix
    in_columns = normal.numpy().T  # for LAPACK: there the matrix is below, factors are above
    size = normal.diagonal().clone()
    seen = size > UNSEEN * size.max()
    if not seen.any():  # no feature at all
        return lambda strength: torch.zeros(1 + drawn.shape[1], len(drawn), dtype=drawn.dtype)
    right = torch.where(seen, total.right, 0.0)

    def solution(strength: float) -> Float[Tensor, "1+member coefficient"] | None:
        for start in range(0, len(normal), BLOCK):
            stop = start + BLOCK
            inner = normal[start:stop, start:stop]
            inner.copy_(inner.triu() + inner.triu(1).T)
            normal[stop:, start:stop] = normal[start:stop, stop:].T
        normal.diagonal().copy_(
            torch.where(seen, size * (1 + strength), strength * size[seen].mean())
        )
        factor, failed = dpotrf(in_columns, lower=False, clean=False, overwrite_a=True)
        found = None
        if not failed:
            weights, _ = dpotrs(factor, right.numpy(), lower=False)
            members, _ = dtrtrs(factor, drawn.numpy(), lower=False)
            found = torch.from_numpy(np.vstack([weights * seen.numpy(), members.T]))
        normal.diagonal().copy_(size)
        return found

    return solution


def chosen(
    solution: Solution,
    strengths: Sequence[float],
    loss_of: Callable[[Tensor], float],
    *,
    all_of_them: bool = False,
) -> tuple[float, Float[Tensor, "1+member coefficient"], float]:
    """The strength with the smallest loss, its solution with members, and its loss.

    Unless all of them are tried, it is looked for from the middle on, among smaller strengths while
    losses fall, or else among larger ones: each takes a factorisation.

    Raises
    ------
    InputError
        If numbers allow none of the strengths.
    """
    ordered = sorted(strengths)
    found: dict[int, tuple[float, Tensor]] = {}

    def loss(place: int) -> float:
        if not 0 <= place < len(ordered):
            return inf
        if place not in found:
            solved = solution(ordered[place])
            found[place] = (inf, torch.empty(0)) if solved is None else (loss_of(solved[0]), solved)
        return found[place][0]

    best = len(ordered) // 2
    if all_of_them:
        best = min(range(len(ordered)), key=loss)
    step = -1 if loss(best - 1) < loss(best) else 1
    while loss(best + step) < loss(best) or (loss(best) == inf and best + 1 < len(ordered)):
        best += step
    least, solved = found[best]
    if least == inf:
        raise InputError(f"no penalty up to {ordered[-1]:g} makes the solution a stable one")
    return ordered[best], solved, least
