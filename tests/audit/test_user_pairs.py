"""The user's own pairs: checked, named by index, audited."""

import json
from io import StringIO

import pytest
from ase import Atoms
from rich.console import Console

from atomplete.audit import Audit, Diagnosis, PairVerdict, audit, print_audit, subject_of
from atomplete.audit.verdicts.pairs import family_pairs
from atomplete.audit.verdicts.user_pairs import user_pairs
from atomplete.data import read_structures, write_structures
from atomplete.degenerate.families.registry import generate
from atomplete.errors import InputError


def labelled(atoms, pair_id, sign, **info):
    copy = Atoms(atoms.symbols, atoms.positions)
    copy.info = {"pair_id": pair_id, "sign": sign, **info}
    return copy


@pytest.fixture
def pairs_file(tmp_path):
    """Pairs 1 and 5 are fine, 2 is congruent, 3 has a bad center, 4 two compositions."""
    b8, triple = generate("b8", 1), generate("antipodal", 1)
    turned = b8[0].copy()
    turned.rotate(40, (1, 2, 3))
    other = b8[1].copy()
    other.symbols[3] = "C"
    structures = [
        *(labelled(a, 1, s, center=0) for a, s in zip(b8, "+-", strict=True)),
        labelled(b8[0], 2, "+", center=0),
        labelled(turned, 2, "-", center=0),
        *(labelled(a, 3, s, center=c) for a, s, c in zip(b8, "+-", (0, 8), strict=True)),
        *(labelled(a, 4, s, center=0) for a, s in zip((b8[0], other), "+-", strict=True)),
        *(labelled(a, 5, s) for a, s in zip(triple, "+-", strict=True)),
    ]
    write_structures(tmp_path / "mine.xyz", structures)
    return tmp_path / "mine.xyz"


def test_each_bad_pair_is_named_and_the_others_are_audited(pairs_file):
    found = user_pairs(pairs_file)
    assert found.refused == (3, 4)
    assert "center 8 is no atom of 8" in found.remarks[3]
    assert "different compositions (B8, B7C)" in found.remarks[4].replace("CB7", "B7C")
    assert "congruent" in found.remarks[2]
    assert [(p.number, p.level) for p in found.pairs] == [
        (1, "environment"),
        (2, "environment"),
        (5, "structure"),
    ]
    subjects = [subject_of("power_spectrum"), subject_of("three_center")]
    rows = audit(subjects, pairs=pairs_file, progress=False).rows
    verdicts = {(r.subject, r.number): (r.verdict, r.reason) for r in rows}
    assert verdicts == {
        ("power_spectrum", 1): ("blind", ""),
        ("power_spectrum", 2): ("blind", "congruent"),
        ("power_spectrum", 5): ("separates", ""),
        ("three_center", 1): ("separates", ""),
        ("three_center", 2): ("blind", "congruent"),
        ("three_center", 5): ("separates", ""),
    }


def test_the_command_writes_what_it_found(pairs_file, atomplete, tmp_path):
    outcome = atomplete(
        *("audit", "N0nu2", "three_center?max_radial=2", "--pairs", "mine.xyz"),
        *("--families", "antipodal,chiral", "-n", 2, "-o", "out", "--quiet"),
    )
    assert outcome.code == 0, outcome.err
    for text in ("antipodal", "pair 2: ", "pair 3: ", "pair 4: ", "blind", "separates"):
        assert text in outcome.out
    rows = json.loads((tmp_path / "out/audit.json").read_text())
    for row in rows:
        assert {
            "subject",
            "family",
            "level",
            "group",
            "verdict",
            "separation",
            "noise_floor",
        } <= set(row)
        assert (row["pair_id"] is not None) == (row["family"] == "mine")
        assert (row["member"] is not None) == (row["family"] != "mine")
        if row["verdict"] == "separates":
            assert row["separation"] > 100 * row["noise_floor"]
    assert {
        (r["subject"], r["family"], r["verdict"]) for r in rows if r["family"] == "antipodal"
    } == {
        ("N0nu2", "antipodal", "blind"),
        ("three_center?max_radial=2", "antipodal", "separates"),
    }
    run = json.loads((tmp_path / "out/run.json").read_text())
    assert run["user_pairs"]["refused"] == [3, 4]
    assert run["subjects"]["N0nu2"]["group"] == "O3"
    assert run["versions"]["atomplete"]
    kept = read_structures(tmp_path / "out/mine.xyz")
    assert [atoms.info["pair_id"] for atoms in kept] == [1, 1, 2, 2, 5, 5]


