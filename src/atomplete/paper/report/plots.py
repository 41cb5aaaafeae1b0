"""Parity and pair-difference plots of the rows of a table."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from atomplete.errors import InputError
from atomplete.paper.table import TableRow
from atomplete.runs.files import atomic_write

_COLUMNS = 5
_POINTS = "#1f5fa8"
_PUBLISHED = "#f2a33a"


def plot_pairs(table: Sequence[TableRow], folder: Path) -> tuple[Path, Path]:
    """Draw ``parity.png`` (pair means) and ``difference.png`` (pair differences).

    One panel for each row, test pairs only, five beside each other. The band around the diagonal
    is one published root mean square error wide to either side; a model blind to the pairs lies
    flat on zero.

    Parameters
    ----------
    table
        Rows whose folders in ``folder`` hold ``predictions.csv``.
    folder
        Where to write.

    Returns
    -------
    parity, difference
        The two files.

    Examples
    --------
    >>> plot_pairs([], Path("runs"))
    Traceback (most recent call last):
    atomplete.errors.InputError: runs: no rows to draw
    """
    parity, difference = pair_figures(table, folder)
    return _write(parity, folder / "parity.png"), _write(difference, folder / "difference.png")


def pair_figures(table: Sequence[TableRow], folder: Path) -> tuple[Figure, Figure]:
    """The two figures of ``plot_pairs``, not written anywhere: pair means, pair differences."""
    if not table:
        raise InputError(f"{folder}: no rows to draw")
    predictions = [_read_test_pairs(folder / row.row / "predictions.csv") for row in table]
    means = [(r.mean(1), p.mean(1)) for r, p in predictions]
    differences = [(r[:, 0] - r[:, 1], p[:, 0] - p[:, 1]) for r, p in predictions]
    mean_errors = [(row.mean_error, row.published_mean_error) for row in table]
    difference_errors = [(row.difference_error, row.published_difference_error) for row in table]
    return (
        _draw(table, means, mean_errors, "pair mean"),
        _draw(table, differences, difference_errors, "pair difference"),
    )


def _read_test_pairs(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Reference and predicted energies of the test pairs, (pair, 2) each."""
    with path.open() as file:
        rows = [row for row in csv.DictReader(file) if row["part"] == "test"]

    def columns(*names: str) -> np.ndarray:
        return np.array([[float(row[name]) for name in names] for row in rows])

    return (
        columns("energy_plus", "energy_minus"),
        columns("predicted_plus", "predicted_minus"),
    )


def _draw(
    table: Sequence[TableRow],
    data: Sequence[tuple[np.ndarray, np.ndarray]],
    errors: Sequence[tuple[float, float | None]],
    quantity: str,
) -> Figure:
    n_columns = min(len(table), _COLUMNS)
    n_lines = -(-len(table) // n_columns)
    size = (max(3.3 * n_columns, 5.5), 0.6 + 3.3 * n_lines)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(n_lines, n_columns, sharex=True, sharey=True, squeeze=False)
    panels = grid.ravel()[: len(table)]
    for unused in grid.ravel()[len(table) :]:
        unused.remove()
    # means are drawn around their average, differences around zero; all panels alike
    center = data[0][0].mean() if quantity == "pair mean" else 0.0
    drawn = np.concatenate([np.concatenate(pair) - center for pair in data])
    margin = 0.04 * (drawn.max() - drawn.min())
    limits = (drawn.min() - margin, drawn.max() + margin)
    for axes, row, (reference, predicted), error in zip(panels, table, data, errors, strict=True):
        _panel(axes, reference - center, predicted - center, limits, published=error[1])
        beside = "" if error[1] is None else f"  (published {error[1]:#.3g})"
        axes.set_title(f"{row.row}\nrelative error {error[0]:#.3g}{beside}", fontsize=9)
        axes.set_xlabel(f"{Path(row.labels).stem} {quantity}, eV")
    for first in grid[:, 0]:
        first.set_ylabel(f"predicted {quantity}, eV")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    n_test = table[0].n_test_pairs
    relative = ", relative to their average" if center else ""
    figure.suptitle(f"{quantity.capitalize()} of {n_test} test pairs{relative}")
    return figure


def _write(figure: Figure, path: Path) -> Path:
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=150)
    return path


def _panel(
    axes: Axes,
    reference: np.ndarray,
    predicted: np.ndarray,
    limits: tuple[float, float],
    *,
    published: float | None,
) -> None:
    diagonal = np.array(limits)
    if published is not None:
        width = published * reference.std()
        axes.fill_between(
            diagonal, diagonal - width, diagonal + width, color=_PUBLISHED, alpha=0.35, lw=0,
            label="± published error",
        )  # fmt: skip
    axes.plot(diagonal, diagonal, color="black", lw=0.8, label="perfect")
    axes.scatter(
        reference, predicted, s=9, color=_POINTS, alpha=0.6, lw=0, label="test pairs", zorder=3
    )
    axes.set_xlim(limits)
    axes.set_ylim(limits)
    axes.set_aspect("equal")
    axes.grid(alpha=0.2)
