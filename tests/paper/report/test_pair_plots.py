"""The two pictures of a table: what is drawn is what was predicted."""

import numpy as np
import pytest
from matplotlib.image import imread

from atomplete.errors import InputError
from atomplete.paper.report import plot_pairs
from atomplete.paper.report.pair_plots import panels, picture
from atomplete.paper.report.run_folder import read_predictions
from atomplete.paper.table import ROWS, TableRow
from atomplete.report.read import ResultFolder

N_TEST = 12
ENERGIES = [name for name, row in ROWS.items() if row.target == "energy"]


def table_row(name, **changes):
    row = ROWS[name]
    values = {
        "row": name,
        "target": row.target,
        "mean_error_spread": None,
        "difference_error_spread": None,
        "v1_name": row.v1_name,
        "mean_error": 0.123,
        "difference_error": 0.456,
        "validation_mean_error": 0.1,
        "validation_difference_error": 0.4,
        "published_mean_error": row.published_mean_error,
        "published_difference_error": row.published_difference_error,
        "n_train_pairs": 20,
        "n_validation_pairs": 5,
        "n_test_pairs": N_TEST,
        "labels": "xtb",
        "budget": "smoke",
        "seeds": (0,),
        "seconds": 1.0,
    }
    return TableRow.model_validate(values | changes)


def write_predictions(folder, name, blind):
    """Predictions like those of a run; returns reference and prediction of the test pairs."""
    rng = np.random.default_rng(len(name))
    reference = -100 + rng.normal(scale=3, size=(30, 1)) + rng.normal(scale=0.2, size=(30, 2))
    predicted = reference + rng.normal(scale=0.05, size=(30, 2))
    if blind:
        predicted[:] = predicted.mean(1, keepdims=True)
    part = ["train"] * 13 + ["validation"] * 5 + ["test"] * N_TEST
    lines = ["pair_id,part,energy_plus,energy_minus,predicted_plus,predicted_minus"]
    lines += [
        f"{k},{part[k]},{reference[k, 0]},{reference[k, 1]},{predicted[k, 0]},{predicted[k, 1]}"
        for k in range(30)
    ]
    (folder / name).mkdir()
    (folder / name / "predictions.csv").write_text("\n".join(lines) + "\n")
    return reference[-N_TEST:], predicted[-N_TEST:]


@pytest.fixture
def run(tmp_path):
    data = {name: write_predictions(tmp_path, name, name != "B_NL") for name in ENERGIES}
    return [table_row(name) for name in ENERGIES], tmp_path, data


def figures(table, folder):
    """Pair means and pair differences, not written anywhere."""
    predictions = read_predictions(table, ResultFolder(folder))
    return [picture(panels(table, predictions, q)) for q in ("mean", "difference")]


def points(axes):
    """(point, 2): reference and prediction as they were drawn."""
    (drawn,) = (line for line in axes.lines if line.get_gid())
    return drawn.get_xydata()


def test_two_pictures_are_written(run):
    table, folder, _ = run
    before = {path for path in folder.iterdir() if path.is_dir()}
    parity, difference = plot_pairs(table, folder)
    assert (parity, difference) == (folder / "parity.png", folder / "difference.png")
    for path in (parity, difference):
        picture = imread(path)
        assert picture.shape[0] > 300
        assert picture.shape[1] > picture.shape[0]  # panels side by side
        assert picture[..., :3].std() > 0.05
    assert set(folder.iterdir()) == before | {parity, difference}


def test_differences_of_blind_models_lie_on_zero(run):
    table, folder, data = run
    _, figure = figures(table, folder)
    panels = figure.axes
    assert len(panels) == len(table)
    for row, axes in zip(table, panels, strict=True):
        reference, predicted = data[row.row]
        drawn = points(axes)
        np.testing.assert_allclose(drawn[:, 0], reference[:, 0] - reference[:, 1], atol=1e-12)
        np.testing.assert_allclose(drawn[:, 1], predicted[:, 0] - predicted[:, 1], atol=1e-12)
        if row.row == "B_NL":
            assert np.abs(drawn[:, 1]).max() > 0.05
        else:
            assert (drawn[:, 1] == 0).all()


def test_means_are_drawn_around_their_average(run):
    table, folder, data = run
    figure, _ = figures(table, folder)
    for row, axes in zip(table, figure.axes, strict=True):
        reference, predicted = data[row.row]
        center, drawn = reference.mean(), points(axes)
        np.testing.assert_allclose(drawn[:, 0], reference.mean(1) - center, atol=1e-12)
        np.testing.assert_allclose(drawn[:, 1], predicted.mean(1) - center, atol=1e-12)


def test_every_reference_is_within_the_frame(run):
    table, folder, _ = run
    for figure in figures(table, folder):
        for axes in figure.axes:
            low, high = axes.get_xlim()
            assert (low < points(axes)[:, 0]).all()
            assert (points(axes)[:, 0] < high).all()
            assert axes.get_ylim() == (low, high)


def test_titles_and_axes_say_what_is_shown(run):
    table, folder, _ = run
    parity, difference = figures(table, folder)
    for figure, quantity, errors in (
        (parity, "mean", ("0.123", "0.0177")),
        (difference, "difference", ("0.456", "0.2")),
    ):
        axes = figure.axes[ENERGIES.index("B_NL")]
        assert axes.get_title().startswith("B_NL\n")
        assert all(error in axes.get_title() for error in errors)
        assert axes.get_xlabel() == f"reference {quantity}, eV"
        assert "xtb labels" in figure.get_suptitle()
        assert f"{N_TEST} test pairs" in figure.get_suptitle()
        shown = {text.get_text() for text in figure.legends[0].get_texts()}
        assert shown == {"± published error", "perfect", "test pairs"}


def test_a_single_row(run):
    table, folder, data = run
    only = [row for row in table if row.row == "B_NL"]
    assert all(path.exists() for path in plot_pairs(only, folder))
    _, figure = figures(only, folder)
    (axes,) = figure.axes
    assert len(points(axes)) == len(data["B_NL"][0])


def test_no_rows(tmp_path):
    with pytest.raises(InputError, match="no rows"):
        plot_pairs([], tmp_path)
