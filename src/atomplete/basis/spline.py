"""Quintic Hermite splines of radial functions: twice continuously differentiable."""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from numpy.polynomial import chebyshev
from torch import Tensor

# Rows: coefficients of t^0..t^5; columns: f0, f0', f0'', f1, f1', f1'' on the unit interval.
_HERMITE = np.array(
    [
        [1, 0, 0, 0, 0, 0],
        [0, 1, 0, 0, 0, 0],
        [0, 0, 0.5, 0, 0, 0],
        [-10, -6, -1.5, 10, -4, 0.5],
        [15, 8, 1.5, -15, 7, -1],
        [-6, -3, -0.5, 6, -3, 0.5],
    ]
)


class QuinticSpline:
    """A smooth function of r on [0, upper] with any number of outputs.

    Parameters
    ----------
    function
        Maps distances (point,) to values (point, output), NumPy float64, analytic in r.
    upper
        End of the interval, Å.
    accuracy
        Largest error allowed, relative to the largest value; the grid is refined to meet it.

    Examples
    --------
    >>> spline = QuinticSpline(lambda r: np.stack([np.sin(r), np.exp(-r)], -1), upper=3.0)
    >>> r = torch.tensor([0.3, 2.9], dtype=torch.float64)
    >>> bool(torch.allclose(spline(r)[:, 0], torch.sin(r), atol=1e-10))
    True
    """

    def __init__(
        self,
        function: Callable[[np.ndarray], np.ndarray],
        upper: float,
        accuracy: float = 1e-11,
    ) -> None:
        self.upper = upper
        jet = _chebyshev_jet(function, upper)
        for exponent in range(5, 13):
            self._intervals = 2**exponent
            step = upper / self._intervals
            knots = np.linspace(0, upper, self._intervals + 1)
            jets = jet(knots) * step ** np.arange(3)[:, None, None]
            ends = np.concatenate([jets[:, :-1], jets[:, 1:]])
            # interval, power, output
            self._coefficients = torch.from_numpy(np.einsum("pj,jko->kpo", _HERMITE, ends))
            middles = 0.5 * (knots[1:] + knots[:-1])
            exact = jet(middles)[0]
            error = np.abs(self(torch.from_numpy(middles)).numpy() - exact).max()
            if error <= accuracy * np.abs(exact).max():
                break

    def __call__(self, r: Float[Tensor, " pair"]) -> Float[Tensor, "pair output"]:
        """Values at ``r``, (pair, output), in the dtype and on the device of ``r``."""
        coefficients = self._coefficients.to(dtype=r.dtype, device=r.device)
        position = r * (self._intervals / self.upper)
        interval = position.detach().long().clamp(0, self._intervals - 1)
        t = (position - interval)[:, None]
        c = coefficients[interval]  # pair, power, output
        value = c[:, 5]
        for power in range(4, -1, -1):
            value = value * t + c[:, power]
        return value


def _chebyshev_jet(
    function: Callable[[np.ndarray], np.ndarray], upper: float
) -> Callable[[np.ndarray], np.ndarray]:
    """Value, first and second derivative (jet, point, output) of an analytic function.

    Its Chebyshev series converges to rounding, and can be differentiated term by term.
    """
    for degree in (64, 128, 256, 512, 1024):
        nodes = chebyshev.chebpts1(degree + 1)
        values = function(0.5 * upper * (nodes + 1.0))
        basis = chebyshev.chebvander(nodes, degree)
        series = basis.T @ values * (2.0 / (degree + 1))
        series[0] *= 0.5
        tail = np.abs(series[-degree // 8 :]).max()
        if tail <= 1e-13 * np.abs(series).max():
            break
    scale = 2.0 / upper
    orders = [series] + [chebyshev.chebder(series, m, scl=scale) for m in (1, 2)]

    def jet(r: np.ndarray) -> np.ndarray:
        x = scale * r - 1.0
        return np.stack([chebyshev.chebval(x, order).T for order in orders])

    return jet
