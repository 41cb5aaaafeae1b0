"""Exact congruence against brute force, under symmetries, and in its corner cases."""

from itertools import permutations

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from atomplete.degenerate.congruence import alignment
from atomplete.degenerate.congruence.alignment import anchors, candidate_alignments, frames
from atomplete.degenerate.congruence.congruence import congruence_distance, congruent
from atomplete.degenerate.families.registry import get
from atomplete.errors import InputError

ROUNDING = 1e-12


def environment(neighbors, symbols="C", center="C"):
    neighbors = np.asarray(neighbors, dtype=float).reshape(-1, 3)
    symbols = list(symbols) if len(symbols) == len(neighbors) else [symbols] * len(neighbors)
    return Atoms([center, *symbols], np.vstack([np.zeros(3), neighbors]))


def random_rotation(rng):
    return Rotation.from_quat(rng.normal(size=4)).as_matrix()


def brute_force_distance(a, b, group):
    """Largest displacement after Kabsch, smallest over all bijections and both handednesses.

    The least-squares optimum is within sqrt(n) of the optimum of the largest displacement.
    """
    x, y = a.positions[1:], b.positions[1:]
    best = np.inf
    for order in map(list, permutations(range(len(x)))):
        if not np.array_equal(a.numbers[1:], b.numbers[1:][order]):
            continue
        u, _, vt = np.linalg.svd(y[order].T @ x)
        for determinant in (1, -1) if group == "O3" else (1,):
            q = u @ np.diag([1, 1, determinant * round(np.linalg.det(u @ vt))]) @ vt
            best = min(best, np.linalg.norm(x @ q.T - y[order], axis=1).max())
    return best


@pytest.mark.parametrize("group", ["O3", "SO3"])
@pytest.mark.parametrize("noise", [0.0, 1e-6, 1e-2, None])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_brute_force_over_permutations_bounds_the_distance(n, noise, group):
    rng = np.random.default_rng([n, 0 if noise is None else round(1e6 * noise)])
    for _ in range(4):
        species = rng.choice(["C", "H"], n)
        a = environment(rng.normal(size=(n, 3)), species)
        if noise is None:
            b = environment(rng.normal(size=(n, 3)), species)
        else:
            order = rng.permutation(n)
            q = random_rotation(rng) * rng.choice([-1, 1])
            moved = a.positions[1:][order] @ q.T + noise * rng.normal(size=(n, 3))
            b = environment(moved, species[order])
        distance, expected = (
            congruence_distance(a, b, group=group),
            brute_force_distance(a, b, group),
        )
        # guaranteed: optimum <= distance <= 9 optimum, optimum <= expected <= sqrt(n) optimum
        assert distance <= 9 * expected + ROUNDING
        assert expected <= np.sqrt(n) * distance + ROUNDING
        assert congruent(a, b, group=group) == (expected < 1e-8)
        # in practice, the least-squares step brings the two close together
        assert distance <= 2 * expected + ROUNDING


coordinates = st.floats(-4.0, 4.0).map(lambda value: round(value, 3))
point_sets = st.lists(st.tuples(coordinates, coordinates, coordinates), min_size=0, max_size=7)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(points=point_sets, seed=st.integers(0, 2**32 - 1), level=st.sampled_from(["e", "s"]))
def test_copies_are_congruent(points, seed, level):
    rng = np.random.default_rng(seed)
    level = {"e": "environment", "s": "structure"}[level]
    symbols = rng.choice(["C", "H", "O"], len(points))
    a = environment(points, symbols) if len(points) else environment([])
    order = rng.permutation(len(points))
    rotation, shift = random_rotation(rng), rng.normal(size=3)
    for sign in (1, -1):
        b = environment(a.positions[1:][order] @ (sign * rotation).T, symbols[order])
        b.positions += shift
        assert congruence_distance(a, b, level=level) < ROUNDING * 10
    c = environment(a.positions[1:][order] @ rotation.T, symbols[order])
    assert congruence_distance(a, c, level=level, group="SO3") < ROUNDING * 10


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 7), group=st.sampled_from(["O3", "SO3"]))
def test_distance_is_symmetric_and_keeps_its_value_on_copies(seed, n, group):
    rng = np.random.default_rng(seed)
    a, b = (environment(rng.normal(size=(n, 3))) for _ in range(2))
    expected = congruence_distance(a, b, group=group)
    moved = environment(rng.permutation(b.positions[1:]) @ random_rotation(rng).T)
    assert congruence_distance(a, moved, group=group) == pytest.approx(expected, abs=1e-9)
    assert congruence_distance(b, a, group=group) == expected
    mirrored = [environment(-atoms.positions[1:]) for atoms in (a, b)]
    assert congruence_distance(*mirrored, group=group) == pytest.approx(expected, abs=1e-9)


