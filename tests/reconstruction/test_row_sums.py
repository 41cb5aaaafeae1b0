"""Sums of cosines of rows, against the rows themselves and against differences."""

import numpy as np
import pytest
import torch

from atomplete.audit import Scope, Subject
from atomplete.audit.search.starts import Limits
from atomplete.degenerate.congruence.congruence import congruence_distance
from atomplete.degenerate.random_structures import random_environment
from atomplete.descriptors import ExpansionSpec
from atomplete.errors import InputError
from atomplete.reconstruction import Effort, RowSums, from_features
from atomplete.system import System

SCOPE = Scope("environment", 4.0, (1, 6))


def row_sums(species=(6,), size=96, n=3):
    return RowSums(
        ExpansionSpec(
            cutoff=4.0,
            species=species,
            max_radial=n,
            max_angular=2,
            radial={"type": "laplacian"},
            cutoff_function={"type": "polynomial", "width": 0.3},
        ),
        size,
    )


def test_values_are_sums_over_rows_and_derivatives_those_of_differences():
    subject = row_sums((1, 6), size=20, n=2)
    atoms = random_environment((8, 1, 6, 6, 1), 3.9, np.random.default_rng(0))
    rows = subject.descriptor(System.from_atoms(atoms, 4.0, centers=[0]))
    cosines = torch.cos(rows.values @ subject.weights + subject.phase)
    expected = (rows.weight[:, None] * cosines).sum(0)
    ((values, slopes),) = subject.jacobian([atoms], SCOPE)
    assert np.allclose(values[0], expected, atol=1e-12)
    assert np.allclose(values, subject.describe([atoms], SCOPE)[0])
    ((_, differences),) = Subject.jacobian(subject, [atoms], SCOPE)
    assert np.abs(slopes - differences).max() < 1e-7 * np.abs(slopes).max()


@pytest.mark.parametrize("n", [6, pytest.param(12, marks=pytest.mark.slow)])
def test_environments_come_back(n):
    numbers = (6,) * (n + 1)
    atoms = random_environment(numbers, 3.6, np.random.default_rng(n))
    subject = row_sums(size=128)
    (rows,) = subject.describe([atoms], SCOPE)
    effort = Effort(populations=1, size=4, seconds=1000.0)
    found = from_features(subject, rows, [numbers], Limits(0.8, 4.0), effort=effort)
    assert found.verdict == "determined", found
    assert congruence_distance(atoms, found.structures[0], group="SO3") < 1e-6


def test_a_basis_too_large_is_refused():
    with pytest.raises(InputError, match="choose a smaller basis"):
        row_sums(size=10**5)
