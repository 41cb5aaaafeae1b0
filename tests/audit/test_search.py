"""The search: what it finds is real, what it cannot find it does not claim."""

import numpy as np
import pytest
import torch
from ase import Atoms
from features import of_function, of_spec
from scipy.optimize import least_squares as scipy_least_squares

from atomplete.audit.search.least_squares import least_squares
from atomplete.audit.search.near_pair import Target
from atomplete.audit.search.search import Budget, search
from atomplete.audit.search.starts import Limits
from atomplete.degenerate.congruence.congruence import congruence_distance, congruent
from atomplete.degenerate.congruence.correlation_order import correlation_order
from atomplete.degenerate.congruence.environment import environment
from atomplete.degenerate.families.registry import get
from atomplete.degenerate.labelled import labelled
from atomplete.descriptors import (
    NAMED,
    DensityCorrelationsSpec,
    ExpansionSpec,
    TaggedCorrelationsSpec,
    ThreeCenterSpec,
    build,
)
from atomplete.errors import InputError
from atomplete.system import System

LIMITS = Limits(0.9, 1.8)
SMALL = ExpansionSpec(max_radial=3, max_angular=2)
SPECS = {
    "power_spectrum": DensityCorrelationsSpec(nu=(2,), expansion=SMALL),
    "bispectrum": DensityCorrelationsSpec(nu=(3,), expansion=SMALL),
    "pair": TaggedCorrelationsSpec(n_tagged=1, nu=1, expansion=SMALL),
    "three_center": ThreeCenterSpec(expansion=SMALL),
}


def apart(spec, pair):
    """Relative feature distance, from the structures and with nothing of the search."""
    features = build(spec)(
        System.from_atoms([pair.plus, pair.minus], spec.expansion.cutoff, centers="info")
    )
    plus, minus = features.values
    return float((plus - minus).norm() / plus.norm())


def all_distances(structures):
    """Complete for three atoms, and not for four."""
    upper = np.triu_indices(len(structures[0]), 1)
    return np.array([np.sort(atoms.get_all_distances()[upper]) for atoms in structures])


def smooth_distances(structures):
    """Moments of the distances to the centre: blind to all angles."""
    radii = np.array([atoms.get_distances(0, range(1, len(atoms))) for atoms in structures])
    return np.stack([(radii**k).sum(axis=1) for k in range(1, 6)], axis=1)


def test_finds_a_nu2_pair_from_random_starts():
    features = of_spec(NAMED["power_spectrum"], Atoms("B5"))
    target = Target(correlation_order=2)
    result = search(features, LIMITS, move_both=True, target=target, budget=Budget(200, 1e3))
    pair = result.finds[0]
    assert congruence_distance(pair.plus, pair.minus) > 0.1
    assert apart(NAMED["power_spectrum"], pair) < 1e-8
    # not a matter of the basis: it is as equal in a far larger one, and ν = 3 tells it apart
    larger = ExpansionSpec(max_radial=10, max_angular=8)
    assert apart(DensityCorrelationsSpec(nu=(2,), expansion=larger), pair) < 1e-8
    assert apart(NAMED["bispectrum"], pair) > 1e-4
    assert pair.correlation_order == correlation_order(pair.plus, pair.minus) == 2


def test_finds_the_double_of_a_given_structure():
    plus, minus = get("prl_nu2").pairs(2)[1]
    spec = DensityCorrelationsSpec(
        nu=(2,), expansion=ExpansionSpec(cutoff=4.0, max_radial=4, species=(1, 6, 8))
    )
    features = of_spec(spec, plus)
    limits = Limits(0.8, 1.01 * np.linalg.norm(plus.positions, axis=1).max())
    result = search(features, limits, budget=Budget(64, 1e3))
    assert any(congruent(pair.minus, minus, tolerance=1e-5) for pair in result.finds)
    assert all(np.array_equal(pair.plus.positions, plus.positions) for pair in result.finds)


CROSS = Atoms("B5", [(0, 0, 0), (1.2, 0, 0), (0, 1.3, 0.4), (-1.4, 0, 0), (0, -1.5, 0)])


@pytest.mark.slow
def test_three_center_is_reported_as_not_found():
    features = of_spec(SPECS["three_center"], CROSS)
    result = search(features, LIMITS, move_both=True, budget=Budget(16, 1e3))
    assert result.finds == ()
    assert result.starts == 16 == result.congruent + result.implausible + result.apart
    assert str(result).startswith("nothing found from 16 starts")


def test_a_complete_function_has_congruent_ends_only():
    features = of_function(all_distances, Atoms("B3"), "structure")
    result = search(features, LIMITS, move_both=True, budget=Budget(32, 1e3), seed=1)
    assert result.congruent > 24
    assert result.finds == ()


