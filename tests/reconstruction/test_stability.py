"""Errors from the Jacobian against those that noise makes; means of features."""

import numpy as np
import pytest
from ase import Atoms

from atomplete.audit import Scope, subject_of
from atomplete.audit.feature_map import FeatureMap
from atomplete.audit.search.least_squares import least_squares
from atomplete.audit.search.starts import Limits
from atomplete.degenerate.congruence.congruence import congruence_distance
from atomplete.degenerate.random_structures import random_environment
from atomplete.errors import InputError
from atomplete.reconstruction import Effort, decode, position_errors

NAME = "power_spectrum?max_radial=6,max_angular=6"


def test_errors_are_those_of_structures_fitted_to_noisy_features():
    atoms = random_environment((8, 1, 1, 1, 1), 2.8, np.random.default_rng(0))
    features = FeatureMap(subject_of(NAME), atoms, "environment", 3.5)
    given, shape = features(features.movable[None])[0], features.movable.shape
    rng, noise, squares = np.random.default_rng(1), 1e-7, []
    for _ in range(40):
        error = rng.normal(size=given.shape) * noise * np.linalg.norm(given) / len(given) ** 0.5

        def residuals(x, problems, error=error):
            values, jacobian = features.jacobian(x.reshape(-1, *shape))
            return values - given - error, jacobian

        start = features.movable.reshape(1, -1)
        x, _, _ = least_squares(residuals, start, largest_step=0.1, iterations=30)
        squares.append(np.square((x - start).reshape(shape)).sum(axis=1))
    measured = np.sqrt(np.mean(squares, axis=0))
    assert position_errors(features, noise) == pytest.approx(measured, rel=0.3)


def test_what_is_left_open_has_no_error_bound():
    three = Atoms("O4", [(0, 0, 0), (1.0, 0, 0), (0, 1.3, 0), (0, 0.4, 1.5)])
    features = FeatureMap(subject_of("radial_spectrum"), three, "environment", 2.5)
    assert np.isinf(position_errors(features, 1e-6)).all()


@pytest.mark.slow
def test_ends_of_a_path_are_the_structures_and_its_middle_is_between():
    plus = random_environment((8, 1, 1, 1), 2.0, np.random.default_rng(2))
    moved = plus.copy()
    moved.positions[1] *= 1.2
    effort = Effort(populations=1, seconds=1000.0)
    subject, limits = subject_of(NAME), Limits(0.5, 3.0)
    path = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])
    first, middle, last = decode(subject, [plus, moved], path, limits, effort=effort)
    assert congruence_distance(first.nearest, plus) < 1e-5
    assert congruence_distance(last.nearest, moved) < 1e-5
    assert middle.verdict == "no structure"
    apart = congruence_distance(plus, moved)
    assert 0.2 * apart < congruence_distance(middle.nearest, plus) < 0.8 * apart
    scope = Scope("environment", 3.0, (1, 8))
    rows = np.concatenate(subject.describe([plus, moved, middle.nearest], scope))
    mean, size = rows[:2].mean(axis=0), np.linalg.norm(rows[0])
    assert np.linalg.norm(rows[2] - mean) < np.linalg.norm(rows[0] - mean)
    assert np.linalg.norm(rows[2] - mean) / size < 2 * middle.residual


def test_other_atoms_and_weights_are_refused():
    one, two = Atoms("OH", np.eye(2, 3)), Atoms("OC", np.eye(2, 3))
    for structures, weights, word in (
        ([one, two], [[0.5, 0.5]], "other atoms"),
        ([one], [[0.5, 0.5]], "2 weights for 1"),
    ):
        with pytest.raises(InputError, match=word):
            decode(subject_of(NAME), structures, weights, Limits(0.5, 2.0))
