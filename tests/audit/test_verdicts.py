"""No false verdict: congruent pairs are never separated, different ones always."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from atomplete.audit import Separation, audit, diagnose, separation, subject_of
from atomplete.audit.feature_map import FeatureMap
from atomplete.audit.resolution.resolved_directions import local_resolution
from atomplete.audit.search.search import search
from atomplete.audit.search.starts import Limits
from atomplete.audit.subjects.of_function import FunctionSubject
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


def distances(atoms, center):
    return np.sort(atoms.get_all_distances()[center])


def angles(atoms, center):
    vectors = atoms.positions - atoms.positions[center]
    return np.sort((vectors @ vectors.T).ravel())


SCALES = [1.0, 1e200, 1e307, 1e-300, 1e-310]


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(("function", "verdict"), [(distances, "blind"), (angles, "separates")])
def test_verdicts_do_not_depend_on_the_scale_of_features(function, verdict, scale):
    subject = FunctionSubject("scaled", lambda atoms, center: scale / 1e3 * function(atoms, center))
    result = audit([subject], ["distances", "controls"], n=2, progress=False)
    assert [row.words for row in result.rows] == [verdict] * 2 + ["equal"] * 2
    assert result.diagnoses["scaled"].faults == {}
    assert result.rows[0].slope == pytest.approx(1.0, abs=1e-2)


@pytest.mark.parametrize("constant", [0.0, 1.0, 1e200, -7])
def test_constant_columns_hide_nothing(constant):
    subject = FunctionSubject("more", lambda atoms, center: [constant, *angles(atoms, center)])
    result = audit([subject], ["distances", "controls"], n=1, progress=False)
    assert [row.words for row in result.rows] == ["separates", "equal"]


@pytest.mark.parametrize("value", [0.0, 1.0, 1e300, 3, True])
@pytest.mark.parametrize("columns", [1, 3])
def test_constant_subjects_are_named(value, columns):
    subject = FunctionSubject("constant", lambda atoms, center: np.full(columns, value))
    (row,) = audit([subject], ["distances"], n=1, progress=False).rows
    assert row.verdict == "broken"
    assert row.reason == "constant: random structures do not differ"


def test_integers_are_exact():
    """Counts of neighbours in shells: few bits, and no rounding that could hide a difference."""

    def counts(atoms, center):
        r = atoms.get_all_distances()[center]
        return np.histogram(r[r > 0], bins=np.arange(0.1, 8.0, 0.25))[0]

    subject = FunctionSubject("counts", counts)
    result = audit([subject], ["distances", "controls"], n=2, progress=False)
    assert result.diagnoses["counts"].faults == {}
    assert [row.words for row in result.rows] == ["blind"] * 2 + ["equal"] * 2


@pytest.mark.parametrize("scale", SCALES)
def test_resolution_does_not_depend_on_the_scale_of_features(scale):
    bent = Atoms("B3", [(0, 0, 0), (0, 1.3, 0.9), (0.2, -1.5, 0.6)])
    subject = FunctionSubject("scaled", lambda atoms, center: scale / 1e3 * angles(atoms, center))
    features = FeatureMap(subject, bent, "environment", 2.5)
    found = local_resolution(features)
    assert (found.verdict, found.rank, found.directions) == ("resolved", 3, 3)


def test_features_that_are_all_zero_end_a_search_with_a_pair():
    subject = FunctionSubject("zero", lambda atoms, center: np.zeros(2))
    features = FeatureMap(subject, Atoms("B3"), "environment", 2.5)
    result = search(features, Limits(0.9, 1.8), move_both=True)
    assert result.finds[0].feature_distance == 0.0
