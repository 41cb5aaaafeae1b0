"""Solutions of normal equations, and the strength of their penalty."""

from collections.abc import Callable, Sequence
from math import inf
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from atomplete.errors import InputError
from atomplete.training.closed_form.normal_equations import NormalEquations

#: What strengths of a penalty are relative to; see ``RidgeSpec``.
Penalty = Literal["eigenvalue", "diagonal"]

#: Features whose squares are smaller than this part of the largest have not been seen.
UNSEEN = 1e-20

#: Coefficients for a strength of the penalty; None if numbers do not allow it.
Solution = Callable[[float], Float[Tensor, " coefficient"] | None]


def solutions(total: NormalEquations, penalty: Penalty) -> Solution:
    """Solution of normal equations with a penalty, as a function of its strength."""
    normal, right = total.matrix, total.right
    if penalty == "eigenvalue":
        values, vectors = torch.linalg.eigh(normal)
        projected, values = vectors.T @ right, values.clamp_min(0)
        return lambda strength: vectors @ (projected / (values + strength * values[-1]))
    # features that vanish in all training structures, as of elements that never meet, stay out
    size = normal.diagonal()
    scale = torch.where(size > UNSEEN * size.max(), size.clamp_min(1e-300).rsqrt(), 0.0)
    scaled = (normal * scale).mul_(scale[:, None])
    seen = (scale > 0).double()

    def solution(strength: float) -> Float[Tensor, " coefficient"] | None:
        scaled.diagonal().copy_(seen + strength)
        factor, failed = torch.linalg.cholesky_ex(scaled)
        if failed:
            return None
        return scale * torch.cholesky_solve((scale * right)[:, None], factor)[:, 0]

    return solution


def chosen(
    solution: Solution,
    strengths: Sequence[float],
    loss_of: Callable[[Tensor], float],
    *,
    all_of_them: bool = False,
) -> tuple[float, Float[Tensor, " coefficient"], float]:
    """The strength with the smallest loss, its solution and its loss.

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
            weights = solution(ordered[place])
            found[place] = (inf, torch.empty(0)) if weights is None else (loss_of(weights), weights)
        return found[place][0]

    best = len(ordered) // 2
    if all_of_them:
        best = min(range(len(ordered)), key=loss)
    step = -1 if loss(best - 1) < loss(best) else 1
    while loss(best + step) < loss(best) or (loss(best) == inf and best + 1 < len(ordered)):
        best += step
    least, weights = found[best]
    if least == inf:
        raise InputError(f"no penalty up to {ordered[-1]:g} makes the solution a stable one")
    return ordered[best], weights, least
