"""The metric between environments, against all bijections and against what a metric must be."""

from itertools import permutations

import numpy as np
import pytest
from ase import Atoms
from scipy.spatial.transform import Rotation

from atomplete.degenerate.congruence.congruence import congruence_distance
from atomplete.degenerate.congruence.matching import matching_distance
from atomplete.degenerate.families.registry import generate
from atomplete.errors import InputError


def environment(seed, symbols="CCOH"):
    positions = np.random.default_rng(seed).normal(size=(len(symbols), 3))
    return Atoms("B" + symbols, np.vstack([np.zeros(3), positions]), info={"center": 0})


def of_all_bijections(a, b):
    """Procrustes with either sign of the determinant is solved by singular values alone."""
    points_a, points_b = a.positions[1:], b.positions[1:]
    best = np.inf
    for order in permutations(range(len(points_a))):
        order = list(order)
        if list(b.symbols[1:][order]) != list(a.symbols[1:]):
            continue
        overlap = np.linalg.svd(points_a.T @ points_b[order], compute_uv=False).sum()
        square = (points_a**2).sum() + (points_b**2).sum() - 2 * overlap
        best = min(best, square)
    return np.sqrt(best / len(points_a))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("symbols", ["CCCCC", "CCOH"])
def test_it_is_the_least_over_all_bijections(seed, symbols):
    a, b = environment(seed, symbols), environment(100 + seed, symbols)
    assert matching_distance(a, b) == pytest.approx(of_all_bijections(a, b), rel=1e-7)


def test_congruent_environments_are_at_no_distance():
    a = environment(0, "CCOHHH")
    for seed in range(5):
        b = a.copy()
        b.positions = a.positions @ Rotation.random(random_state=seed).as_matrix().T
        b.positions *= (-1) ** seed
        order = [0, *(1 + np.random.default_rng(seed).permutation(6))]
        assert matching_distance(a, b[order]) < 1e-7


def test_degenerate_pairs_are_as_far_apart_as_the_largest_displacement_allows():
    structures = generate("b8", 12)
    for plus, minus in zip(structures[::2], structures[1::2], strict=True):
        largest = congruence_distance(plus, minus)  # within a factor of nine
        assert largest / 9 / np.sqrt(7) <= matching_distance(plus, minus) <= largest


def test_it_is_a_metric():
    environments = [environment(seed, "CCCC") for seed in range(5)]
    d = np.array([[matching_distance(a, b) for b in environments] for a in environments])
    np.testing.assert_allclose(d, d.T, rtol=1e-7, atol=1e-7)
    assert (d[:, None, :] <= d[:, :, None] + d[None, :, :].transpose(0, 2, 1) + 1e-7).all()
    assert d[~np.eye(5, dtype=bool)].min() > 0.05


def test_other_neighbours_have_no_bijection():
    with pytest.raises(InputError, match="no bijection between the neighbours of BC2OH and BC4"):
        matching_distance(environment(0), environment(1, "CCCC"))


def test_too_many_neighbours():
    many = environment(0, "C" * 9)
    with pytest.raises(InputError, match="9 neighbours have more than 40320 bijections"):
        matching_distance(many, many)


def test_nothing_around_the_centre():
    assert matching_distance(Atoms("B"), Atoms("B")) == 0.0
