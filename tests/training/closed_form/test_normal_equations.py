"""Sums over rows, and what is solved from them: against dense algebra in numpy."""

import numpy as np
import pytest
import torch

from atomplete.errors import InputError
from atomplete.training.closed_form.normal_equations import EnergyRows, NormalEquations, combined
from atomplete.training.closed_form.solutions import chosen, solutions


@pytest.fixture
def rows():
    return torch.from_numpy(np.random.default_rng(0).normal(size=(40, 6)))


@pytest.fixture
def targets():
    return torch.from_numpy(np.random.default_rng(1).normal(size=40))


def summed(rows, targets, size=7):
    found = NormalEquations.empty(rows.shape[1])
    for part, values in zip(rows.split(size), targets.split(size), strict=True):
        found.add(part, values)
    return found


def test_sums_are_those_of_all_rows_at_once(rows, targets):
    found = summed(rows, targets)
    a, y = rows.numpy(), targets.numpy()
    np.testing.assert_allclose(found.matrix.triu(), np.triu(a.T @ a), rtol=1e-13)
    np.testing.assert_allclose(found.right, a.T @ y, rtol=1e-12)
    weights = np.linspace(-1, 1, 6)
    expected = np.mean((a @ weights - y) ** 2)
    assert combined([], [(1.0, found)], 6).mean_square(torch.from_numpy(weights)) == pytest.approx(
        expected, rel=1e-12
    )


def test_rows_without_a_target_are_left_out(rows, targets):
    targets[3:9] = torch.nan
    has = targets.isfinite()
    some, all_rows = summed(rows[has], targets[has]), summed(rows, targets)
    torch.testing.assert_close(all_rows.matrix.triu(), some.matrix.triu(), rtol=1e-13, atol=0)
    assert all_rows.count == 34


def test_rows_of_single_precision_are_summed_in_double(rows, targets):
    found = summed(rows.float().repeat(50, 1), targets.repeat(50))
    exact = rows.float().double()
    torch.testing.assert_close(
        found.matrix.triu(), 50 * (exact.T @ exact).triu(), rtol=1e-13, atol=1e-12
    )


@pytest.mark.parametrize("strength", [1e-10, 1e-9, 1e-8, 1e-3])
def test_even_a_tiny_penalty_on_the_diagonal_counts(strength):
    # two features that differ by as little as the penalties do: each strength has its own solution
    rng = np.random.default_rng(2)
    a = rng.normal(size=(30, 1)) + 3e-5 * rng.normal(size=(30, 2))
    y = rng.normal(size=30)
    term = EnergyRows(torch.from_numpy(a), torch.from_numpy(y), 30)
    (found,) = solutions(combined([(1.0, term)], [], 2), "diagonal")(strength)
    normal = a.T @ a
    penalty = strength * np.diag(normal.diagonal())
    expected = np.linalg.solve(normal + penalty, a.T @ y)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_shares_of_terms(rows, targets):
    half = EnergyRows(rows[:10], targets[:10], 10)
    rest = summed(rows[10:], targets[10:])
    total = combined([(2.0, half)], [(0.5, rest)], 6)
    (found,) = solutions(total, "eigenvalue")(1e-6)
    a, y = rows.numpy(), targets.numpy()
    w = np.r_[np.full(10, 2.0 / 10), np.full(30, 0.5 / 30)]
    normal = (a * w[:, None]).T @ a
    largest = np.linalg.eigvalsh(normal)[-1]
    expected = np.linalg.solve(normal + 1e-6 * largest * np.eye(6), a.T @ (w * y))
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    loss = w @ (a @ found.numpy() - y) ** 2
    assert total.mean_square(found) == pytest.approx(loss, rel=1e-12)


def sums_of(normal):
    """Normal equations without targets; below the diagonal there is what means nothing."""
    found = NormalEquations.empty(len(normal))
    found.matrix.copy_(torch.where(torch.ones_like(normal).tril(-1) > 0, torch.nan, normal))
    return found


