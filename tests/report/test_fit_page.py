"""The page of a fitted potential: what it says is what lies in the folder."""

import json

import numpy as np
import pytest
from report_folders import Page, drawing, points_of
from typer.testing import CliRunner

from atomplete.cli import app
from atomplete.errors import InputError
from atomplete.report.charts import number
from atomplete.report.fit_page import write_fit_page

RNG = np.random.default_rng(0)
REFERENCE = RNG.normal(size=40)
PREDICTED = REFERENCE + 0.1 * RNG.normal(size=40)
ERRORS = {f"{q}_{kind}": None for q in ("energy", "stress") for kind in ("mae", "rmse")}
ERRORS |= {"energy_per_atom_mae": 0.0123, "energy_per_atom_rmse": 0.0234}
ERRORS |= {"forces_mae": 0.0345, "forces_rmse": 0.0456}


def write(folder, name, content):
    (folder / name).write_text(json.dumps(content))


@pytest.fixture
def folder(tmp_path):
    values = {"reference": REFERENCE.tolist(), "predicted": PREDICTED.tolist()}
    write(tmp_path, "metrics.json", {"validation": ERRORS, "train": ERRORS})
    write(tmp_path, "parity.json", {"validation": {"forces": values, "stress": None}})
    write(tmp_path, "run.json", {"read": {"structures": 7}, "options": {"seed": 3}})
    epochs = [{"epoch": k, "train_loss": 1 / k, "validation_loss": 2 / k} for k in range(1, 5)]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(one) + "\n" for one in epochs))
    return tmp_path


def test_errors_and_sections(folder):
    page = Page(write_fit_page(folder).read_text())
    assert [s["id"] for s in page.all("section")] == ["errors", "parity", "training", "provenance"]
    start = page.texts.index("forces")
    assert page.texts[start : start + 4] == ["forces", "eV/Å", "0.0345", "0.0456"]
    assert "stress" not in page.texts
    assert {"train loss", "validation loss"} <= set(page.texts)


def test_points_lie_where_their_values_say(folder):
    chart = drawing(write_fit_page(folder).read_text(), "reference forces of validation data")
    (group,) = (g for g in chart.iter("g") if "data-points" in g.attrib)
    x, y = points_of(group).T
    slope = (x[1] - x[0]) / (REFERENCE[1] - REFERENCE[0])
    np.testing.assert_allclose(x - x[0], slope * (REFERENCE - REFERENCE[0]), atol=0.1)
    np.testing.assert_allclose(y - y[0], slope * (PREDICTED - PREDICTED[0]), atol=0.1)


def test_errors_by_element_and_group(folder):
    by_element = {"Cu": {"atoms": 12, "forces_mae": 0.01, "forces_rmse": 0.0211}}
    by_group = {"<wet>": {"structures": 3, "energy_per_atom_rmse": 0.0777, "stress_mae": None}}
    part = ERRORS | {"by_element": by_element, "by_group": by_group}
    write(folder, "metrics.json", {"validation": part})
    page = Page(write_fit_page(folder).read_text())
    start = page.texts.index("Cu")
    assert page.texts[start : start + 4] == ["Cu", "12", "0.0100", "0.0211"]
    start = page.texts.index("<wet>")
    assert page.texts[start : start + 3] == ["<wet>", "3", "0.0777"]


def test_errors_against_deviations_are_those_of_bins(folder):
    deviation = RNG.uniform(0.01, 0.2, 40)
    values = {"reference": REFERENCE, "predicted": PREDICTED, "deviation": deviation}
    values = {name: numbers.tolist() for name, numbers in values.items()}
    write(folder, "parity.json", {"validation": {"forces": values}})
    calibrated = ERRORS | {"forces_calibration": 1.23, "forces_rank_correlation": 0.456}
    write(folder, "metrics.json", {"validation": calibrated})
    text = write_fit_page(folder).read_text()
    page = Page(text)
    assert "uncertainty" in [s["id"] for s in page.all("section")]
    assert any("forces 1.23. Rank correlation" in said and "0.46" in said for said in page.texts)
    chart = drawing(text, "its predicted deviation, validation data, 5 bins")
    order = np.argsort(deviation)
    bins = np.array_split(order, 5)
    notes = [title.text for title in chart.iter("title")]
    assert len(notes) == 5
    x = np.sqrt(np.mean(deviation[bins[0]] ** 2))
    y = np.sqrt(np.mean((PREDICTED - REFERENCE)[bins[0]] ** 2))
    assert notes[0] == (f"forces: predicted deviation, eV/Å: {number(x)}, error, eV/Å: {number(y)}")


def test_a_closed_form_has_no_epochs(folder):
    for name in ("log.jsonl", "parity.json", "run.json"):
        (folder / name).unlink()
    page = Page(write_fit_page(folder).read_text())
    assert [s["id"] for s in page.all("section")] == ["errors", "provenance"]


def test_the_verb(folder):
    result = CliRunner().invoke(app, ["report", str(folder), "--quiet"])
    assert result.exit_code == 0, result.output
    assert "A fitted potential" in Page((folder / "report.html").read_text()).texts


def test_damaged_files(folder, tmp_path_factory):
    (folder / "parity.json").write_text("[")
    page = Page(write_fit_page(folder).read_text())
    assert any("parity.json: damaged, not JSON" in text for text in page.texts)
    assert [s["id"] for s in page.all("section")] == ["errors", "training", "provenance"]
    (folder / "metrics.json").write_text("[")
    with pytest.raises(InputError, match=r"metrics\.json: damaged, not JSON"):
        write_fit_page(folder)
    with pytest.raises(InputError, match=r"no metrics\.json in it"):
        write_fit_page(tmp_path_factory.mktemp("empty"))
