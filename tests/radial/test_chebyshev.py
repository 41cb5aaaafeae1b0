"""Chebyshev series of the radial functions: accurate, with all their derivatives."""

import numpy as np
import pytest
import torch

from atomplete.errors import InputError
from atomplete.radial import ChebyshevSeries, GaussianTypeOrbitals, LaplacianEigenstates
from atomplete.radial.chebyshev import LOWER_ENDS

CUTOFF = 2.0
BASES = [
    GaussianTypeOrbitals(),
    GaussianTypeOrbitals(density_width=0.4),
    LaplacianEigenstates(),
]


@pytest.fixture(params=BASES, ids=repr)
def function(request):
    def evaluate(r):
        radial = request.param.evaluate(r, cutoff=CUTOFF, max_radial=6, max_angular=3)
        return radial.reshape(len(r), -1)

    return evaluate


def derivatives(series, r):
    """Value, first and second derivative of every output, (order, point, output)."""
    r = torch.as_tensor(r).clone().requires_grad_()
    value = series(r)
    first, second = [], []
    for column in value.unbind(1):
        first.append(torch.autograd.grad(column.sum(), r, create_graph=True)[0])
        second.append(torch.autograd.grad(first[-1].sum(), r, retain_graph=True)[0])
    first, second = torch.stack(first, 1), torch.stack(second, 1)
    return torch.stack([value, first, second]).detach().numpy()


def central_differences(function, r, h):
    """First and second derivative of order eight in h."""
    steps = np.arange(-4, 5)
    stencil = np.array(
        [
            [1 / 280, -4 / 105, 1 / 5, -4 / 5, 0, 4 / 5, -1 / 5, 4 / 105, -1 / 280],
            [-1 / 560, 8 / 315, -1 / 5, 8 / 5, -205 / 72, 8 / 5, -1 / 5, 8 / 315, -1 / 560],
        ]
    )
    values = np.stack([function(r + step * h) for step in steps])
    return np.einsum("ds,spo->dpo", stencil, values) / np.array([h, h**2])[:, None, None]


@pytest.mark.parametrize("nearest", [0.1, 0.45, 0.85, 1.6])
def test_values_and_derivatives(function, nearest):
    """Of distances beyond a nearest one, on which the choice of a series depends."""
    series = ChebyshevSeries(function, upper=CUTOFF)
    r = np.random.default_rng(0).uniform(nearest, CUTOFF - 0.1, 60)
    value, first, second = derivatives(series, r)
    exact = function(r)
    scale = np.abs(exact).max()
    assert np.abs(value - exact).max() < 1e-10 * scale
    exact_first, exact_second = central_differences(function, r, 0.01)
    assert np.abs(first - exact_first).max() < 1e-8 * np.abs(exact_first).max()
    assert np.abs(second - exact_second).max() < 1e-6 * np.abs(exact_second).max()


@pytest.mark.parametrize("part", [0.0, *LOWER_ENDS])
def test_ends(function, part):
    ends = np.array([part * CUTOFF, CUTOFF])
    values = ChebyshevSeries(function, upper=CUTOFF)(torch.from_numpy(ends)).numpy()
    np.testing.assert_allclose(values, function(ends), rtol=0, atol=1e-10)


def test_beyond_the_end(function):
    """The value at the end, with no derivative: a cutoff function of zero hides it."""
    series = ChebyshevSeries(function, upper=CUTOFF)
    value, first, second = derivatives(series, np.array([1.01, 3.0]) * CUTOFF)
    np.testing.assert_allclose(value[0], function(np.array([CUTOFF]))[0], rtol=0, atol=1e-10)
    np.testing.assert_array_equal(value[0], value[1])
    assert not first.any()
    assert not second.any()


def test_a_distance_that_is_not_a_number(function):
    series = ChebyshevSeries(function, upper=CUTOFF)
    values = series(torch.tensor([1.0, float("nan")], dtype=torch.float64))
    np.testing.assert_allclose(values[:1].numpy(), function(np.array([1.0])), rtol=0, atol=1e-10)
    assert values[1].isnan().all()


def test_a_factor_of_all_outputs(function):
    series = ChebyshevSeries(function, upper=CUTOFF)
    r = torch.linspace(0.1, 1.9, 7, dtype=torch.float64)
    factor = torch.cos(r)
    expected = factor.numpy()[:, None] * function(r.numpy())
    np.testing.assert_allclose(series(r, factor).numpy(), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("part", LOWER_ENDS)
@pytest.mark.parametrize("degree", [*range(18), 25, 31, 40])
def test_polynomials(degree, part):
    """Products stand for T_k of any degree, whichever the stride, on each interval."""

    def evaluate(r):
        return np.cos(degree * np.arccos(np.clip(r - 1.0, -1, 1)))[:, None]

    r = np.linspace(2 * part, 2, 101)
    values = ChebyshevSeries(evaluate, upper=2.0)(torch.from_numpy(r)).numpy()
    np.testing.assert_allclose(values, evaluate(r), rtol=0, atol=1e-12)


def test_length_follows_the_accuracy():
    def evaluate(r):
        return np.sin(20 * r)[:, None]

    r = np.linspace(0, CUTOFF, 1001)
    errors, lengths = [], []
    for accuracy in (1e-3, 1e-6, 1e-9):
        series = ChebyshevSeries(evaluate, upper=CUTOFF, accuracy=accuracy)
        errors.append(np.abs(series(torch.from_numpy(r)).numpy() - evaluate(r)).max())
        lengths.append(len(series.coefficients))
        assert errors[-1] < accuracy
    assert errors[0] > 100 * errors[2]
    assert lengths == sorted(set(lengths))


def test_dtype(function):
    series = ChebyshevSeries(function, upper=CUTOFF)
    r = torch.linspace(0.1, 1.9, 50, dtype=torch.float64)
    single, exact = series(r.float()), series(r)
    assert (single.dtype, exact.dtype) == (torch.float32, torch.float64)
    assert (single.double() - exact).abs().max() < 1e-5 * exact.abs().max()
    assert series(r[:0]).shape == (0, exact.shape[1])


def test_gradcheck(function):
    r = torch.tensor([0.05, 0.7, 1.55, 1.98], dtype=torch.float64, requires_grad=True)
    series = ChebyshevSeries(function, upper=CUTOFF)
    assert torch.autograd.gradcheck(series, r, atol=1e-6)
    assert torch.autograd.gradgradcheck(series, r, atol=1e-5)


# PyTorch's own, when it first differentiates forward
@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
def test_forward_mode(function):
    r = torch.tensor([0.05, 0.7, 1.55, 1.98], dtype=torch.float64)
    series = ChebyshevSeries(function, upper=CUTOFF)
    _, tangent = torch.func.jvp(series, (r,), (torch.ones_like(r),))
    expected = derivatives(series, r.numpy())[1]
    np.testing.assert_allclose(tangent.numpy(), expected, rtol=1e-10, atol=1e-10)


def test_a_function_that_is_too_sharp_is_refused():
    with pytest.raises(InputError, match="too sharp for a cutoff of 2 Å"):
        ChebyshevSeries(lambda r: np.abs(r - 1.0)[:, None], upper=CUTOFF)
    with pytest.raises(InputError, match="too sharp"):
        ChebyshevSeries(lambda r: np.full((len(r), 1), np.nan), upper=CUTOFF)
