"""Cutoff functions: one inside, zero outside, and smooth between."""

import math

import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from atomplete.radial import CutoffFunction, PolynomialCutoff, ShiftedCosine

CUTOFF, WIDTH = 3.0, 0.4
FUNCTIONS = [ShiftedCosine(width=WIDTH), PolynomialCutoff(width=WIDTH)]


@pytest.fixture(params=FUNCTIONS, ids=lambda f: f.type)
def function(request):
    return request.param


def derivatives(function, r, order):
    """Value and derivatives up to ``order`` at the distances r."""
    r = r.clone().requires_grad_()
    values = [function(r, CUTOFF)]
    for _ in range(order):
        values.append(torch.autograd.grad(values[-1].sum(), r, create_graph=True)[0])
    return [v.detach() for v in values]


def test_values(function):
    distances = [0.0, 1.0, CUTOFF - WIDTH, CUTOFF - WIDTH / 2, CUTOFF, 10.0]
    r = torch.tensor(distances, dtype=torch.float64)
    expected = torch.tensor([1.0, 1.0, 1.0, 0.5, 0.0, 0.0], dtype=torch.float64)
    torch.testing.assert_close(function(r, CUTOFF), expected, rtol=0, atol=1e-15)
    shell = torch.linspace(CUTOFF - WIDTH, CUTOFF, 101, dtype=torch.float64)
    assert (function(shell, CUTOFF).diff() < 0).all()


def test_formula():
    x = torch.linspace(0, 1, 11, dtype=torch.float64)
    r = CUTOFF - WIDTH + x * WIDTH
    cosine = [(1 + math.cos(math.pi * t)) / 2 for t in x.tolist()]
    polynomial = [1 - 10 * t**3 + 15 * t**4 - 6 * t**5 for t in x.tolist()]
    for function, expected in zip(FUNCTIONS, (cosine, polynomial), strict=True):
        expected = torch.tensor(expected, dtype=torch.float64)
        torch.testing.assert_close(function(r, CUTOFF), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("edge", [CUTOFF - WIDTH, CUTOFF])
def test_smooth_at_both_edges(function, edge):
    """Just inside the shell, the derivatives are those outside, which are zero."""
    step = 1e-6
    inside = torch.tensor([edge + step if edge < CUTOFF else edge - step], dtype=torch.float64)
    value, first, second = derivatives(function, inside, 2)
    assert abs(value - (1.0 if edge < CUTOFF else 0.0)) < 1e-9
    assert abs(first) < 1e-3
    if isinstance(function, PolynomialCutoff):
        assert abs(second) < 60 * step / WIDTH**3 * 1.01
    else:  # jumps by π²/2 width²
        assert abs(second.abs().item() - math.pi**2 / (2 * WIDTH**2)) < 1e-6


def test_the_first_derivative_vanishes_linearly(function):
    steps = torch.tensor([1e-2, 1e-3, 1e-4], dtype=torch.float64)
    first = derivatives(function, CUTOFF - steps, 1)[1].abs()
    order = 1 if isinstance(function, ShiftedCosine) else 2
    ratio = first[:-1] / first[1:]
    torch.testing.assert_close(ratio, torch.full_like(ratio, 10.0**order), rtol=0.1, atol=0)


def test_gradcheck(function):
    r = torch.tensor([1.0, 2.65, 2.7, 2.8, 2.95, 3.5], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda r: function(r, CUTOFF), r)
    assert torch.autograd.gradgradcheck(lambda r: function(r, CUTOFF), r)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype(function, dtype):
    values = function(torch.linspace(0, 4, 9, dtype=dtype), CUTOFF)
    assert values.dtype == dtype
    assert function(torch.empty(0, dtype=dtype), CUTOFF).shape == (0,)


def test_plain_data(function):
    adapter = TypeAdapter(CutoffFunction)
    assert adapter.validate_python(function.model_dump()) == function
    with pytest.raises(ValidationError, match="width"):
        adapter.validate_python({"type": function.type, "width": 0.0})
    with pytest.raises(ValidationError, match="Extra inputs"):
        adapter.validate_python({"type": function.type, "radius": 1.0})
