"""Positions of few digits: congruent and degenerate to these digits, and no further."""

import json

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.io import write
from scipy.spatial.transform import Rotation

from atomplete.audit import Separation, audit, subject_of
from atomplete.audit.feature_map import FeatureMap
from atomplete.audit.precision import position_precision
from atomplete.audit.resolution.local_table import resolution_rows
from atomplete.audit.search.search import Budget, search
from atomplete.audit.search.starts import Limits
from atomplete.audit.subjects.of_function import FunctionSubject
from atomplete.audit.verdicts.verdict import verdict_on
from atomplete.degenerate.families.registry import generate

TURN = Rotation.from_rotvec([0.3, 1.1, -0.7]).as_matrix()
RNG = np.random.default_rng(0)
#: What does not tell B8 rings apart.
BLIND = "bispectrum?max_radial=2,max_angular=2"


def turned(atoms):
    copy = atoms.copy()
    copy.positions = atoms.positions @ TURN.T
    return copy


def write_pairs(path, structures, decimals):
    """Positions with fixed decimals, as other programs write them; pairs follow each other."""
    lines = []
    for number, atoms in enumerate(structures):
        lines += [str(len(atoms)), f"pair_id={number // 2} sign={'+-'[number % 2]} center=0"]
        for symbol, x in zip(atoms.symbols, atoms.positions, strict=True):
            lines.append(" ".join([symbol, *(f"{coordinate:.{decimals}f}" for coordinate in x)]))
    path.write_text("\n".join(lines) + "\n")
    return path


def verdicts(path, *names, **options):
    subjects = [subject_of(name) for name in names]
    rows = audit(subjects, pairs=path, progress=False, **options).rows
    return [row.words for row in rows]


@pytest.mark.parametrize("decimals", [4, 5, 8, 12])
def test_decimals_are_those_of_the_numbers(decimals):
    x = RNG.normal(scale=4, size=(6, 3))
    for scale in (1.0, 10.0):  # as of files in nm
        rounded = (x / scale).round(decimals) * scale
        expected = 0.5 * 10.0**-decimals * scale
        assert position_precision(Atoms("C6", rounded)) == pytest.approx(expected, rel=1e-6)


def test_exact_positions_and_those_written_by_people_have_no_precision():
    x = RNG.normal(scale=4, size=(6, 3))
    for positions in (x, x.round(2), np.zeros((6, 3)), np.arange(18.0).reshape(6, 3)):
        assert position_precision(Atoms("C6", positions)) == 0.0


def test_single_precision_is_found_also_where_it_was_printed():
    x = RNG.normal(scale=4, size=(6, 3)).astype(np.float32).astype(float)
    expected = np.spacing(np.float32(1.0)) / 2 * np.abs(x).max()
    for positions in (x, x.round(8)):
        assert position_precision(Atoms("C6", positions)) == pytest.approx(expected, rel=1e-6)


def test_parts_of_a_cell_have_decimals_too():
    cell = np.diag([5.431, 6.017, 7.193]) @ TURN
    parts = RNG.uniform(size=(6, 3))
    for decimals, expected in ((5, 0.5e-5 * 7.193), (16, 0.0)):
        crystal = Atoms("C6", parts.round(decimals) @ cell, cell=cell, pbc=True)
        assert position_precision(crystal) == pytest.approx(expected, rel=1e-6)
    crystal = Atoms("C2", np.array([[0, 0, 0], [0.125, 0.5, 0.25]]) @ cell, cell=cell, pbc=True)
    assert position_precision(crystal) == 0.0


def test_rotated_copies_as_ase_writes_them_are_equal(tmp_path):
    structures = []
    for number, name in enumerate(("CH3OH", "C2H6")):
        for sign, atoms in zip("+-", (molecule(name), turned(molecule(name))), strict=True):
            atoms.info = {"pair_id": number, "sign": sign, "center": 0}
            structures.append(atoms)
    write(tmp_path / "copies.xyz", structures, format="extxyz")
    found = verdicts(tmp_path / "copies.xyz", "power_spectrum", "N1nu1?max_radial=2")
    assert found == ["equal"] * 4


@pytest.mark.parametrize("decimals", [4, 8, 12])
def test_rotated_copies_of_any_digits_are_equal(tmp_path, decimals):
    atoms = molecule("CH3CHO")
    path = write_pairs(tmp_path / "copies.xyz", [atoms, turned(atoms)], decimals)
    assert verdicts(path, "power_spectrum") == ["equal"]


@pytest.mark.parametrize("decimals", [5, 8, 12])
def test_degenerate_pairs_are_degenerate_to_their_digits(tmp_path, decimals):
    """What sees them apart exactly sees rounded ones apart as well; the blind stays blind."""
    path = write_pairs(tmp_path / "rings.xyz", map(turned, generate("b8", 2)), decimals)
    found = verdicts(path, BLIND, "N1nu1?max_radial=2")
    assert found == ["blind within precision"] * 2 + ["separates"] * 2


