"""Chebyshev series of radial functions: to rounding, and with every derivative."""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from numpy.polynomial import chebyshev
from torch import Tensor

from atomplete.errors import InputError

#: Few neighbours are nearer than these parts of the cutoff, and series from there on are shorter.
LOWER_ENDS = (0.4, 0.2, 0.0)
#: Degrees of which one may be chosen: polynomials below, times multiples of it, span all degrees.
STRIDES = range(4, 9)
#: Degrees that are tried one after the other.
DEGREES = (64, 128, 256, 512, 1024, 2048)


class ChebyshevSeries:
    """f(r) = Σ_k c_k T_k(x) on [lower, upper], x from −1 to 1, with any number of outputs.

    Written in products, Σ_ab d_ab T_sa(x) T_b(x) with b < s, which are cheaper to compute than
    all T_k, and evaluated as one matrix product. Of several series with different lower ends,
    that one is taken which is the shortest for the given distances. Beyond the upper end, the
    function keeps its value there.

    Parameters
    ----------
    function
        Maps distances (point,) to values (point, output), NumPy float64, analytic in r.
    upper
        End of the interval, Å.
    accuracy
        Largest error allowed, relative to the largest value; the series are as long as it takes.

    Raises
    ------
    InputError
        For a function that is too sharp for a series.

    Attributes
    ----------
    coefficients
        d_ab of the series on [0, upper], (polynomial, output), float64.
    numbers
        Held for each distance while the series is evaluated, at the most.

    Examples
    --------
    >>> series = ChebyshevSeries(lambda r: np.stack([np.sin(r), np.exp(-r)], -1), upper=3.0)
    >>> r = torch.tensor([0.3, 2.9], dtype=torch.float64)
    >>> bool(torch.allclose(series(r)[:, 0], torch.sin(r), atol=1e-13))
    True
    """

    def __init__(
        self,
        function: Callable[[np.ndarray], np.ndarray],
        upper: float,
        accuracy: float = 1e-13,
    ) -> None:
        self.upper = upper
        whole, largest = _interpolate(function, upper)
        self._pieces = []
        for lower in LOWER_ENDS:
            series = _on_upper_part(whole, lower)
            left_out = np.abs(series).max(1)[::-1].cumsum()[::-1]
            length = max(1, int((left_out > accuracy * largest).sum()))
            # as few products as possible, and then as few factors
            sizes = [(stride, -(-length // stride)) for stride in STRIDES]
            stride, n_multiples = min(sizes, key=lambda size: (size[0] * size[1], sum(size)))
            coefficients = torch.from_numpy(_products(series, stride, n_multiples))
            self._pieces.append((lower * upper, stride, coefficients))
        self.coefficients = self._pieces[-1][-1]
        # products, what they are made of and copies of that, outputs, a few more
        _, stride, coefficients = self._pieces[-1]
        n_products, n_outputs = coefficients.shape
        self.numbers = n_products + 2 * (stride + n_products // stride) + n_outputs + 6

    def __call__(
        self, r: Float[Tensor, " pair"], factor: Float[Tensor, " pair"] | None = None
    ) -> Float[Tensor, "pair output"]:
        """Values at ``r``, (pair, output), in the dtype and on the device of ``r``.

        With a ``factor``, times that: cheaper than to multiply all outputs.
        """
        nearest = float(r.detach().min()) if len(r) else self.upper
        fitting = (piece for piece in self._pieces if piece[0] <= nearest)
        lower, stride, coefficients = next(fitting, self._pieces[-1])
        scale = 2.0 / (self.upper - lower)
        x = (r * scale - (lower * scale + 1.0)).clamp(max=1.0)
        one = torch.ones_like(x)
        low = _recursion(one, x, stride + 1)
        factor = one if factor is None else factor
        multiples = _recursion(factor, low.pop(), len(coefficients) // stride)
        products = torch.stack(multiples)[:, None] * torch.stack(low)
        return products.flatten(0, 1).T @ coefficients.to(r)


def _recursion(factor: Tensor, x: Tensor, count: int) -> list[Tensor]:
    """The first T_k(x) times a factor, with signs + + − −: U_{k+1} = U_{k−1} ± 2x U_k."""
    u, twice = [factor, factor * x], 2.0 * x
    for k in range(1, count - 1):
        u.append(torch.addcmul(u[-2], twice, u[-1], value=-1.0 if k % 2 else 1.0))
    return u[:count]


def _signs(count: int) -> np.ndarray:
    """Signs that the recursion gives to T_k."""
    return (-1.0) ** (np.arange(count) // 2)


def _products(series: np.ndarray, stride: int, n_multiples: int) -> np.ndarray:
    """d_ab from c_k with k = sa + b: T_k = 2 T_sa T_b − T_{sa−b}, from the highest degree on."""
    products = np.zeros((n_multiples * stride, series.shape[1]))
    products[: len(series)] = series[: len(products)]
    for degree in range(len(products) - 1, stride, -1):
        a, b = divmod(degree, stride)
        if b:
            products[a * stride - b] -= products[degree]
            products[degree] *= 2.0
    # x of the multiples is ±T_s, and T_a(−x) = ± T_a(x)
    of_multiples = _signs(n_multiples) * _signs(stride + 1)[-1] ** np.arange(n_multiples)
    signs = np.outer(of_multiples, _signs(stride))
    return products * signs.reshape(-1, 1)


def _on_upper_part(series: np.ndarray, lower: float) -> np.ndarray:
    """The series on [lower, 1] instead of [0, 1], parts of the interval."""
    degree = len(series) - 1
    nodes = 2.0 * lower + (1.0 - lower) * (chebyshev.chebpts1(degree + 1) + 1.0) - 1.0
    return _through(chebyshev.chebvander(nodes, degree) @ series)


def _interpolate(
    function: Callable[[np.ndarray], np.ndarray], upper: float
) -> tuple[np.ndarray, float]:
    """The series (degree + 1, output) of an analytic function to rounding, its largest value."""
    for degree in DEGREES:
        nodes = chebyshev.chebpts1(degree + 1)
        values = function(0.5 * upper * (nodes + 1.0))
        series = _through(values)
        tail = np.abs(series[-degree // 8 :]).max()
        if tail <= 1e-13 * np.abs(series).max():
            return series, float(np.abs(values).max())
    raise InputError(
        f"radial functions are too sharp for a cutoff of {upper:g} Å: no polynomial of degree "
        f"{DEGREES[-1]} is like them"
    )


def _through(values: np.ndarray) -> np.ndarray:
    """The series through values at as many Chebyshev nodes."""
    count = len(values)
    nodes = chebyshev.chebpts1(count)
    series = chebyshev.chebvander(nodes, count - 1).T @ values * (2.0 / count)
    series[0] *= 0.5
    return series
