"""Predicted against reference values of test pairs: pictures of a run, and panels of its page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from atomplete.errors import InputError
from atomplete.paper.report.run_folder import read_predictions
from atomplete.paper.results import Predictions
from atomplete.paper.table import TableRow
from atomplete.report import charts
from atomplete.report.read import ResultFolder, printable
from atomplete.runs.files import atomic_write

Quantity = Literal["mean", "difference"]

_COLUMNS = 5


@dataclass(frozen=True, eq=False)
class Panel:
    """Test pairs of one row of the table; means are relative to the average of the references.

    Attributes
    ----------
    name
        Name of its points in a page: row and quantity.
    error, published
        Relative errors, here and published.
    """

    name: str
    row: TableRow
    quantity: Quantity
    error: float
    published: float | None
    ids: Int[np.ndarray, " pair"]
    reference: Float[np.ndarray, " pair"]
    predicted: Float[np.ndarray, " pair"]

    def draw(self, axes: Axes, limits: tuple[float, float]) -> None:
        """Draw the points; the band is one published error wide to either side."""
        width = None if self.published is None else self.published * float(self.reference.std())
        gid = f"points {self.name}"
        charts.parity(axes, self.reference, self.predicted, limits, width=width, gid=gid)
        axes.set(xlabel=f"reference {self.quantity}, eV", ylabel="predicted, eV")

    def points(self) -> list[tuple[int, float, float]]:
        """Number, reference and prediction of each point, for the page's script."""
        values = np.round([self.reference, self.predicted], 4)
        return list(zip(self.ids.tolist(), *values.tolist(), strict=True))


def panels(
    table: Sequence[TableRow], predictions: Mapping[str, Predictions], quantity: Quantity
) -> list[Panel]:
    """Panels of all rows that have predictions."""
    weights = np.array([0.5, 0.5] if quantity == "mean" else [1, -1])
    found = []
    for row in table:
        one = predictions.get(row.row)
        if one is not None and (test := one.part == "test").any():
            reference, predicted = (e[test] @ weights for e in (one.reference, one.predicted))
            center = reference.mean() if quantity == "mean" else 0.0
            error, published = (
                getattr(row, f"{kind}{quantity}_error") for kind in ("", "published_")
            )
            name, ids = f"{row.row} {quantity}", one.ids[test]
            values = (ids, reference - center, predicted - center)
            found.append(Panel(name, row, quantity, error, published, *values))
    return found


def drawings(shown: Sequence[Panel]) -> list[tuple[Panel, Markup]]:
    """Panels with their drawings for a page, all on the same axes."""
    drawn = []
    for panel in shown:
        (axes,) = charts.grid(size=(225, 225))
        panel.draw(axes, _limits(shown))
        text = (
            f"{panel.row.row}: predicted against reference pair {panel.quantity} of "
            f"{len(panel.ids)} test pairs; relative error {charts.number(panel.error)}"
        )
        drawn.append((panel, charts.inline(axes, text, legend=False)))
    return drawn


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
    predictions = read_predictions(table, ResultFolder(folder))
    if not predictions:
        raise InputError(f"{folder}: no rows to draw")
    parity, difference = folder / "parity.png", folder / "difference.png"
    _write(picture(panels(table, predictions, "mean")), parity)
    _write(picture(panels(table, predictions, "difference")), difference)
    return parity, difference


def picture(shown: Sequence[Panel]) -> Figure:
    """All panels in one figure."""
    first, n_columns = shown[0], min(len(shown), _COLUMNS)
    n_lines = -(-len(shown) // n_columns)
    grid = charts.grid(n_lines, n_columns, size=(max(240, 400 / n_columns), 290))
    figure = grid[0].get_figure(root=True)
    assert figure is not None
    for axes, panel in zip(grid, shown, strict=False):
        panel.draw(axes, _limits(shown))
        title = f"{panel.row.row}\nrelative error {charts.number(panel.error)}"
        if panel.published is not None:
            title += f"  (published {charts.number(panel.published)})"
        axes.set_title(title, fontsize=9)
    for unused in grid[len(shown) :]:
        unused.remove()
    handles, _ = grid[0].get_legend_handles_labels()
    labels = ("± published error", "perfect", "test pairs")[-len(handles) :]
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    relative = ", relative to their average" if first.quantity == "mean" else ""
    labelled = printable(f"{Path(first.row.labels).stem} labels")
    title = f"Pair {first.quantity} of {len(first.ids)} test pairs{relative}, {labelled}"
    figure.suptitle(title, parse_math=False)
    return figure


def _limits(shown: Sequence[Panel]) -> tuple[float, float]:
    """Ends of the axes of all panels."""
    return charts.parity_limits(
        np.concatenate([p.reference for p in shown]), np.concatenate([p.predicted for p in shown])
    )


def _write(figure: Figure, path: Path) -> None:
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=150, facecolor="white")