PLANAR_CHIRAL = np.array([(1.0, 0, 0), (0.3, 1.7, 0), (-1.2, 0.4, 0), (-0.5, -2.2, 0)])
SOLID_CHIRAL = np.array([(1.0, 0, 0), (0, 1.5, 0), (0, 0, 2.0)])


@pytest.mark.parametrize(
    "neighbors",
    [
        [],
        [(0.0, 0, 1.2)],
        [(0.0, 0, 1.0), (0, 0, -2.0), (0, 0, 3.0)],
        PLANAR_CHIRAL[:2],
        PLANAR_CHIRAL,
    ],
    ids=["none", "one", "collinear", "two", "coplanar with the centre"],
)
def test_a_mirror_image_in_a_plane_is_also_a_proper_rotation(neighbors):
    a = environment(neighbors)
    b = environment(-a.positions[1:][::-1] @ random_rotation(np.random.default_rng(1)).T)
    assert congruence_distance(a, b, group="SO3") < ROUNDING


def test_a_solid_enantiomer_is_not_a_proper_rotation():
    a, b = environment(SOLID_CHIRAL), environment(-SOLID_CHIRAL)
    assert congruent(a, b, group="O3")
    assert congruence_distance(a, b, group="SO3") > 0.1


def test_points_coplanar_away_from_the_centre_are_chiral_about_it_but_not_as_a_set():
    lifted = np.add(PLANAR_CHIRAL, [0, 0, 1.0])
    mirrored = lifted * [-1, 1, 1]
    assert congruence_distance(environment(lifted), environment(mirrored), group="SO3") > 0.1
    flat = Atoms("C4", lifted), Atoms("C4", mirrored)
    assert congruent(*flat, level="structure", group="SO3")


def test_equal_radii_leave_only_the_angles():
    cube = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1.0, 1.0)])
    turned = cube @ random_rotation(np.random.default_rng(2)).T
    assert congruent(environment(cube), environment(turned), group="SO3")
    antiprism = cube.copy()
    antiprism[cube[:, 2] > 0] @= Rotation.from_euler("z", 45, degrees=True).as_matrix().T
    assert congruence_distance(environment(cube), environment(antiprism)) > 0.3


def test_a_nearly_collinear_set_keeps_its_precision():
    a = np.array([(0, 0, 3.0), (1e-6, 0, 2.0), (0, 1e-7, -1.0)])
    b = a[::-1] @ random_rotation(np.random.default_rng(3)).T
    assert congruence_distance(environment(a), environment(b), group="SO3") < 1e-14
    assert congruence_distance(environment(a), environment(a * [1, -1, 1]), group="SO3") < 3e-7


def test_a_neighbor_on_the_centre_has_no_direction():
    a = [(0.0, 0, 0), (1.0, 0, 0)]
    assert congruent(environment(a), environment([(0, 1.0, 0), (0, 0, 0)]))


def test_species_have_to_agree():
    water, other = environment([(1.0, 0, 0)], "H", "O"), environment([(1.0, 0, 0)], "O", "H")
    assert congruence_distance(water, other) == np.inf
    assert congruent(water, other, level="structure")
    assert congruence_distance(water, water + Atoms("H")) == np.inf
    swapped = environment([(1.0, 0, 0), (0, 2.0, 0)], ["H", "O"])
    assert not congruent(swapped, environment([(1.0, 0, 0), (0, 2.0, 0)], ["O", "H"]))


def test_the_centre_is_a_choice():
    a = Atoms("HCO", [(0, 0, 0), (1.0, 0, 0), (1.0, 1.0, 0)], info={"center": 1})
    b = Atoms("CHO", [(0, 0, 0), (0, 0, 1.0), (0, 1.0, 0)])
    assert congruent(a, b)
    assert not congruent(a, b, center=0)
    same = Atoms("CHO", a.positions[[1, 0, 2]])
    assert congruent(same, b, center=2) == congruent(same, b, center=0)


