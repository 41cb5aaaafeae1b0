"""Distances of pairs: against all permutations, and against what is known of the families."""

from itertools import permutations

import numpy as np
import pytest
import torch

from atomplete.degenerate.families.registry import get
from atomplete.descriptors import DensityCorrelationsSpec, build
from atomplete.report.resolution import NAMES, enclosing_expansion, pair_distances
from atomplete.system import System


def distances(pair, group="O3"):
    return pair_distances([pair], enclosing_expansion(*pair), group)


def structures(pair):
    """The members with all atoms as centres."""
    copies = [atoms.copy() for atoms in pair]
    for atoms in copies:
        atoms.info.pop("center", None)
    return tuple(copies)


@pytest.mark.parametrize("group", ["O3", "SO3"])
def test_the_best_matching_of_all(group):
    pair = structures(get("chiral").pairs(2)[1])
    expansion = enclosing_expansion(*pair)
    found = pair_distances([pair], expansion, group).values[2, 0]
    representation = build(DensityCorrelationsSpec(nu=(3,), expansion=expansion))
    with torch.no_grad():
        system = System.from_atoms(list(pair), expansion.cutoff)
        rows = representation(system).values.numpy()
    a, b = np.split(rows, 2)
    mirrored = np.where(representation.parity.numpy() < 0, -b, b)
    candidates = [b] if group == "SO3" else [b, mirrored]
    best = min(
        np.linalg.norm(a - other[list(order)])
        for other in candidates
        for order in permutations(range(len(b)))
    )
    # enantiomers: the mirror image is congruent to the other one
    assert (found < 1e-12) == (group == "O3")
    assert found == pytest.approx(best / np.linalg.norm(a), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize(
    ("family", "seen"),
    [
        ("b8", (0, 0, 0, 1)),
        ("distances", (0, 1, 1, 1)),
        ("prl_nu2", (0, 0, 1, 1)),
        ("prl_nu3", (0, 0, 0, 1)),
        ("chiral", (0, 0, 0, 1)),
        ("antipodal", (0, 0, 1, 1)),
        ("controls", (0, 0, 0, 0)),
    ],
)
def test_what_is_known_of_the_families(family, seen):
    for pair in get(family).pairs(3):
        found = distances(pair, get(family).group)
        # distances can be equal to the last bit, and so can those of copies
        noise = np.maximum(found.noise, 1e-16)
        ratios = found.values[:, 0] / noise
        for name, ratio, expected in zip(NAMES, ratios, seen, strict=True):
            assert (ratio > 1e3) if expected else (ratio < 10), (family, name, ratio)
        assert np.isnan(found.typical).all()


def test_enantiomers_are_the_same_under_reflections():
    pair = get("chiral").pairs(1)[0]
    assert (distances(pair, "O3").values < 1e-14).all()
    assert distances(pair, "SO3").values[3, 0] > 1e-3


def test_different_pairs_are_far_from_each_other():
    pairs = get("b8").pairs(6)
    found = pair_distances(pairs, enclosing_expansion(*pairs[0]), "O3")
    assert found.values.shape == (4, 6)
    assert (found.typical > 0.02).all()
    assert (found.noise < 1e-14).all()


def test_neighbours_that_one_member_lacks():
    plus, minus = get("b8").pairs(1)[0]
    assert (distances((plus, minus[:-1])).values > 1e-2).all()


def test_copies_of_crystals_turn_with_their_cell():
    plus, minus = get("b8").pairs(1)[0]
    for atoms in (plus, minus):
        atoms.set_cell([5.0, 6.0, 7.0])
        atoms.pbc = True
        atoms.info["cutoff"] = 3.0
    found = distances((plus, minus))
    assert (found.noise < 1e-13).all()
