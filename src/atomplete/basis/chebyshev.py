"""Chebyshev series of radial functions: to rounding, and with every derivative."""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from numpy.polynomial import chebyshev
from torch import Tensor

#: Polynomials of degree up to it, times those of its multiples, span all degrees.
STRIDE = 8


class ChebyshevSeries:
    """f(r) = Σ_k c_k T_k(x), x = 2r/upper − 1, on [0, upper], with any number of outputs.

    Written in products, Σ_ab d_ab T_8a(x) T_b(x) with b < 8, which are cheaper to compute than
    all T_k, and evaluated as one matrix product. Beyond the interval, the function keeps its
    value at the end.

    Parameters
    ----------
    function
        Maps distances (point,) to values (point, output), NumPy float64, analytic in r.
    upper
        End of the interval, Å.
    accuracy
        Largest error allowed, relative to the largest value; the series is as long as it takes.

    Attributes
    ----------
    coefficients
        d_ab, (polynomial, output), float64.

    Examples
    --------
    >>> series = ChebyshevSeries(lambda r: np.stack([np.sin(r), np.exp(-r)], -1), upper=3.0)
    >>> r = torch.tensor([0.3, 2.9], dtype=torch.float64)
    >>> bool(torch.allclose(series(r)[:, 0], torch.sin(r), atol=1e-11))
    True
    """

    def __init__(
        self,
        function: Callable[[np.ndarray], np.ndarray],
        upper: float,
        accuracy: float = 1e-11,
    ) -> None:
        self.upper = upper
        series, largest = _interpolate(function, upper)
        left_out = np.abs(series).max(1)[::-1].cumsum()[::-1]
        length = int((left_out > accuracy * largest).sum())
        self._n_multiples = max(1, -(-length // STRIDE))
        self.coefficients = torch.from_numpy(_products(series[: self._n_multiples * STRIDE]))

    def __call__(
        self, r: Float[Tensor, " pair"], factor: Float[Tensor, " pair"] | None = None
    ) -> Float[Tensor, "pair output"]:
        """Values at ``r``, (pair, output), in the dtype and on the device of ``r``.

        With a ``factor``, times that: cheaper than to multiply all outputs.
        """
        x = (r * (2.0 / self.upper) - 1.0).clamp(max=1.0)
        low = _recursion(x, STRIDE + 1)
        multiples = torch.stack(_recursion(low.pop(), self._n_multiples))
        if factor is not None:
            multiples = multiples * factor
        products = multiples[:, None] * torch.stack(low)
        return products.flatten(0, 1).T @ self.coefficients.to(r)


def _recursion(x: Tensor, count: int) -> list[Tensor]:
    """The first T_k(x), by T_{k+1} = 2x T_k − T_{k−1}."""
    t, twice = [torch.ones_like(x), x], 2.0 * x
    for _ in range(2, count):
        t.append(twice * t[-1] - t[-2])
    return t[:count]


def _products(series: np.ndarray) -> np.ndarray:
    """d_ab from c_k with k = 8a + b: T_k = 2 T_8a T_b − T_{8a−b}, from the highest degree on."""
    products = series.copy()
    for degree in range(len(series) - 1, STRIDE, -1):
        a, b = divmod(degree, STRIDE)
        if b:
            products[a * STRIDE - b] -= products[degree]
            products[degree] *= 2.0
    return products


def _interpolate(
    function: Callable[[np.ndarray], np.ndarray], upper: float
) -> tuple[np.ndarray, float]:
    """The series (degree + 1, output) of an analytic function to rounding, its largest value."""
    for degree in (64, 128, 256, 512, 1024):
        nodes = chebyshev.chebpts1(degree + 1)
        values = function(0.5 * upper * (nodes + 1.0))
        series = chebyshev.chebvander(nodes, degree).T @ values * (2.0 / (degree + 1))
        series[0] *= 0.5
        tail = np.abs(series[-degree // 8 :]).max()
        if tail <= 1e-13 * np.abs(series).max():
            break
    return series, float(np.abs(values).max())