def test_single_atoms_and_no_atoms():
    assert congruence_distance(Atoms("C"), Atoms("C", [(3.0, 2, 1)])) == 0.0
    assert congruence_distance(Atoms("C"), Atoms("N")) == np.inf
    assert congruence_distance(Atoms("C"), Atoms("C", [(3.0, 2, 1)]), level="structure") == 0.0
    assert congruence_distance(Atoms(), Atoms(), level="structure") == 0.0


@pytest.mark.parametrize(
    ("atoms", "options", "message"),
    [
        (Atoms("C", cell=[4, 4, 4], pbc=[True, False, False]), {}, "second structure .* periodic"),
        (Atoms("CH", [(0, 0, 0), (np.nan, 0, 0)]), {}, r"atom 1 at \[nan, 0.0, 0.0\]"),
        (Atoms("C"), {"center": 1}, "no atom 1 to be the centre"),
        (Atoms("C"), {"center": -1}, "no atom -1 to be the centre"),
        (Atoms(), {}, "no atoms"),
        (Atoms("C"), {"level": "molecule"}, "level 'molecule' is unknown.*environment, structure"),
        (Atoms("C"), {"group": "O2"}, "group 'O2' is unknown.*O3, SO3"),
    ],
)
def test_unusable_input_is_refused_in_one_sentence(atoms, options, message):
    with pytest.raises(InputError, match=message):
        congruence_distance(Atoms("CH", [(0, 0, 0), (1, 0, 0)]), atoms, **options)


def test_large_sets_are_searched_in_chunks(monkeypatch):
    rng = np.random.default_rng(5)
    a, b = (environment(rng.normal(size=(9, 3))) for _ in range(2))
    copy = environment(rng.permutation(a.positions[1:]) @ random_rotation(rng).T)
    whole = congruence_distance(a, b)
    monkeypatch.setattr(alignment, "_CHUNK_ENTRIES", 300)
    assert congruence_distance(a, copy) < ROUNDING
    # smaller chunks can only refine more candidates
    assert whole / 9 < congruence_distance(a, b) <= whole


def test_equal_radii_do_not_make_the_value_depend_on_the_order():
    rng = np.random.default_rng(6)
    (plus, minus), *_ = get("b8").pairs(1)
    other = environment(minus.positions[1:])
    values = [
        congruence_distance(
            environment(rng.permutation(plus.positions[1:]) @ random_rotation(rng).T), other
        )
        for _ in range(5)
    ]
    assert values == pytest.approx([values[0]] * 5, abs=1e-9)


def test_candidates_are_orthogonal_and_sorted_by_their_bound():
    rng = np.random.default_rng(4)
    numbers = np.full(6, 6)
    a, b = rng.normal(size=(2, 6, 3))
    ((bound, matrices),) = candidate_alignments(a, numbers, b, numbers, mirror=True)
    assert bound >= 0
    np.testing.assert_allclose(
        matrices @ matrices.transpose(0, 2, 1), np.broadcast_to(np.eye(3), (60, 3, 3)), atol=1e-14
    )
    np.testing.assert_allclose(np.sort(np.linalg.det(matrices)), np.repeat([-1, 1], 30))
    # every candidate puts the first anchor of A on the ray of an atom of B
    aligned = a[anchors(a)[0, 0]] @ matrices.transpose(0, 2, 1)
    rays = b / np.linalg.norm(b, axis=1, keepdims=True)
    np.testing.assert_allclose((aligned @ rays.T).max(axis=1), np.linalg.norm(a, axis=1).max())


def test_frames_of_degenerate_vectors_are_still_orthonormal():
    first = np.array([(0.0, 0, 0), (0, 0, 2.0), (0, 0, 2.0), (1.0, 1, 1)])
    second = np.array([(0.0, 0, 0), (0, 0, -3.0), (1e-9, 0, 1.0), (1.0, 1, 1 + 1e-7)])
    axes = frames(first, second)
    np.testing.assert_allclose(
        axes @ axes.transpose(0, 2, 1), np.broadcast_to(np.eye(3), (4, 3, 3)), atol=1e-14
    )
    np.testing.assert_allclose(np.linalg.det(axes), 1.0)
