"""Structures from summed features, against those that the features were computed from."""

import numpy as np
import pytest
from ase import Atoms

from atomplete.audit import Scope, subject_of
from atomplete.audit.search.starts import Limits
from atomplete.degenerate.congruence.congruence import congruence_distance
from atomplete.degenerate.families.registry import FAMILIES
from atomplete.degenerate.random_structures import random_environment, random_like
from atomplete.errors import InputError
from atomplete.reconstruction import Effort, from_features, likely_compositions

LIMITS = Limits(0.5, 3.5)
#: Two populations, and no end that depends on the machine.
EFFORT = Effort(populations=2, seconds=1000.0)


def features_of(name, atoms, level="environment", cutoff=LIMITS.longest):
    subject = subject_of(name)
    scope = Scope(level, cutoff, tuple(sorted(set(atoms.numbers.tolist()))))
    return subject, subject.describe([atoms], scope)[0]


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("power_spectrum?max_radial=6,max_angular=6", (8, 1, 1, 1, 1)),
        ("power_spectrum?max_radial=4,max_angular=4", (6, 1, 1, 8, 8)),
        pytest.param(
            "three_center?max_radial=3,max_angular=2", (6, 6, 6, 6, 6), marks=pytest.mark.slow
        ),
        ("bispectrum?max_radial=3,max_angular=2", (6, 6)),
    ],
)
def test_random_environments_come_back(name, numbers):
    atoms = random_environment(numbers, 3.2, np.random.default_rng(4))
    subject, rows = features_of(name, atoms)
    found = from_features(subject, rows, [numbers], LIMITS, effort=EFFORT)
    assert found.verdict == "determined", found
    assert congruence_distance(atoms, found.structures[0]) < 1e-4


def test_a_users_function_of_a_whole_structure_will_do(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "import numpy as np\n"
        "def distances(atoms):\n"
        "    d = atoms.get_all_distances()[np.triu_indices(len(atoms), 1)]\n"
        "    return np.exp(-8 * (d[:, None] - np.linspace(0.5, 4, 12)) ** 2).sum(0)\n"
    )
    template = Atoms("C4", [(0, 0, 0), (1.5, 0, 0), (0, 1.5, 0), (0, 0, 1.5)])
    atoms = random_like(template, "structure", np.random.default_rng(0))
    subject, rows = features_of(f"{file}:distances", atoms, "structure", 4.0)
    limits = Limits(0.5, 4.0)
    found = from_features(
        subject, rows, [(6, 6, 6, 6)], limits, level="structure", effort=EFFORT, tolerance=1e-8
    )
    assert found.structures, found
    # the distances come back, whether or not they make one structure only
    given = np.sort(atoms.get_all_distances()[np.triu_indices(4, 1)])
    own = np.sort(found.structures[0].get_all_distances()[np.triu_indices(4, 1)])
    assert np.abs(given - own).max() < 1e-5


@pytest.mark.slow
def test_a_blind_descriptor_gives_both_members_of_a_pair():
    plus, minus = next(iter(FAMILIES["prl_nu2"].pairs(2)[1:]))
    radius = 1.25 * float(np.linalg.norm(plus.positions - plus.positions[0], axis=1).max())
    subject, rows = features_of("power_spectrum?max_radial=4", plus, cutoff=radius)
    effort = Effort(populations=6, seconds=1000.0)
    numbers = plus.numbers.tolist()
    found = from_features(subject, rows, [numbers], Limits(0.3, radius), effort=effort)
    assert found.verdict == "degenerate", found
    for member in (plus, minus):
        away = [congruence_distance(member, atoms) for atoms in found.structures]
        assert min(away) < 1e-5
    table = np.array(found.distances())
    assert (table[~np.eye(len(table), dtype=bool)] > 1e-3).all()
    written = found.labelled()
    assert [atoms.info["sign"] for atoms in written[:2]] == ["+", "-"]


def test_features_of_no_structure_are_said_to_be():
    first, second = (
        random_environment((8, 1, 1, 1), 3.2, np.random.default_rng(seed)) for seed in (0, 1)
    )
    subject, rows = features_of("power_spectrum", first)
    _, others = features_of("power_spectrum", second)
    effort = Effort(populations=1, rounds=3)
    found = from_features(subject, 0.5 * (rows + others), [(8, 1, 1, 1)], LIMITS, effort=effort)
    assert found.verdict == "no structure"
    assert not found.structures
    assert found.residual > 1e-3
    assert "none ended in a structure" in found.statement


def test_noise_within_the_tolerance_is_no_other_structure():
    atoms = random_environment((8, 1, 1, 1), 3.0, np.random.default_rng(0))
    subject, rows = features_of("power_spectrum?max_radial=6,max_angular=6", atoms)
    noise = np.random.default_rng(1).normal(size=rows.shape)
    noise *= 1e-4 * np.linalg.norm(rows) / np.linalg.norm(noise)
    found = from_features(
        subject, rows + noise, [(8, 1, 1, 1)], LIMITS, effort=EFFORT, tolerance=3e-4
    )
    assert found.verdict == "determined", found
    assert congruence_distance(atoms, found.structures[0]) < 1e-2


def test_the_number_of_neighbours_is_found():
    numbers = (8, 1, 1, 1)
    atoms = random_environment(numbers, 2.8, np.random.default_rng(0))
    subject, rows = features_of("power_spectrum", atoms)
    compositions = likely_compositions(subject, rows, 8, (1,), LIMITS, most=6)
    assert numbers in compositions[:3]
    found = from_features(
        subject, rows, compositions, LIMITS, effort=Effort(populations=1, rounds=4)
    )
    assert len(found.structures[0]) == len(numbers)
    assert congruence_distance(atoms, found.structures[0]) < 1e-4


def test_what_are_no_features_is_refused():
    atoms = random_environment((8, 1, 1), 3.0, np.random.default_rng(0))
    subject, rows = features_of("power_spectrum", atoms)
    for given, numbers, word in (
        (rows[:, 1:], (8, 1, 1), "has features of shape"),
        (rows * np.nan, (8, 1, 1), "no finite rows"),
        (rows, (8,), "two atoms or more"),
    ):
        with pytest.raises(InputError, match=word):
            from_features(subject, given, [numbers], LIMITS)
    with pytest.raises(InputError, match="no composition"):
        from_features(subject, rows, [], LIMITS)
