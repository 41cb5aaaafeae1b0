"""The smallest basis that tells a family apart."""

import sys

import pytest
import yaml

from atomplete.audit import Basis, subject_of, sweep
from atomplete.audit.sweep import LADDER
from atomplete.audit.verdicts.pairs import family_pairs


@pytest.fixture(scope="module")
def rows():
    subjects = [subject_of("power_spectrum"), subject_of("ase:lj")]
    found = sweep(subjects, ["distances", "prl_nu2", "spokes", "controls"], n=3, progress=False)
    return {row.family: row for row in found}


def test_only_what_has_a_basis_and_can_be_told_apart_is_swept(rows):
    assert list(rows) == ["distances", "prl_nu2", "spokes"]
    assert all(len(row.separated) == len(LADDER) for row in rows.values())


def test_families_that_cannot_be_described_are_left_out(tmp_path):
    """They are not said to be never separated, and the others are looked at all the same."""
    spec = {"type": "density_correlations", "nu": [3], "expansion": {"species": [6]}}
    (tmp_path / "carbon.yaml").write_text(yaml.safe_dump(spec))
    subject = subject_of(f"{tmp_path}/carbon.yaml")
    found = sweep([subject], ["b8", "distances"], n=1, progress=False)
    assert [(row.family, row.smallest) for row in found] == [("distances", Basis(1, 1))]


def test_members_are_those_of_the_seed(monkeypatch):
    asked = []

    def pairs(name, n, seed):
        asked.append(seed)
        return family_pairs(name, n, seed)

    module = sys.modules["atomplete.audit.sweep"]  # the function of that name hides it
    monkeypatch.setattr(module, "family_pairs", pairs)
    monkeypatch.setattr(module, "LADDER", LADDER[:1])
    sweep([subject_of("power_spectrum")], ["distances"], n=1, seed=7, progress=False)
    assert asked == [7]


def test_an_angle_takes_no_more_than_l_of_one(rows):
    assert rows["distances"].smallest == Basis(1, 1)
    assert rows["distances"].separated[0] == 0


def test_what_is_degenerate_is_not_resolved_by_any_basis(rows):
    assert rows["prl_nu2"].smallest is None
    assert rows["prl_nu2"].text == "never"


def test_spokes_are_resolved_from_l_equal_to_their_number_on(rows):
    needed = [int(pair.plus.info["L"]) for pair in family_pairs("spokes", 3)]
    for step, count in zip(LADDER[:7], rows["spokes"].separated, strict=False):
        assert count == sum(order <= step.max_angular for order in needed), step
