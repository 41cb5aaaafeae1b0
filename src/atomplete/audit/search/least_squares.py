"""Levenberg–Marquardt on many small problems at once."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float

from atomplete.degenerate.congruence.alignment import Floats, Integers

#: Residuals (problem, residual) and Jacobian (problem, residual, variable) of some of the
#: problems, from (problem, variable) and the numbers of these problems.
Residuals = Callable[[Floats, Integers], tuple[Floats, Floats]]

# Damping, relative to nothing: residuals and variables are of order one.
_FIRST_DAMPING, _LARGEST_DAMPING, _LEAST_DAMPING = 1e-2, 1e8, 1e-14

# Rounding of a sum of squares, relative to it.
_ROUNDING = 1e-15


def least_squares(
    residuals: Residuals,
    x: Float[np.ndarray, "problem variable"],
    *,
    largest_step: float,
    iterations: int = 60,
    converged: float = 1e-14,
    keep_going: Callable[[], bool] = lambda: True,
) -> tuple[
    Float[np.ndarray, "problem variable"],
    Float[np.ndarray, " problem"],
    Bool[np.ndarray, " problem"],
]:
    """Minimise |residuals|² of independent problems; solutions need not be isolated.

    The damping follows the success of each step (Marquardt, J. SIAM 11, 431 (1963)), and is what
    keeps directions that change nothing, such as rotations, where they are.

    Parameters
    ----------
    residuals
        Residuals and their Jacobian.
    x
        Starts.
    largest_step
        No variable changes by more in one step.
    iterations
        Most steps of each problem.
    converged
        A norm of the residuals below which there is nothing left to gain.
    keep_going
        Asked before each step; what has been reached is returned when it says no.

    Returns
    -------
    x, norm, finished
        The best variables, the norm of their residuals, and whether they were left for a reason
        of their own, not because `keep_going` said no.

    Examples
    --------
    >>> def circle_and_line(x, problems):
    ...     r = np.stack([x[:, 0] ** 2 + x[:, 1] ** 2 - 2, x[:, 0] - x[:, 1]], 1)
    ...     return r, np.stack([2 * x, np.broadcast_to([1.0, -1.0], x.shape)], 1)
    >>> x, norm, _ = least_squares(circle_and_line, np.array([[3.0, 0.5]]), largest_step=1.0)
    >>> x.round(12), bool(norm[0] < 1e-14)
    (array([[1., 1.]]), True)
    """
    x = x.copy()
    active = np.arange(len(x))
    finished = np.ones(len(x), dtype=bool)
    residual, jacobian = residuals(x, active)
    cost = np.square(residual).sum(axis=1)
    damping = np.full(len(x), _FIRST_DAMPING)
    for _ in range(iterations):
        going = (cost[active] > converged**2) & (damping[active] < _LARGEST_DAMPING)
        active, residual, jacobian = active[going], residual[going], jacobian[going]
        if not len(active):
            break
        if not keep_going():
            finished[active] = False
            break
        step = _damped_step(residual, jacobian, damping[active])
        step /= np.maximum(np.abs(step).max(axis=1, keepdims=True) / largest_step, 1.0)
        tried = x[active] + step
        new_residual, new_jacobian = residuals(tried, active)
        new_cost = np.square(new_residual).sum(axis=1)
        better = new_cost < cost[active]
        x[active[better]], cost[active[better]] = tried[better], new_cost[better]
        residual[better], jacobian[better] = new_residual[better], new_jacobian[better]
        damping[active] *= np.where(better, 0.2, 6.0)
        np.maximum(damping, _LEAST_DAMPING, out=damping)
    return x, np.sqrt(cost), finished


def _damped_step(residual: Floats, jacobian: Floats, damping: Floats) -> Floats:
    """−(JᵀJ + μ)⁻¹ Jᵀ r of each problem."""
    transposed = jacobian.transpose(0, 2, 1)
    # no less than the rounding of JᵀJ, which may be singular
    least = _ROUNDING * np.square(jacobian).sum(axis=(1, 2))
    damped = (damping + least)[:, None, None] * np.eye(jacobian.shape[2])
    gradient = transposed @ residual[..., None]
    step: Floats = -np.asarray(np.linalg.solve(transposed @ jacobian + damped, gradient))[..., 0]
    return step