def test_the_user_knows_better(tmp_path):
    exact = write_pairs(tmp_path / "exact.xyz", map(turned, generate("b8", 1)), 17)
    rounded = write_pairs(tmp_path / "rounded.xyz", map(turned, generate("b8", 1)), 8)
    assert verdicts(exact, BLIND) == ["blind"]
    assert verdicts(rounded, BLIND, position_precision=0.0) == ["separates"]
    found = verdicts(exact, "N1nu1?max_radial=2", position_precision=2e-3)
    assert found == ["blind within precision"]


def test_a_descriptor_that_depends_on_the_frame_is_broken(tmp_path):
    path = write_pairs(tmp_path / "a.xyz", [molecule("C2H6"), turned(molecule("C2H6"))], 8)
    subject = FunctionSubject("heights", lambda atoms, center: np.sort(atoms.positions[:, 2]))
    (row,) = audit([subject], pairs=path, progress=False).rows
    assert row.verdict == "broken"


@pytest.mark.parametrize(
    ("difference", "distance", "verdict"),
    [
        (1e-9, 1e-8, "blind"),  # congruent to these digits, and the same to the subject
        (1e-6, 1e-8, "broken"),  # congruent, and different beyond what digits explain
        (1e-9, 0.5, "blind within precision"),
        (1e-6, 0.5, "separates"),
        (1e-15, 0.5, "blind"),  # without a difference that digits would have to explain
    ],
)
def test_verdicts_of_known_precision(difference, distance, verdict):
    measured = Separation(difference, 1e-15, 1.0, distance, imprecision=1e-9, tolerance=5e-8)
    assert verdict_on(measured)[0] == verdict


def test_the_command_says_what_positions_are_worth(tmp_path, atomplete):
    rings = generate("b8", 1)
    write_pairs(tmp_path / "mine.xyz", [*rings, rings[0], turned(rings[0])], 8)
    outcome = atomplete("audit", BLIND, "--pairs", "mine.xyz", "-o", "out", "--quiet")
    assert outcome.code == 0
    assert "blind within precision: the members differ by no more" in " ".join(outcome.out.split())
    assert "pair 1: its members are congruent (to " in outcome.out
    assert "where coordinates are worth 5e-09 Å" in outcome.out
    rows = json.loads((tmp_path / "out" / "audit.json").read_text())
    assert [row["verdict"] for row in rows] == ["blind within precision", "blind"]
    assert [row["position_precision"] for row in rows] == [5e-9, 5e-9]
    assert all(row["separation"] < 5 * row["imprecision"] for row in rows)
    assert atomplete("report", "out", "--quiet").code == 0
    page = (tmp_path / "out" / "report.html").read_text()
    assert "✗ 1 blind within precision" in page
    assert "other digits of the positions up to " in page
    # another precision is another question
    again = ("audit", BLIND, "--pairs", "mine.xyz", "-o", "out", "--quiet")
    assert atomplete(*again, "--position-precision", 0).code == 0
    rows = json.loads((tmp_path / "out" / "audit.json").read_text())
    assert [row["verdict"] for row in rows] == ["separates", "broken"]
    assert atomplete(*again, "--position-precision", -1).code == 2


@pytest.mark.parametrize("decimals", [5, 8, 16])
def test_directions_that_are_not_seen_stay_so_with_fewer_digits(decimals):
    ring = turned(generate("b8", 1)[0])
    ring.positions = ring.positions.round(decimals)
    (row,) = resolution_rows(
        subject_of("power_spectrum"), [ring], level="environment", max_angular=4, sweep=1
    )
    assert row.verdict == "degenerate"
    assert row.words == ("degenerate" if decimals == 16 else "degenerate within precision")


def test_symmetries_are_found_with_fewer_digits():
    """Ethane about a carbon is C3v: five of its directions are totally symmetric."""
    ethane = turned(molecule("C2H6"))
    ethane.positions = ethane.positions.round(3)
    subject = subject_of("power_spectrum")
    (row,) = resolution_rows(subject, [ethane], level="environment")
    assert (row.verdict, row.required_zeros, row.rank) == ("resolved", 13, 5)


@pytest.mark.parametrize("decimals", [4, 16])
def test_the_double_of_a_rounded_structure_is_found(decimals):
    """Rings that ν = 2 does not tell apart have a double only if they are what they should be."""
    ring = generate("prl_nu2", 1)[0]
    ring.positions = (ring.positions @ TURN.T).round(decimals)
    subject = subject_of("power_spectrum")
    farthest = float(np.linalg.norm(ring.positions, axis=1).max())
    features = FeatureMap(subject, ring, "environment", 1.25 * farthest)
    result = search(
        features,
        Limits(0.8, 1.001 * farthest),
        from_families=True,
        budget=Budget(starts=64),
        precision=position_precision(ring),
    )
    assert len(result.finds) == 1
    assert result.finds[0].structural_distance > 0.1
