"""Pairs packed for a page: small, in one place with each other, and complete."""

import base64
import json
from dataclasses import replace

import numpy as np
import pytest

from atomplete.audit.verdicts.verdict import NOTHING
from atomplete.degenerate.families.registry import FAMILIES
from atomplete.report.pair_sets import PairSet, packed, viewer_data


def unpacked(text, dtype):
    return np.frombuffer(base64.b64decode(text), dtype=dtype)


def members_of(content):
    """Positions of all members, Å."""
    ends = unpacked(content["sizes"], "<u2").cumsum()
    positions = unpacked(content["positions"], "<i2").reshape(-1, 3) * content["scale"]
    return np.split(positions, ends[:-1])


@pytest.mark.parametrize("name", FAMILIES)
def test_shapes_survive(name):
    one = PairSet.of_family(name, 3)
    content = json.loads(json.dumps(one.payload()))
    found = members_of(content)
    expected = [atoms for pair in one.pairs for atoms in (pair.plus, pair.minus)]
    assert len(found) == 6
    for positions, atoms in zip(found, expected, strict=True):
        distances = np.linalg.norm(positions[:, None] - positions, axis=-1)
        np.testing.assert_allclose(distances, atoms.get_all_distances(), atol=3 * content["scale"])
    assert content["scale"] < 1e-3
    assert ("cells" in content) == any(atoms.pbc.any() for atoms in expected)


def test_centers_are_at_the_origin():
    content = PairSet.of_family("prl_nu3", 2).payload()
    centers = unpacked(content["centers"], "<i2")
    for positions, center in zip(members_of(content), centers, strict=True):
        assert np.abs(positions[center]).max() == 0


def test_structures_that_share_atoms_lie_on_each_other():
    content = PairSet.of_family("polyhedra", 1).payload()
    plus, minus = members_of(content)
    apart = np.linalg.norm(plus - minus, axis=1)
    assert (apart < 1e-3).sum() == 4
    assert unpacked(content["centers"], "<i2").tolist() == [-1, -1]


def test_the_paper_s_draw_fits_on_a_page():
    n = 200
    one = PairSet.of_family("b8", n)
    predictions = {f"row {k}": packed(np.zeros((n, 2)), "<f4") for k in range(11)}
    one = replace(one, facts={"errors": predictions, "energies": packed(np.zeros((n, 2)), "<f8")})
    size = len(json.dumps(one.payload())) / n
    assert 4000 * size < 1.6e6  # bytes, eleven rows included


def test_elements_and_thresholds_of_a_page():
    data = viewer_data([PairSet.of_family("prl_nu3", 2), PairSet.of_family("b8", 1)])
    assert {number: symbol for number, (symbol, _) in data["elements"].items()}[5] == "B"
    assert all(0.2 < radius < 3 for _, radius in data["elements"].values())
    assert data["nothing"] == NOTHING
