"""Exhaustive search over vertex subsets, against brute force and pairs of the literature."""

from itertools import combinations

import numpy as np
import pytest
from ase import Atoms

from atomplete.degenerate.congruence.congruence import congruence_distance, congruent
from atomplete.degenerate.congruence.correlation_order import correlation_order
from atomplete.degenerate.congruence.point_group import point_group
from atomplete.degenerate.correlation_keys import CorrelationKeys
from atomplete.degenerate.families.registry import get
from atomplete.degenerate.subsets import degenerate_subsets
from atomplete.degenerate.vertices import vertices
from atomplete.descriptors import DensityCorrelationsSpec, ExpansionSpec, build
from atomplete.errors import InputError
from atomplete.system import System


def environment_of(points):
    positions = np.vstack([np.zeros(3), points])
    return Atoms(["C"] * len(positions), positions, info={"center": 0})


def same_up_to_scale(found, plus, minus, level):
    """Whether a pair is congruent to another one, once scaled to the same extent."""

    def scaled(atoms):
        centered = atoms.copy()
        centered.positions -= 0 if level == "environment" else atoms.positions.mean(axis=0)
        centered.positions /= np.linalg.norm(centered.positions, axis=1).max()
        return centered

    (a, b), (c, d) = map(scaled, (found.plus, found.minus)), map(scaled, (plus, minus))
    return any(
        congruent(a, x, level=level, tolerance=1e-6)
        and congruent(b, y, level=level, tolerance=1e-6)
        for x, y in ((c, d), (d, c))
    )


@pytest.mark.parametrize(
    ("name", "count", "edges", "order"),
    [
        ("tetrahedron", 4, 6, 24),
        ("cube", 8, 12, 48),
        ("octahedron", 6, 12, 48),
        ("icosahedron", 12, 30, 120),
        ("dodecahedron", 20, 30, 120),
        ("prism:6", 12, 18, 24),
        ("antiprism:5", 10, 20, 20),
        ("ring:7", 7, 7, 28),
    ],
)
def test_vertices_have_equal_edges_and_all_symmetries(name, count, edges, order):
    points = vertices(name)
    distances = np.sort(np.linalg.norm(points[:, None] - points, axis=2)[np.triu_indices(count, 1)])
    assert len(points) == count
    assert (distances < 1.0001 * distances[0]).sum() == edges
    group = point_group(points, np.zeros(count, dtype=np.int64))
    # a ring in its plane: every symmetry of the ring, with and without the mirror of the plane
    assert len(group.matrices) == order
    assert len(group.proper().matrices) == order // 2
    for matrix, permutation in zip(group.matrices, group.permutations, strict=True):
        assert np.abs(points @ matrix.T - points[permutation]).max() < 1e-10


@pytest.mark.parametrize("name", ["ring", "pentagon", "ring:2", "cube:3", "cube+cube", "cube+"])
def test_unknown_vertices_are_refused(name):
    with pytest.raises(InputError, match="vertices"):
        vertices(name)


def test_ring_of_twelve_has_one_pair_of_four():
    (pair,) = degenerate_subsets(vertices("ring:12"), 4, nu=2)
    rings = [environment_of(vertices("ring:12")[list(p)]) for p in ((0, 2, 5, 6), (0, 1, 3, 7))]
    assert same_up_to_scale(pair, *rings, "environment")
    assert pair.degenerate_nu == 2


@pytest.mark.parametrize(("name", "size", "nu"), [("ring:8", 4, 2), ("cube", 4, 1)])
def test_agrees_with_brute_force(name, size, nu):
    """All subsets, compared by what their correlations are, and pair by pair for congruence."""
    points = vertices(name)
    classes = {}
    for places in combinations(range(len(points)), size):
        r = points[list(places)]
        gram = (r @ r.T).round(6) + 0.0
        if nu == 1:
            key = tuple(np.sort(np.diag(gram)))
        else:
            key = tuple(
                sorted(
                    (*sorted((gram[i, i], gram[j, j])), gram[i, j])
                    for i, j in combinations(range(size), 2)
                )
            )
        members = classes.setdefault(key, [])
        new = environment_of(r)
        if not any(congruent(new, old, tolerance=1e-5) for old in members):
            members.append(new)
    expected = sum(len(members) - 1 for members in classes.values())
    assert expected > 0
    assert len(degenerate_subsets(points, size, nu)) == expected


