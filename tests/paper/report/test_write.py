"""The page as a file: what it says is what lies in the folder, and it needs nothing else."""

import base64
import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from report_folders import (
    N_PAIRS,
    N_TEST,
    Page,
    energies,
    table_entry,
    write_audit,
    write_json,
    write_run,
)
from typer.testing import CliRunner

from atomplete.cli import app
from atomplete.degenerate.families.registry import generate
from atomplete.errors import InputError
from atomplete.paper.report import write_report
from atomplete.report.axis import number


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_report(write_run(tmp_path_factory.mktemp("run")))


@pytest.fixture(scope="module")
def audit(tmp_path_factory):
    return write_report(write_audit(tmp_path_factory.mktemp("audit")))


@pytest.fixture(scope="module")
def page(run):
    return Page(run.read_text())


@pytest.fixture
def without_families(monkeypatch):
    """Families take most of the time, and are shown by other tests."""
    monkeypatch.setattr("atomplete.paper.report.run_page.family_sets", lambda names, **_: [])


def unpacked(text, dtype):
    return np.frombuffer(base64.b64decode(text), dtype=dtype)


@pytest.mark.parametrize("kind", ["run", "audit"])
def test_nothing_is_fetched(kind, request):
    text = request.getfixturevalue(kind).read_text()
    for _, attributes in Page(text).tags:
        for name in ("src", "href", "srcset", "action", "data"):
            assert re.match(r"#|data:,|$", attributes.get(name) or ""), attributes
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|import\(|https?://", text)


@pytest.mark.parametrize("kind", ["run", "audit"])
def test_links_lead_somewhere(kind, request):
    found = Page(request.getfixturevalue(kind).read_text())
    anchors = {attributes.get("id") for _, attributes in found.tags}
    keys = {one["key"] for one in found.payload()["sets"]}
    links = [link["href"].removeprefix("#") for link in found.all("a")]
    assert len(links) >= 4
    for link in links:
        assert link in anchors or re.sub(r"pair=(.*)/\d+", r"\1", link) in keys


def test_pictures_have_alternative_texts(page):
    pictures = page.all("svg") + page.all("canvas")
    assert len(pictures) > 8
    for picture in pictures:
        # labels of the canvases come with the pair that they show
        assert picture.get("aria-label") or picture.get("aria-hidden") or picture.get("id")


def test_the_table_has_spreads_and_published_values(page):
    start = page.texts.index("energy") - 1
    assert page.texts[start : start + 8] == [
        "B_NL",
        "energy",
        "0.0421",
        "± 0.0031",
        "0.0177",
        "0.234",
        "0.200",
        "90 s",
    ]


def test_sections_are_those_of_the_folder(page, tmp_path):
    ids = [section["id"] for section in page.all("section")]
    assert ids == [
        "table",
        "predictions",
        "pairs",
        "training",
        "latent",
        "objectives",
        "ablation",
        "learning",
        "provenance",
    ]
    folder = write_run(tmp_path / "run", optional=False)
    (folder / "run.json").unlink()
    (folder / f"b8-{N_PAIRS}-xtb.xyz").unlink()
    bare = Page(write_report(folder).read_text())
    assert [s["id"] for s in bare.all("section")] == [
        "table",
        "predictions",
        "pairs",
        "training",
        "provenance",
    ]
    assert [one["key"] for one in bare.payload()["sets"]][:2] == ["b8", "distances"]
    assert any("Not in this folder: latent_size.json" in text for text in bare.texts)


def test_latent_sizes_are_marked_with_the_count_of_coordinates(page):
    assert "3n − 6 = 18" in page.texts  # eight atoms


def test_structures_of_the_viewer_are_those_of_the_file(page):
    data = page.payload()["sets"][0]
    assert unpacked(data["ids"], "<i4").tolist() == list(range(N_PAIRS))
    structures = generate("b8", N_PAIRS)
    positions = unpacked(data["positions"], "<i2").reshape(2 * N_PAIRS, 8, 3) * data["scale"]
    expected = [atoms.positions for atoms in structures]
    np.testing.assert_allclose(positions, expected, atol=data["scale"])
    assert data["scale"] < 1e-4
    assert set(unpacked(data["numbers"], "u1")) == {5}


def test_energies_of_the_viewer_are_the_predictions(page):
    data = page.payload()["sets"][0]
    for row in ("B_NL", "D_L"):
        reference, predicted = energies(row)
        errors = unpacked(data["errors"][row], "<f4").reshape(-1, 2)
        np.testing.assert_allclose(errors, predicted - reference, atol=1e-6)
    stored = unpacked(data["energies"], "<f8").reshape(-1, 2)
    np.testing.assert_allclose(stored, energies("B_NL")[0], atol=1e-8)
    assert (unpacked(data["parts"], "u1") == 2).sum() == N_TEST


@pytest.mark.parametrize("quantity", ["mean", "difference"])
def test_panels_show_the_test_pairs(page, run, quantity):
    for row in ("B_NL", "D_L"):
        (panel,) = page.all("svg", **{"data-row": row, "data-quantity": quantity})
        left, right, top, bottom = map(float, panel["data-frame"].split(","))
        low, high, center = (float(panel[f"data-{name}"]) for name in ("low", "high", "center"))
        start = run.read_text().index(f'data-row="{row}" data-quantity="{quantity}"')
        path = re.search(r'class="cloud few" d="([^"]*)"', run.read_text()[start:]).group(1)
        points = np.array(re.findall(r"M(\S+) (\S+)h0", path), dtype=float)
        x = low + (points[:, 0] - left) / (right - left) * (high - low) + center
        y = low + (bottom - points[:, 1]) / (bottom - top) * (high - low) + center
        weights = [0.5, 0.5] if quantity == "mean" else [1, -1]
        reference, predicted = (values[-N_TEST:] @ weights for values in energies(row))
        pixel = (high - low) / (right - left)
        np.testing.assert_allclose(x, reference, atol=0.1 * pixel)
        np.testing.assert_allclose(y, np.clip(predicted, low + center, high + center), atol=pixel)


def test_representations_disagree_about_pairs(page):
    sets = {one["key"]: one for one in page.payload()["sets"]}
    # which of nu = 1, 2, 3 and three centres see the first member of each family
    seen = {
        "run": (0, 0, 0, 1),
        "distances": (0, 1, 1, 1),
        "prl_nu2": (0, 0, 1, 1),
        "prl_nu3": (0, 0, 0, 1),
        "chiral": (0, 0, 0, 1),
        "antipodal": (0, 0, 1, 1),
        "controls": (0, 0, 0, 0),
    }
    for key, expected in seen.items():
        found = [
            unpacked(sets[key]["distances"][name], "<f4")[0]
            > 100 * max(unpacked(sets[key]["noise"][name], "<f4")[0], 1e-16)
            for name in ("nu1", "nu2", "nu3", "three_center")
        ]
        assert found == [bool(one) for one in expected], key


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
        "own": ["–", "–", "⚠ broken"],
    }
    for family, expected in rows.items():
        start = texts.index(family, texts.index("level")) + 1
        assert texts[start : start + len(expected)] == expected
    assert texts[texts.index("<i>power</i>") + 1] == ": blind to pairs of antipodal"
    ids = [section["id"] for section in found.all("section")]
    assert ids == [
        *("verdicts", "separations", "pairs", "slopes", "spectra", "resolution", "provenance")
    ]
    assert "n = 4, l ≤ 3" in texts
    sets = {one["key"]: one for one in found.payload()["sets"]}
    assert list(sets) == ["distances", "antipodal", "controls", "own"]
    assert sets["own"]["verdicts"]["5"][0]["style"] == "broken"
    assert sets["controls"]["verdicts"]["0"][0]["style"] == "separates"


