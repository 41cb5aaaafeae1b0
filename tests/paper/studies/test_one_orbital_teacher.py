import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from atomplete.degenerate.families.registry import get
from atomplete.paper.studies.one_orbital_teacher import (
    CENTER_LEVEL,
    DAMPING,
    TEMPERATURE,
    WIDTH,
    energy,
    grand_potential,
    of_environment,
    rotatory_strength,
)
from atomplete.paper.studies.pair_sets import FAMILIES

FUNCTIONS = (grand_potential, rotatory_strength)


def environment(seed, n=5):
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(n, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return rng.uniform(0.9, 1.8, (n, 1)) * directions


def test_one_neighbor_by_hand():
    hopping, mean = np.exp(-(1.3**2) / (2 * WIDTH**2)), CENTER_LEVEL / 2
    levels = mean + np.array([-1, 1]) * np.hypot(mean, hopping)
    expected = -TEMPERATURE * np.log(1 + np.exp(-levels / TEMPERATURE)).sum()
    assert grand_potential(np.array([[0.0, 0.0, 1.3]])) == pytest.approx(expected, rel=1e-12)


def test_rotatory_strength_from_operators():
    """Im μ_nm · L_mn with L = (r × p − p × r) / 2 and p = i [H, r], summed in loops."""
    r = np.concatenate([np.zeros((1, 3)), environment(0, 4)])
    h = -np.exp(-np.square(r[:, None] - r[None]).sum(-1) / (2 * WIDTH**2))
    np.fill_diagonal(h, [CENTER_LEVEL, 0, 0, 0, 0])
    x = [np.diag(component) for component in r.T]
    p = [1j * (h @ a - a @ h) for a in x]
    turn = [
        (x[b] @ p[c] - x[c] @ p[b] - p[b] @ x[c] + p[c] @ x[b]) / 2
        for b, c in ((1, 2), (2, 0), (0, 1))
    ]
    levels, orbitals = np.linalg.eigh(h)
    fermi = 1 / (np.exp(levels / TEMPERATURE) + 1)
    total = 0.0
    for n in range(5):
        for m in range(5):
            factor = (fermi[n] - fermi[m]) / ((levels[n] - levels[m]) ** 2 + DAMPING**2)
            for a in range(3):
                electric = orbitals[:, n] @ x[a] @ orbitals[:, m]
                magnetic = orbitals[:, m] @ turn[a] @ orbitals[:, n]
                total -= factor * (electric * magnetic).imag
    assert abs(total) > 1e-3
    assert rotatory_strength(r[1:]) == pytest.approx(total, rel=1e-10)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_neither_rotation_nor_order_matters(function):
    positions = environment(1)
    rotation = Rotation.random(random_state=0).as_matrix()
    turned = positions[[3, 1, 0, 4, 2]] @ rotation.T
    assert abs(function(positions)) > 1e-3
    assert function(turned) == pytest.approx(function(positions), abs=1e-12)


def test_a_mirror_image_has_the_same_potential_and_the_opposite_strength():
    positions = environment(2)
    mirrored = positions * [1, 1, -1]
    assert grand_potential(mirrored) == pytest.approx(grand_potential(positions), abs=1e-12)
    assert abs(rotatory_strength(positions)) > 1e-3
    assert rotatory_strength(mirrored) == pytest.approx(-rotatory_strength(positions), abs=1e-12)


def test_where_a_structure_stands_does_not_matter():
    plus, _ = get("antipodal").pairs(1)[0]
    moved = plus[[2, 0, 1, *range(3, len(plus))]]
    moved.translate([0.3, -4.0, 1.0])
    moved.info["center"] = 1
    assert of_environment(moved) == pytest.approx(of_environment(plus), abs=1e-12)


@pytest.mark.parametrize("family", ["b8", *FAMILIES])
def test_members_of_degenerate_pairs_differ(family):
    pairs = get(family).pairs(20)
    differences = [of_environment(plus) - of_environment(minus) for plus, minus in pairs]
    spread = np.std([of_environment(atoms) for pair in pairs for atoms in pair])
    assert np.median(np.abs(differences)) > 0.01 * spread
    # of enantiomers, only the pseudoscalar does
    potentials = [[of_environment(atoms, grand_potential) for atoms in pair] for pair in pairs]
    apart = np.abs(np.diff(potentials)).max()
    assert (apart < 1e-12) if family == "chiral" else (apart > 1e-4)


@pytest.mark.parametrize("function", [*FUNCTIONS, energy])
def test_smooth_where_levels_cross(function):
    """Second differences along a path through a square, whose levels are degenerate."""
    square = np.array([[1, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0], [0, 0, 1]]) * 1.2
    path = np.random.default_rng(3).normal(size=square.shape)

    def second(h):
        ends = function(square + h * path) + function(square - h * path)
        return (ends - 2 * function(square)) / h**2

    # a kink would double it each time that h is halved
    assert abs(second(4e-3)) > 1e-4
    assert second(2e-3) == pytest.approx(second(4e-3), rel=2e-2)