def test_two_rings_and_an_apex_agree_up_to_nu3():
    found = degenerate_subsets(vertices("prism:7+poles*1.3"), 7, nu=3)
    assert found
    spec = DensityCorrelationsSpec(
        nu=(3,), expansion=ExpansionSpec(cutoff=5.0, max_radial=4, species=(6,))
    )
    bispectrum = build(spec)
    for pair in found:
        assert pair.degenerate_nu == 3 == correlation_order(pair.plus, pair.minus)
        assert pair.structural_distance == congruence_distance(pair.plus, pair.minus) > 0.1
        centers = System.centers_of([pair.plus])
        features = bispectrum(System.from_atoms([pair.plus, pair.minus], 5.0, centers=centers))
        even, odd = features.even, features.odd
        assert (even[0] - even[1]).norm() < 1e-10 * even[0].norm()
        assert min((odd[0] - odd[1]).norm(), (odd[0] + odd[1]).norm()) < 1e-10 * even[0].norm()


def test_pairs_of_polyhedra_of_the_literature_are_among_those_found():
    by_name = {pair[0].info["subset"]: pair for pair in get("polyhedra").pairs(8)}
    found = degenerate_subsets(
        vertices("cube+octahedron*0.5"), 6, nu=1, level="structure", with_center=False
    )
    plus, minus = by_name["cube_octahedron_6"]
    assert any(same_up_to_scale(pair, plus, minus, "structure") for pair in found)
    assert {pair.degenerate_nu for pair in found} == {1}
    for pair in found:
        assert correlation_order(pair.plus, pair.minus, level="structure") == 1


def test_center_and_spacing():
    (pair,) = degenerate_subsets(vertices("ring:12"), 4, nu=2, spacing=1.1, symbols=("O", "H"))
    assert pair.plus.get_chemical_symbols() == ["O", "H", "H", "H", "H"]
    ring = environment_of(vertices("ring:12")).get_all_distances()
    # the shortest of the whole ring, to which the subset belongs
    scale = 1.1 / ring[np.triu_indices(13, 1)].min()
    assert np.linalg.norm(pair.plus.positions[1:], axis=1) == pytest.approx(scale)
    with_center = degenerate_subsets(vertices("cube"), 4, nu=1, level="structure")
    assert all(len(pair.plus) == 5 for pair in with_center)


def test_enantiomers_are_pairs_under_so3_only():
    points = vertices("prism:6+poles*1.5")
    size = 4
    both = {group: degenerate_subsets(points, size, nu=2, group=group) for group in ("O3", "SO3")}
    assert len(both["SO3"]) > len(both["O3"])
    for pair in both["SO3"][:5]:
        assert congruence_distance(pair.plus, pair.minus, group="SO3") > 1e-3


def test_keys_are_those_of_congruent_copies():
    points = vertices("dodecahedron")
    group = point_group(points, np.zeros(20, dtype=np.int64))
    keys = CorrelationKeys(points, "environment", True, "O3")
    subset = np.array([0, 3, 7, 11, 12])
    images = np.sort(group.permutations[:, subset], axis=1)
    for nu in (1, 2, 3, 4):
        assert len(set(keys(images, nu).tolist())) == 1


@pytest.mark.parametrize(
    ("name", "size", "nu", "says"),
    [
        ("cube", 1, 1, "take 2 or more"),
        ("cube", 9, 1, "take 2 or more"),
        ("cube", 4, 4, "order from 1 to 3"),
        ("ring:64", 3, 1, "at most 63"),
        ("ring:1000000", 3, 1, "a ring takes 3 to 1000"),
        ("ring:40", 20, 1, "subsets of 20 of 40"),
    ],
)
def test_impossible_searches_are_refused(name, size, nu, says):
    with pytest.raises(InputError, match=says):
        degenerate_subsets(vertices(name), size, nu)