def test_spectra_are_those_of_resolve(audit):
    text = audit.read_text()
    start = text.index('aria-label="singular values of the Jacobian, structure my.xyz 0: B3"')
    drawing = ElementTree.fromstring(
        text[text.rindex("<svg", 0, start) :].split("</svg>")[0] + "</svg>"
    )
    notes = [title.text for title in drawing.iter("title")]
    for subject, n_seen in (("radial_spectrum", 2), ("power_spectrum", 3)):
        rows = json.loads((audit.parent / f"resolution_{subject}.json").read_text())
        assert rows[0]["rank"] == n_seen
        for k, value in enumerate(rows[0]["singular_values"][:n_seen], 1):
            assert f"{subject}: number: {number(k)}, singular value, 1/Å: {number(value)}" in notes
    texts = Page(text).texts
    start = texts.index("radial_spectrum", texts.index("directions resolved"))
    assert texts[start : start + 4] == ["radial_spectrum", "spurious", "2 of 3", "0"]


def test_many_spectra_are_not_all_drawn(tmp_path):
    folder = write_audit(tmp_path / "audit")
    (row,) = json.loads((folder / "resolution_power_spectrum.json").read_text())[:1]
    write_json(folder / "resolution.json", [{**row, "structure": k} for k in range(20)])
    page = Page(write_report(folder).read_text())
    drawn = [svg for svg in page.all("svg") if "singular" in svg.get("aria-label", "")]
    assert len(drawn) == 12
    assert any("The first 12 of 21 structures are drawn." in text for text in page.texts)


