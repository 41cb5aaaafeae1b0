"""The page as a file: what it says is what lies in the folder, and it needs nothing else."""

import re

import numpy as np
import pytest
from report_folders import (
    N_PAIRS,
    N_TEST,
    Page,
    assert_self_contained,
    drawing,
    energies,
    points_of,
    write_run,
)
from typer.testing import CliRunner

from atomplete.cli import app
from atomplete.degenerate.families.registry import generate
from atomplete.errors import InputError
from atomplete.paper.report import RUN_PAGE
from atomplete.paper.report.run_pairs import SUBJECTS
from atomplete.report import FIT_PAGE, write_report


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_report(write_run(tmp_path_factory.mktemp("run")), [RUN_PAGE])


@pytest.fixture(scope="module")
def page(run):
    return Page(run.read_text())


@pytest.fixture
def without_verdicts(monkeypatch):
    """Verdicts take most of the time, and are shown by other tests."""
    monkeypatch.setattr("atomplete.paper.report.run_pairs.SUBJECTS", ())


def test_nothing_is_fetched_and_links_lead_somewhere(run):
    assert_self_contained(run.read_text())


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


@pytest.mark.usefixtures("without_verdicts")
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
    bare = Page(write_report(folder, [RUN_PAGE]).read_text())
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
    pairs = page.payload()["sets"][0]["pairs"]
    assert [pair["id"] for pair in pairs] == list(range(N_PAIRS))
    members = [member for pair in pairs for member in pair["members"]]
    for member, atoms in zip(members, generate("b8", N_PAIRS), strict=True):
        np.testing.assert_allclose(member["positions"], atoms.positions, atol=1e-4)
        assert member["numbers"] == [5] * 8


def test_energies_of_the_viewer_are_the_predictions(page):
    data = page.payload()["sets"][0]
    assert data["rows"] == ["B_NL", "D_L"]
    found = np.array([pair["energies"] for pair in data["pairs"]])
    reference, predicted = energies("B_NL")
    np.testing.assert_allclose(found[:, 0], reference, atol=1e-6)
    np.testing.assert_allclose(found[:, 1], predicted, atol=1e-6)
    np.testing.assert_allclose(found[:, 2], energies("D_L")[1], atol=1e-6)
    assert [pair["part"] for pair in data["pairs"]].count("test") == N_TEST


@pytest.mark.parametrize("quantity", ["mean", "difference"])
@pytest.mark.parametrize("row", ["B_NL", "D_L"])
def test_panels_show_the_test_pairs(page, run, quantity, row):
    weights = [0.5, 0.5] if quantity == "mean" else [1, -1]
    expected = np.stack([values[-N_TEST:] @ weights for values in energies(row)], 1)
    if quantity == "mean":
        expected -= expected[:, 0].mean()
    points = page.payload()["sets"][0]["points"][f"{row} {quantity}"]
    assert [point[0] for point in points] == list(range(N_PAIRS - N_TEST, N_PAIRS))
    np.testing.assert_allclose([point[1:] for point in points], expected, atol=1e-4)
    chart = drawing(run.read_text(), f"{row}: predicted against reference pair {quantity}")
    (group,) = (g for g in chart.iter("g") if g.get("data-points") == f"{row} {quantity}")
    drawn = points_of(group)
    scale = (drawn[1, 0] - drawn[0, 0]) / (expected[1, 0] - expected[0, 0])
    np.testing.assert_allclose(drawn - drawn[0], scale * (expected - expected[0]), atol=0.3)


def test_subjects_disagree_about_pairs(page):
    sets = {one["key"]: one for one in page.payload()["sets"]}
    blind, sees, equal = "blind", "separates", "equal"
    # nu = 1, 2, 3 and three centres on a member of each family; enantiomers are equal under O(3)
    said = {
        "run": (blind, blind, blind, sees),
        "distances": (blind, sees, sees, sees),
        "prl_nu2": (blind, blind, sees, sees),
        "prl_nu3": (blind, blind, blind, sees),
        "chiral": (equal, equal, equal, equal),
        "antipodal": (blind, blind, sees, sees),
        "controls": (equal, equal, equal, equal),
    }
    for key, expected in said.items():
        first = next(pair["verdicts"] for pair in sets[key]["pairs"] if pair["verdicts"])
        assert [one["subject"] for one in first] == list(SUBJECTS)
        assert tuple(one["words"] for one in first) == expected, key
    # a click leads to a pair on which there are verdicts
    assert all(p["verdicts"] for p in sets["run"]["pairs"] if p["part"] == "test")


@pytest.mark.usefixtures("without_verdicts")
def test_the_verb(tmp_path):
    folder = write_run(tmp_path / "run", optional=False)
    result = CliRunner().invoke(app, ["report", str(folder), "--quiet"])
    assert result.exit_code == 0, result.output
    assert (folder / "report.html").stat().st_size > 30_000
    assert str(folder / "report.html") in result.output


def test_a_folder_of_nothing(tmp_path):
    with pytest.raises(InputError, match=rf"{tmp_path}: no table.json or metrics.json in it"):
        write_report(tmp_path, [RUN_PAGE, FIT_PAGE])
    with pytest.raises(InputError, match=r"nowhere: no table\.json"):
        write_report(tmp_path / "nowhere", [RUN_PAGE])


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("table.json", "[{", r"table\.json: damaged, not JSON"),
        ("table.json", "{}", r"table\.json: a list is expected, not dict"),
        ("table.json", "[]", r"table\.json: no rows"),
        ("table.json", '[{"row": "B"}]', r"table\.json, entry 0: v1_name: field required"),
    ],
)
def test_a_damaged_table(tmp_path, name, content, sentence):
    folder = write_run(tmp_path / "run", optional=False)
    (folder / name).write_text(content)
    with pytest.raises(InputError, match=sentence) as caught:
        write_report(folder, [RUN_PAGE])
    assert "\n" not in str(caught.value)
    assert not (folder / "report.html").exists()


@pytest.mark.usefixtures("without_verdicts")
@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("run.json", "nonsense", r"run\.json: damaged"),
        ("latent_size.json", '[{"latent": "x"}]', r"latent_size\.json, entry 0: mean_error: "),
        ("learning_curve.json", "[3]", r"learning_curve\.json, entry 0"),
        ("B_NL/predictions.csv", "pair_id,part\n0,test\n", r"predictions\.csv: damaged"),
        ("B_NL/log.jsonl", '{"epoch": 1\n{}\n', r"log\.jsonl, line 1: damaged"),
    ],
)
def test_damaged_files_are_named(tmp_path, name, content, sentence, capsys):
    folder = write_run(tmp_path / "run", optional=False)
    (folder / name).write_text(content)
    page = Page(write_report(folder, [RUN_PAGE]).read_text())
    (problem,) = capsys.readouterr().err.splitlines()
    assert re.search(sentence, problem)
    assert problem.removeprefix("not in the report: ") in page.texts


@pytest.mark.usefixtures("without_verdicts")
def test_a_log_that_is_still_written(tmp_path):
    folder = write_run(tmp_path / "run", optional=False)
    with (folder / "B_NL" / "log.jsonl").open("a") as file:
        file.write('{"epoch": 9, "train_')
    assert write_report(folder, [RUN_PAGE]).exists()
