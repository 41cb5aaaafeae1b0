"""The page of an audit: what it says is what lies in the folder, and it needs nothing else."""

import json

import pytest
from report_folders import Page, assert_self_contained, drawing, write_audit, write_json

from atomplete.errors import InputError
from atomplete.report import AUDIT_PAGE, write_report
from atomplete.report.charts import number


@pytest.fixture(scope="module")
def audit(tmp_path_factory):
    return write_report(write_audit(tmp_path_factory.mktemp("audit")), [AUDIT_PAGE])


def test_nothing_is_fetched(audit):
    assert_self_contained(audit.read_text())


def test_an_audit_shows_its_matrix(audit):
    found = Page(audit.read_text())
    texts = found.texts
    assert "<i>power</i>" in texts  # text, not an element
    start = texts.index("level") + 1
    assert texts[start : start + 5] == ["three_center", "O(3)", "<i>power</i>", "O(3)", "mine"]
    rows = {
        "distances": ["environment", "✓ separates", "✓ separates", "–"],
        "antipodal": ["environment", "✓ separates", "✗ blind", "–"],
        "controls": ["environment", "✓ equal", "✓ equal", "–"],
        "own": ["environment", "–", "–", "⚠ broken"],
    }
    for family, expected in rows.items():
        start = texts.index(family, texts.index("level")) + 1
        assert texts[start : start + len(expected)] == expected
    assert texts[texts.index("<i>power</i>") + 1] == ": blind to pairs of antipodal"
    ids = [section["id"] for section in found.all("section")]
    assert ids == [
        *("verdicts", "separations", "pairs", "slopes", "spectra", "resolution", "provenance")
    ]
    assert "n=4, l≤3" in texts
    sets = {one["key"]: one for one in found.payload()["sets"]}
    assert list(sets) == ["distances", "antipodal", "controls", "own"]
    assert sets["own"]["pairs"][0]["verdicts"][0]["words"] == "broken"
    assert sets["controls"]["pairs"][0]["verdicts"][0]["words"] == "equal"


def test_spectra_are_those_of_resolve(audit):
    text = audit.read_text()
    chart = drawing(text, "singular values of the Jacobian, structure my.xyz 0: B3")
    notes = [title.text for title in chart.iter("title")]
    for subject, n_seen in (("radial_spectrum", 2), ("power_spectrum", 3)):
        rows = json.loads((audit.parent / f"resolution_{subject}.json").read_text())
        assert rows[0]["rank"] == n_seen
        for k, value in enumerate(rows[0]["singular_values"][:n_seen], 1):
            assert f"{subject}: number: {number(k)}, singular value, 1/Å: {number(value)}" in notes
    texts = Page(text).texts
    start = texts.index("radial_spectrum", texts.index("directions resolved"))
    assert texts[start : start + 4] == ["radial_spectrum", "spurious", "2 of 3", "0"]


@pytest.mark.slow
def test_many_spectra_are_not_all_drawn(tmp_path):
    folder = write_audit(tmp_path / "audit")
    (row,) = json.loads((folder / "resolution_power_spectrum.json").read_text())[:1]
    write_json(folder / "resolution.json", [{**row, "structure": k} for k in range(20)])
    page = Page(write_report(folder, [AUDIT_PAGE]).read_text())
    drawn = [svg for svg in page.all("svg") if "singular" in svg.get("aria-label", "")]
    assert len(drawn) == 12
    assert any("The first 12 of 21 structures are drawn." in text for text in page.texts)


def test_a_damaged_resolution_is_named_and_the_rest_is_shown(tmp_path, capsys):
    folder = write_audit(tmp_path / "audit")
    write_json(folder / "resolution.json", [{"subject": "a"}, {"subject": "b"}])
    page = Page(write_report(folder, [AUDIT_PAGE]).read_text())
    problem = "resolution.json, entry 0: formula: field required (and 1 more)"
    assert any(text.endswith(problem) for text in page.texts)
    assert capsys.readouterr().err.endswith(f"{problem}\n")
    assert "my.xyz 0: B3" in page.texts


def test_a_damaged_audit(tmp_path):
    row = {"subject": "a", "family": "b8", "level": "environment", "group": "O3", "cutoff": 3.0}
    write_json(tmp_path / "audit.json", [{**row, "verdict": "maybe"}])
    with pytest.raises(InputError, match=r"audit\.json, entry 0: verdict: input should be"):
        write_report(tmp_path, [AUDIT_PAGE])