def test_pairs_that_are_their_own_file_are_not_written_over(pairs_file, atomplete):
    before = pairs_file.read_bytes()
    assert atomplete("audit", "N0nu1", "--pairs", "mine.xyz", "-o", ".", "--quiet").code == 0
    assert pairs_file.read_bytes() == before


def test_a_file_named_like_a_family_is_not_that_family(pairs_file, atomplete, tmp_path):
    pairs_file.rename(tmp_path / "b8.xyz")
    assert atomplete("audit", "N0nu1", "--pairs", "b8.xyz", "-o", "out", "--quiet").code == 0
    rows = json.loads((tmp_path / "out" / "audit.json").read_text())
    assert {row["family"] for row in rows} == {"own_b8"}
    assert len(read_structures(tmp_path / "out" / "own_b8.xyz")) == 6


def test_mirror_images_are_named(tmp_path):
    structures = [
        labelled(a, 0, s, center=0) for a, s in zip(generate("chiral", 1), "+-", strict=True)
    ]
    write_structures(tmp_path / "hands.xyz", structures)
    found = user_pairs(tmp_path / "hands.xyz")
    assert "mirror images" in found.remarks[0]
    subjects = [subject_of("N2nu1"), subject_of("N2nu1?group=SO3")]
    rows = audit(subjects, pairs=tmp_path / "hands.xyz", progress=False).rows
    assert [row.verdict for row in rows] == ["blind", "separates"]


def test_lone_atoms(tmp_path):
    """One with nothing around it is refused; one in a crystal cannot be displaced."""
    lone = [labelled(Atoms("B"), 0, sign, center=0) for sign in "+-"]
    crystals = [labelled(Atoms("B"), 1, sign, center=0) for sign in "+-"]
    for atoms, a in zip(crystals, (2.0, 2.2), strict=True):
        atoms.set_cell([a, a, a])
        atoms.pbc = True
    write_structures(tmp_path / "lone.xyz", [*lone, *crystals])
    found = user_pairs(tmp_path / "lone.xyz")
    assert found.remarks == {0: "a single atom has nothing around it"}
    (row,) = audit([subject_of("N0nu1")], pairs=tmp_path / "lone.xyz", progress=False).rows
    assert (row.verdict, row.slope, row.structural_distances) == ("separates", None, ())


def test_crystals_are_compared_beyond_their_cells(tmp_path):
    """As far as 5 Å: neighbours in the cell alone are the same in both of these."""
    pairs = []
    for pair_id, cells in enumerate(((3.5, 4.0), (8.0, 9.0))):
        for sign, a in zip("+-", cells, strict=True):
            atoms = labelled(Atoms("B2", [(0, 0, 0), (0, 0, 1.5)]), pair_id, sign, center=0)
            atoms.set_cell([a, a, a])
            atoms.pbc = True
            pairs.append(atoms)
    write_structures(tmp_path / "crystals.xyz", pairs)
    assert user_pairs(tmp_path / "crystals.xyz").remarks == {
        1: "its members are congruent within 5 Å (to 0e+00 Å), which makes it a control"
    }
    subject = subject_of("power_spectrum")
    rows = audit([subject], pairs=tmp_path / "crystals.xyz", progress=False).rows
    assert [row.verdict for row in rows] == ["separates", "blind"]