def test_finds_a_pair_of_structures_with_the_same_distances():
    features = of_function(all_distances, Atoms("B4"), "structure")
    pair = search(features, LIMITS, move_both=True, budget=Budget(32, 1e3)).finds[0]
    plus, minus = all_distances([pair.plus, pair.minus])
    assert np.abs(plus - minus).max() < 1e-8
    assert congruence_distance(pair.plus, pair.minus, level="structure") > 0.1


def test_finds_what_a_function_of_the_user_misses():
    features = of_function(smooth_distances, Atoms("B4"))
    result = search(features, LIMITS, move_both=True, budget=Budget(16, 1e3))
    pair = result.finds[0]
    plus, minus = smooth_distances([pair.plus, pair.minus])
    assert np.linalg.norm(plus - minus) < 1e-8 * np.linalg.norm(plus)
    assert congruence_distance(pair.plus, pair.minus) == pytest.approx(pair.structural_distance)
    assert pair.correlation_order == 1


def test_finds_keep_the_limits_and_are_distinct():
    spec = DensityCorrelationsSpec(nu=(1,))
    features = of_spec(spec, Atoms("B5"))
    target = Target(structural_distance=0.3)
    budget = Budget(32, 1e3, finds=5)
    finds = search(features, LIMITS, move_both=True, budget=budget, target=target).finds
    assert len(finds) == 5
    for pair in finds:
        assert pair.structural_distance >= 0.3
        for atoms in (pair.plus, pair.minus):
            distances = atoms.get_all_distances()
            assert distances[np.triu_indices(5, 1)].min() > 0.9 - 1e-5
            assert distances[0].max() < 1.8 + 1e-5
    separations = [pair.structural_distance for pair in finds]
    assert separations == sorted(separations, reverse=True)
    assert not any(congruent(finds[0].plus, pair.plus) for pair in finds[1:])


def test_starts_from_families_find_pairs_that_random_ones_do_not():
    spec = DensityCorrelationsSpec(nu=(3,), expansion=ExpansionSpec(max_radial=3))
    features = of_spec(spec, Atoms("B8"))
    budget, target = Budget(4, 1e3), Target(correlation_order=3)
    result = search(
        features, Limits(0.5, 1.8), move_both=True, from_families=True, budget=budget, target=target
    )
    assert result.finds
    assert all(pair.correlation_order == 3 for pair in result.finds)


def test_searches_are_repeatable():
    features = of_spec(SPECS["power_spectrum"], Atoms("B4"))
    first, second = (
        search(features, LIMITS, move_both=True, budget=Budget(8, 1e3), seed=3) for _ in range(2)
    )
    assert first.congruent == second.congruent
    assert [pair.structural_distance for pair in first.finds] == [
        pair.structural_distance for pair in second.finds
    ]


@pytest.mark.parametrize(
    ("atoms", "limits", "says"),
    [
        (Atoms("BB", [(0, 0, 0), (0, 0, 1.5)]), LIMITS, "two atoms"),
        (Atoms("B3", [(0, 0, 0), (0, 0, 1.5), (0, 0, -2.5)]), LIMITS, "limits"),
    ],
)
def test_refuses_a_structure_without_a_double(atoms, limits, says):
    features = of_spec(NAMED["power_spectrum"], atoms)
    with pytest.raises(InputError, match=says):
        search(features, limits)


def test_refuses_limits_without_room():
    features = of_spec(NAMED["power_spectrum"], Atoms("B40"))
    with pytest.raises(InputError, match="no room"):
        search(features, Limits(1.5, 1.8), move_both=True)
    with pytest.raises(InputError, match="shortest"):
        Limits(2.0, 1.0)


@pytest.mark.parametrize("level", ["environment", "structure"])
@pytest.mark.parametrize("name", SPECS)
def test_jacobian_agrees_with_differences(name, level):
    rng = np.random.default_rng(0)
    positions = np.array([(0.0, 0, 0), (0, 1.3, 0.9), (0.2, -1.5, 0.6), (1.4, 0.1, 0.3)])
    template = Atoms("B4", positions)
    movable = positions[1 if level == "environment" else 0 :]
    both = movable + 0.1 * rng.normal(size=(2, *movable.shape))
    features = of_spec(SPECS[name], template, level)
    values, jacobians = features.jacobian(both)
    assert np.allclose(features(both), values)
    step = 1e-5
    for k in range(movable.size):
        moved = both.copy()
        moved.reshape(2, -1)[:, k] += step
        back = both.copy()
        back.reshape(2, -1)[:, k] -= step
        numeric = (features(moved) - features(back)) / (2 * step)
        assert np.abs(numeric - jacobians[:, :, k]).max() < 1e-7 * np.abs(jacobians).max()


@pytest.mark.parametrize("name", ["power_spectrum", "bispectrum"])
def test_values_are_those_of_the_representation(name):
    template = Atoms("B3", [(0, 0, 0), (0, 1.3, 0.9), (0.2, -1.5, 0.6)], info={"center": 0})
    features = of_spec(SPECS[name], template, group="SO3")
    expected = build(SPECS[name])(System.from_atoms(template, 2.0, centers="info")).values
    values = features.unit * features(template.positions[None, 1:])
    assert torch.equal(torch.from_numpy(values), expected)


