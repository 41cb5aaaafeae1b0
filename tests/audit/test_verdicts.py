"""No false verdict: congruent pairs are never separated, different ones always."""

from pathlib import Path

import numpy as np
import pytest

from atomplete.audit import Separation, audit, diagnose, separation, subject_of
from atomplete.audit.verdicts.copies import KINDS, copies
from atomplete.audit.verdicts.pairs import Pair
from atomplete.audit.verdicts.verdict import verdict_on
from atomplete.degenerate.congruence.congruence import congruent
from atomplete.degenerate.random_structures import random_environment


def random_pairs(n, same):
    """Random environments, each with a copy of itself or with another of the same atoms."""
    for number in range(n):
        rng = np.random.default_rng(number)
        numbers = (6, *rng.choice([1, 6, 8], int(rng.integers(3, 6))).tolist())
        plus, other = (random_environment(numbers, 2.5, rng) for _ in range(2))
        kind = ("rotated", "reflected", "permuted", "translated")[number % 4]
        minus = copies(plus, rng, {kind: 1})[0][1] if same else other
        yield Pair("random", number, "environment", plus, minus)


def verdicts(name, pairs):
    subject = subject_of(name)
    diagnosis = diagnose(subject)
    return [verdict_on(separation(subject, pair, group=diagnosis.group))[0] for pair in pairs]


@pytest.mark.parametrize("name", ["power_spectrum", "three_center"])
def test_congruent_pairs_are_never_separated(name):
    assert set(verdicts(name, random_pairs(12, same=True))) == {"blind"}


def test_three_centre_rows_separate_all_different_pairs():
    assert set(verdicts("three_center", random_pairs(12, same=False))) == {"separates"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["power_spectrum", "three_center", "dscribe:SOAP"])
def test_a_thousand_congruent_pairs(name):
    if ":" in name:
        pytest.importorskip(name.split(":")[0])
    found = verdicts(name, random_pairs(1000, same=True))
    assert "separates" not in found
    assert "broken" not in found


@pytest.mark.slow
def test_a_thousand_different_pairs():
    assert set(verdicts("three_center", random_pairs(1000, same=False))) == {"separates"}


@pytest.mark.parametrize("group", ["O3", "SO3"])
def test_copies_are_congruent(group):
    atoms = random_environment((8, 6, 6, 1, 1), 2.5, np.random.default_rng(0))
    found = copies(atoms, np.random.default_rng(1))
    assert [kind for kind, _ in found] == [k for k, count in KINDS.items() for _ in range(count)]
    for kind, copy in found:
        assert congruent(atoms, copy, group=group) == (group == "O3" or kind != "reflected")
        assert copy.symbols[copy.info["center"]] == "O"


def test_where_nothing_differs_nothing_is_decided():
    measured = Separation(difference=0.0, noise=1e-15, typical=0.0, structural_distance=0.5)
    assert verdict_on(measured) == ("undecided", "random structures do not differ either")


def test_controls_that_are_separated_are_called_broken():
    measured = Separation(difference=1e-3, noise=1e-14, typical=1.0, structural_distance=1e-15)
    assert verdict_on(measured) == ("broken", "congruent members differ")


@pytest.mark.parametrize(
    ("difference", "noise", "distance", "verdict"),
    [
        (1e-15, 1e-14, 0.5, "blind"),
        (1e-12, 1e-15, 0.5, "separates"),
        (5e-13, 1e-14, 0.5, "undecided"),  # between ten and a hundred times the noise
        (0.0, 1e-2, 0.5, "undecided"),  # any difference would be lost
        (0.0, 1e-6, 1e-4, "undecided"),  # so would one between structures so close
        (0.0, 1e-8, 1e-4, "blind"),
        (float("nan"), 1e-15, 0.5, "broken"),
        (float("inf"), 1e-15, 0.5, "separates"),
    ],
)
def test_verdicts(difference, noise, distance, verdict):
    assert verdict_on(Separation(difference, noise, 1.0, distance))[0] == verdict


def test_displacements_are_answered_in_proportion():
    """Features respond linearly; a blind subject sees a pair come apart as it is displaced."""
    rows = audit([subject_of("power_spectrum")], ["prl_nu2"], n=1, progress=False).rows
    (found,) = rows
    np.testing.assert_allclose(found.structural_distances[:3], [1e-6, 1e-5, 1e-4], rtol=0.5)
    assert found.slope == pytest.approx(1.0, abs=0.05)
    assert found.verdict == "blind"
    growth = np.log10(found.perturbed_separations[4] / found.perturbed_separations[2])
    assert growth == pytest.approx(2.0, abs=0.2)  # linear, over two decades


def test_copies_that_differ_in_a_cell_only_are_found_there():
    """A function that forgets periodic images is sound on molecules."""
    subject = subject_of(f"{Path(__file__).parent / 'my_descriptors.py'}:distances_and_angles")
    rows = audit([subject], ["antipodal", "antipodal_3d"], n=1, progress=False).rows
    assert [(row.verdict, row.reason) for row in rows] == [
        ("blind", ""),
        ("broken", "resampled copies differ"),
    ]