@pytest.mark.parametrize("penalty", ["diagonal", "eigenvalue"])
def test_members_have_the_covariance_of_the_posterior(penalty):
    rng = np.random.default_rng(1)
    rows = torch.from_numpy(rng.normal(size=(30, 5)) * [1, 3, 0.2, 1, 1])
    normal, strength = rows.T @ rows, 0.03
    size = normal.diagonal() if penalty == "diagonal" else torch.linalg.eigvalsh(normal)[-1:]
    exact = torch.linalg.inv(normal + strength * torch.eye(5) * size)
    members = solutions(sums_of(normal), penalty, 200_000)(strength)[1:]
    scale = exact.diagonal().rsqrt()
    found = members.T @ members / len(members) * scale * scale[:, None]
    np.testing.assert_allclose(found, exact * scale * scale[:, None], atol=0.02)
    assert torch.equal(members, solutions(sums_of(normal), penalty, 200_000)(strength)[1:])


@pytest.mark.parametrize("n", [5, 700])  # more than are mirrored at a time
def test_every_strength_finds_the_normal_matrix_as_it_was(n):
    rows = torch.from_numpy(np.random.default_rng(3).normal(size=(2 * n, n)))
    total = summed(rows, rows.sum(1), size=n)
    matrix, right = (rows.T @ rows).numpy(), total.right.numpy()
    solution = solutions(total, "diagonal")
    for strength in (1e-3, 1e2, 1.0):
        expected = np.linalg.solve(matrix + strength * np.diag(matrix.diagonal()), right)
        np.testing.assert_allclose(solution(strength)[0], expected, rtol=1e-10)
        loss = ((rows.numpy() @ expected - rows.sum(1).numpy()) ** 2).mean()
        assert total.mean_square(torch.from_numpy(expected)) == pytest.approx(loss, rel=1e-9)


def test_what_training_never_sees_is_as_uncertain_as_the_penalty_leaves_it():
    normal = torch.diag(torch.tensor([4.0, 0.0, 2.0, 0.0])).double()
    solved = solutions(sums_of(normal), "diagonal", 100_000)(0.01)
    assert not solved[0].any()
    expected = torch.tensor([4.04, 0.03, 2.02, 0.03]).double().rsqrt()
    torch.testing.assert_close(solved[1:].std(0), expected, rtol=0.02, atol=0)
    assert not solutions(sums_of(torch.zeros(3, 3).double()), "diagonal", 2)(0.01).any()


def test_a_strength_that_rounding_forbids_has_no_solution():
    ones = torch.ones(6, 6, dtype=torch.float64)  # of rank one
    solution = solutions(sums_of(ones), "diagonal", 50)
    assert solution(0.0) is None
    members = solution(1e-10)[1:]
    torch.testing.assert_close(members.sum(1).var(), torch.tensor(1.0).double(), rtol=0.5, atol=0)


@pytest.mark.parametrize("least", range(7))
def test_the_strength_with_the_smallest_loss_is_found(least):
    strengths = tuple(10.0**-k for k in range(7, 0, -1))
    tried = []

    def loss_of(weights):
        tried.append(int(weights))
        return abs(int(weights) - least) + 1.0

    place = {strength: torch.tensor([k]) for k, strength in enumerate(strengths)}
    assert chosen(place.get, strengths, loss_of) == (strengths[least], least, 1.0)
    assert len(tried) == len(set(tried)) < 7


def test_strengths_that_numbers_do_not_allow():
    strengths = (1e-9, 1e-6, 1e-3, 1.0)
    allowed = {1.0: torch.ones(1)}
    assert chosen(allowed.get, strengths, float) == (1.0, 1.0, 1.0)
    with pytest.raises(InputError, match="no penalty up to 1 makes"):
        chosen({}.get, strengths, float)


def test_all_strengths_are_tried_where_losses_have_two_minima():
    losses = {1e-9: 1.0, 1e-6: 3.0, 1e-3: 2.0, 1.0: 4.0}
    place = {strength: torch.tensor([loss]) for strength, loss in losses.items()}
    assert chosen(place.get, tuple(losses), float)[0] == 1e-3
    assert chosen(place.get, tuple(losses), float, all_of_them=True)[0] == 1e-9