@pytest.mark.parametrize("name", ["three_center", "pair"])
def test_random_functions_of_rows_are_invariant(name):
    template = Atoms("B4", [(0, 0, 0), (0, 1.3, 0.9), (0.2, -1.5, 0.6), (1.4, 0.1, 0.3)])
    features = of_spec(SPECS[name], template)
    positions = template.positions[1:]
    copies = np.stack([positions, -positions[[2, 0, 1]] @ np.eye(3)[[1, 2, 0]]])
    values = features(copies)
    assert np.abs(values[1] - values[0]).max() < 1e-10


def test_environments_of_periodic_structures():
    chain = Atoms("BN", [(0, 0, 0), (0, 0, 1.4)], cell=[0, 0, 3.0], pbc=(0, 0, 1))
    found = environment(chain, 3.1, center=1)
    assert sorted(found.positions[:, 2].round(6)) == [-3.0, -1.4, 0.0, 1.6, 3.0]
    assert found.numbers[0] == 7


def test_functions_that_are_not_finite_are_refused():
    features = of_function(lambda structures: np.full((1, 2), np.nan), Atoms("B3"))
    with pytest.raises(InputError, match="not finite for B3"):
        features(np.ones((1, 2, 3)))


CLUSTERS = ("b8", "distances", "prl_nu2", "prl_nu3", "chiral", "antipodal", "controls")


@pytest.mark.parametrize("name", CLUSTERS)
def test_correlation_order_is_that_of_the_family(name):
    family = get(name)
    for plus, minus in family.pairs(3):
        expected = 4 if family.congruent else family.degenerate_nu
        assert correlation_order(plus, minus, group=family.group) == expected


def test_correlation_order_knows_species_and_hands():
    plus, minus = get("chiral").pairs(1)[0]
    assert correlation_order(plus, minus, group="O3") == 4  # mirror images of each other
    assert correlation_order(plus, minus, group="SO3") == 3
    other = Atoms("OH2", [(0, 0, 0), (0, 0, 1), (0, 1, 0)])
    swapped = Atoms("OHF", [(0, 0, 0), (0, 0, 1), (0, 1, 0)])
    assert correlation_order(other, swapped) == 0


def test_least_squares_agrees_with_scipy():
    def rosenbrock(x, problems):
        r = np.stack([10 * (x[:, 1] - x[:, 0] ** 2), 1 - x[:, 0], x[:, 0] * x[:, 1]], 1)
        j = np.zeros((len(x), 3, 2))
        j[:, 0, 0], j[:, 0, 1], j[:, 1, 0] = -20 * x[:, 0], 10, -1
        j[:, 2, 0], j[:, 2, 1] = x[:, 1], x[:, 0]
        return r, j

    starts = np.array([[-1.2, 1.0], [0.5, 2.0], [0.0, 0.0]])
    _, norms, finished = least_squares(rosenbrock, starts, largest_step=1.0, iterations=200)
    for start, norm in zip(starts, norms, strict=True):
        best = scipy_least_squares(lambda x: rosenbrock(x[None], None)[0][0], start)
        assert norm == pytest.approx(np.sqrt(2 * best.cost), rel=1e-6)
    assert finished.all()


def test_least_squares_stops_when_told():
    calls = []

    def residuals(x, problems):
        calls.append(len(x))
        return x**2 - 2, 2 * x[:, :, None] * np.eye(1)

    starts = np.array([[1.0], [1.0], [2**0.5]])  # the last is there
    _, _, finished = least_squares(
        residuals, starts, largest_step=0.1, converged=1e-12, keep_going=lambda: len(calls) < 3
    )
    assert calls == [3, 2, 2]
    assert finished.tolist() == [False, False, True]


def test_starts_that_the_time_limit_stops_are_unfinished():
    features = of_spec(SPECS["three_center"], CROSS)
    result = search(features, LIMITS, move_both=True, budget=Budget(100, 1e-9))
    assert result.starts == result.unfinished == 16
    assert result.implausible == result.congruent == result.apart == 0
    assert str(result).endswith("16 unfinished")


def test_found_pairs_read_back_as_pairs(tmp_path):
    from atomplete.data import pair_structures, read_structures, write_structures

    pairs = [(plus, minus, {"separation": 0.5}) for plus, minus in get("prl_nu2").pairs(2)]
    write_structures(tmp_path / "found.xyz", labelled(pairs, "found", "environment"))
    structures = read_structures(tmp_path / "found.xyz")
    assert pair_structures(structures, "found.xyz").ids.tolist() == [0, 1]
    assert structures[3].info["family"] == "found"
    assert structures[3].info["center"] == 0