def test_a_file_without_a_sound_pair_is_refused(tmp_path):
    pair = [labelled(Atoms(s), 0, sign) for s, sign in (("H", "+"), ("C", "-"))]
    write_structures(tmp_path / "bad.xyz", pair)
    with pytest.raises(InputError, match=r"pair 0: its members have different compositions"):
        user_pairs(tmp_path / "bad.xyz")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("audit",), "no subject"),
        (("audit", "soap"), "subject soap"),
        (("audit", "N0nu2", "--families", "b9"), "b9"),
        (("audit", "N0nu2", "--pairs", "absent.xyz"), "absent.xyz"),
        (("audit", "bad.py:f", "--families", "b8"), "raises on"),
        (("audit", "bad.py:g", "--families", "b8"), "returns shape (2, 2, 3)"),
        (("audit", "N0nu2", "-n", "0"), "n = 0"),
        (("audit", "N0nu2", "-o", "bad.py/out"), "bad.py/out"),
    ],
)
def test_the_command_refuses_with_one_sentence(atomplete, tmp_path, arguments, says):
    (tmp_path / "bad.py").write_text(
        "def f(atoms, center):\n    return 1 / 0\n"
        "def g(atoms):\n    import numpy\n    return numpy.zeros((2, 2, 3))\n"
    )
    outcome = atomplete(*arguments)
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert outcome.err.startswith("atomplete: ")
    assert says in outcome.err


def test_the_table_holds_every_family_of_a_level(atomplete):
    outcome = atomplete("audit", "N0nu1", "-n", "1", "--quiet")
    for family in ("b8", "coplanar", "crystal_3d", "chains", "structure_controls"):
        assert family in outcome.out
    assert outcome.out.count("equal") >= 3
    assert "broken" not in outcome.out


def test_names_of_subjects_are_printed_as_they_are():
    """Neither as pictures (:SOAP:) nor as styles ([red])."""
    pair = family_pairs("b8", 1)[0]
    names = ["dscribe:SOAP", "mine[red].py:function"]
    rows = [PairVerdict.of(name, pair, "O3", "undecided", "a reason") for name in names]
    output = StringIO()
    found = Audit(rows, {name: Diagnosis(group="O3") for name in names})
    print_audit(found, Console(file=output, width=120))
    for name in names:
        assert f"{name}: invariant under O(3)" in output.getvalue()
        assert output.getvalue().count(name) == 2


@pytest.mark.parametrize(
    ("info", "words"),
    [
        *(({"center": c}, "is no atom of 3") for c in ("C1", [0.0, 0.2, 0.3], True, 1.7, -1, 3)),
        *(
            ({"cutoff": c}, "no length in Å")
            for c in ("wide", [3.0, 4.0], True, -1.0, 0.0, float("nan"), float("inf"))
        ),
        (({"cutoff": 3.0}, {"cutoff": 4.0}), "different cutoffs (3.0, 4.0)"),
        (({"cutoff": 3.0}, {}), "different cutoffs (3.0, None)"),
        (({"charge": 1}, {}), "different electrons ({'charge': 1}, {})"),
        (({"spin": 1}, {"spin": 3}), "different electrons"),
    ],
)
def test_keys_with_another_meaning_are_refused_in_one_sentence(tmp_path, info, words):
    both = info if isinstance(info, tuple) else (info, info)
    bent, straight = (Atoms("OH2", [(0, 0, 0), (1, 0, 0), end]) for end in [(0, 1, 0), (-1, 0, 0)])
    structures = [labelled(bent, 0, "+", **both[0]), labelled(straight, 0, "-", **both[1])]
    write_structures(tmp_path / "own.xyz", structures)
    with pytest.raises(InputError) as caught:
        user_pairs(tmp_path / "own.xyz")
    assert str(caught.value).startswith(f"{tmp_path / 'own.xyz'}: no pair can be audited (pair 0: ")
    assert words in str(caught.value)
