"""Pairs packed for a page: small, in one place with each other, and complete."""

import json
from dataclasses import replace

import numpy as np
import pytest

from atomplete.audit.verdicts.verdict import NOTHING
from atomplete.degenerate.families.registry import FAMILIES
from atomplete.report.pair_sets import PairSet, viewer_data


def members_of(one):
    """All members of a set, as the page gets them."""
    return [member for pair in one.payload()["pairs"] for member in pair["members"]]


@pytest.mark.parametrize("name", FAMILIES)
def test_shapes_survive(name):
    one = PairSet.of_family(name, 3)
    found = members_of(one)
    expected = [atoms for pair in one.pairs for atoms in (pair.plus, pair.minus)]
    assert len(found) == 6
    for member, atoms in zip(found, expected, strict=True):
        x = np.array(member["positions"])
        distances = np.linalg.norm(x[:, None] - x, axis=-1)
        np.testing.assert_allclose(distances, atoms.get_all_distances(), atol=3e-4)
        assert member["numbers"] == atoms.numbers.tolist()
        assert len(member["cell"]) == atoms.pbc.sum()


def test_centers_are_at_the_origin():
    for member in members_of(PairSet.of_family("prl_nu3", 2)):
        assert member["positions"][member["center"]] == [0, 0, 0]


def test_structures_that_share_atoms_lie_on_each_other():
    plus, minus = members_of(PairSet.of_family("polyhedra", 1))
    apart = np.linalg.norm(np.subtract(plus["positions"], minus["positions"]), axis=1)
    assert (apart < 1e-3).sum() == 4
    assert plus["center"] == minus["center"] == -1


def test_the_paper_s_draw_fits_on_a_page():
    one = PairSet.of_family("b8", 100)
    energies = [[-245.123456, -245.654321]] * 12
    one = replace(one, facts={k: {"part": "train", "energies": energies} for k in range(100)})
    size = len(json.dumps(one.payload(), separators=(",", ":"))) / 100
    assert 4000 * size < 4e6  # bytes, eleven rows included


def test_elements_and_thresholds_of_a_page():
    data = viewer_data([PairSet.of_family("prl_nu3", 2), PairSet.of_family("b8", 1)])
    assert {number: symbol for number, (symbol, _) in data["elements"].items()}[5] == "B"
    assert all(0.2 < radius < 3 for _, radius in data["elements"].values())
    assert data["nothing"] == NOTHING