@pytest.mark.usefixtures("without_families")
def test_the_verb(tmp_path):
    folder = write_run(tmp_path / "run", optional=False)
    result = CliRunner().invoke(app, ["report", str(folder), "--quiet"])
    assert result.exit_code == 0, result.output
    assert (folder / "report.html").stat().st_size > 30_000
    assert str(folder / "report.html") in result.output


def test_a_folder_of_nothing(tmp_path):
    with pytest.raises(InputError, match=rf"{tmp_path}: neither table.json nor audit.json"):
        write_report(tmp_path)
    with pytest.raises(InputError, match="nowhere: neither"):
        write_report(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("table.json", "[{", r"table\.json: damaged, not JSON"),
        ("table.json", "{}", r"table\.json: a list is expected, not dict"),
        ("table.json", "[]", r"table\.json: no rows"),
        ("table.json", '[{"row": "B"}]', r"table\.json, entry 0: mean_error: field required"),
        ("run.json", "nonsense", r"run\.json: damaged"),
        ("latent_size.json", '[{"latent": "x"}]', r"latent_size\.json, entry 0: latent: "),
        ("learning_curve.json", "[3]", r"learning_curve\.json, entry 0"),
        ("B_NL/predictions.csv", "pair_id,part\n0,test\n", r"predictions\.csv: damaged"),
        ("B_NL/log.jsonl", '{"epoch": 1\n{}\n', r"log\.jsonl, line 1: damaged"),
    ],
)
def test_damaged_files(tmp_path, name, content, sentence):
    folder = write_run(tmp_path / "run", optional=False)
    (folder / name).write_text(content)
    with pytest.raises(InputError, match=sentence) as caught:
        write_report(folder)
    assert "\n" not in str(caught.value)
    assert not (folder / "report.html").exists()


def test_a_damaged_resolution(tmp_path):
    folder = write_audit(tmp_path / "audit")
    write_json(folder / "resolution.json", [{"subject": "a"}])
    with pytest.raises(InputError, match=r"resolution\.json, entry 0: structure: field required"):
        write_report(folder)


def test_a_damaged_audit(tmp_path):
    write_json(tmp_path / "audit.json", [{"subject": "a", "family": "b8", "verdict": "maybe"}])
    with pytest.raises(InputError, match=r"audit\.json, entry 0: verdict: input should be"):
        write_report(tmp_path)


@pytest.mark.usefixtures("without_families")
def test_a_log_that_is_still_written(tmp_path):
    folder = write_run(tmp_path / "run", optional=False)
    with (folder / "B_NL" / "log.jsonl").open("a") as file:
        file.write('{"epoch": 9, "train_')
    assert write_report(folder).exists()


@pytest.mark.usefixtures("without_families")
def test_rows_of_older_folders(tmp_path):
    folder = write_run(tmp_path / "run", optional=False)
    old = table_entry("B_NL", seed=0)
    for name in ("target", "seeds", "mean_error_spread", "difference_error_spread"):
        del old[name]
    (folder / "table.json").write_text(json.dumps([old]))
    assert "0.0421" in Page(write_report(folder).read_text()).texts
