"""Splines of the radial functions: accurate, with their derivatives, and twice differentiable."""

import numpy as np
import pytest
import torch

from atomplete.basis import GaussianTypeOrbitals, LaplacianEigenstates, QuinticSpline

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


def derivatives(spline, r):
    """Value, first and second derivative of every output, (order, point, output)."""
    r = torch.as_tensor(r).clone().requires_grad_()
    value = spline(r)
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


def test_values_and_derivatives(function):
    spline = QuinticSpline(function, upper=CUTOFF)
    r = np.random.default_rng(0).uniform(0.1, CUTOFF - 0.1, 60)
    value, first, second = derivatives(spline, r)
    exact = function(r)
    scale = np.abs(exact).max()
    assert np.abs(value - exact).max() < 1e-10 * scale
    exact_first, exact_second = central_differences(function, r, 0.01)
    assert np.abs(first - exact_first).max() < 1e-8 * np.abs(exact_first).max()
    assert np.abs(second - exact_second).max() < 1e-6 * np.abs(exact_second).max()


def test_ends(function):
    ends = np.array([0.0, CUTOFF])
    values = QuinticSpline(function, upper=CUTOFF)(torch.from_numpy(ends)).numpy()
    np.testing.assert_allclose(values, function(ends), rtol=0, atol=1e-10)


def test_twice_continuously_differentiable():
    """Even a coarse spline, whose knots are visible otherwise."""
    spline = QuinticSpline(
        lambda r: np.stack([np.sin(7 * r), np.exp(-r)], -1), upper=CUTOFF, accuracy=1e-3
    )
    knots = np.linspace(0, CUTOFF, spline._intervals + 1)[1:-1]
    below, above = (derivatives(spline, knots + side) for side in (-1e-9, 1e-9))
    for order in range(3):
        jump = np.abs(above[order] - below[order]).max()
        # what the next derivative changes over the step of 2e-9, and rounding
        assert jump < 1e-6 * 7.0**order


def test_refinement_stops_at_the_accuracy():
    def evaluate(r):
        return np.sin(20 * r)[:, None]

    r = np.linspace(0, CUTOFF, 1001)
    errors = []
    for accuracy in (1e-3, 1e-6, 1e-9):
        spline = QuinticSpline(evaluate, upper=CUTOFF, accuracy=accuracy)
        errors.append(np.abs(spline(torch.from_numpy(r)).numpy() - evaluate(r)).max())
        assert errors[-1] < 1.5 * accuracy
    assert errors[0] > 100 * errors[2]


def test_dtype(function):
    spline = QuinticSpline(function, upper=CUTOFF)
    r = torch.linspace(0.1, 1.9, 50, dtype=torch.float64)
    single, exact = spline(r.float()), spline(r)
    assert (single.dtype, exact.dtype) == (torch.float32, torch.float64)
    assert (single.double() - exact).abs().max() < 1e-5 * exact.abs().max()
    assert spline(r[:0]).shape == (0, exact.shape[1])


def test_gradcheck(function):
    r = torch.tensor([0.05, 0.7, 1.55, 1.98], dtype=torch.float64, requires_grad=True)
    spline = QuinticSpline(function, upper=CUTOFF)
    assert torch.autograd.gradcheck(spline, r, atol=1e-6)
    assert torch.autograd.gradgradcheck(spline, r, atol=1e-5)
