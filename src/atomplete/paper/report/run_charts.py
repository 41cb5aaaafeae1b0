"""Charts of a run: errors, training, latent size, learning curves."""

from collections.abc import Sequence
from itertools import cycle

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes

from atomplete.paper.report.pair_plots import Quantity
from atomplete.paper.report.run_folder import RunFolder
from atomplete.paper.studies.latent_size import LatentSize
from atomplete.paper.studies.learning_curve import CurvePoint, Extrapolation
from atomplete.paper.table import TableRow
from atomplete.report import charts
from atomplete.report.charts import LIGHT

#: Pairs that arXiv:2302.14770 trained on.
_PUBLISHED_PAIRS = 3500
#: What is predicted of a pair.
QUANTITIES: tuple[Quantity, ...] = ("difference", "mean")

Figures = list[tuple[str, Markup]]


def errors(table: Sequence[TableRow]) -> Figures:
    """Errors with their spread over seeds, beside the published ones."""
    figures = []
    for quantity in QUANTITIES:
        axes = charts.lanes(f"error on pair {quantity}s", [row.row for row in table])
        for lane, row in enumerate(table):
            error = getattr(row, f"{quantity}_error")
            spread = getattr(row, f"{quantity}_error_spread") or 0.0
            published = getattr(row, f"published_{quantity}_error") or np.nan
            ends = (max(error - spread, error / 10), error + spread)
            axes.plot(ends, (lane, lane), color=LIGHT["c0"], lw=2)
            axes.plot(published, lane, "D", ms=7, mfc="none", color=LIGHT["published"],
                      label="published")  # fmt: skip
            axes.plot(error, lane, "o", ms=7, color=LIGHT["c0"], label="here")
        text = f"relative error on pair {quantity}s of each row"
        figures.append(("", charts.inline(axes, text)))
    return figures


def training(run: RunFolder) -> Figures:
    """Losses against epochs, a line for each seed."""
    figures, colors = [], _colors(run)
    for key in ("train_loss", "validation_loss") if run.logs else ():
        axes = charts.plain("epoch", key.replace("train_", "training ").replace("_", " "), log="y")
        for row, logs in run.logs.items():
            for log in logs:
                points = [(e["epoch"], e[key]) for e in log if key in e]
                axes.plot(*np.transpose(points), color=colors[row], label=row)
        text = f"{axes.get_ylabel()} against epoch for {', '.join(run.logs)}"
        figures.append(("", charts.inline(axes, text)))
    return figures


def latent_size(found: Sequence[LatentSize], n_coordinates: int | None) -> Figures:
    """Errors of the reconstruction against the size of the latent."""
    if not found:
        return []
    axes = charts.plain("latent size", "relative error", log="xy")
    points = sorted(found, key=lambda one: one.latent)
    sizes = [one.latent for one in points]
    for quantity, color in zip(QUANTITIES, charts.PALETTE, strict=False):
        values = [getattr(one, f"{quantity}_error") for one in points]
        axes.plot(sizes, values, "o-", ms=5, color=color, label=f"pair {quantity}s")
    axes.set_xticks(sizes, map(str, sizes))
    if n_coordinates:
        text = f"3n − 6 = {n_coordinates}"
        axes.axvline(n_coordinates, color=LIGHT["ink"], ls="--", lw=1, label=text)
    return [("", charts.inline(axes, "reconstruction error against latent size"))]


def learning_curves(run: RunFolder) -> Figures:
    """Errors against the number of training pairs, beside the published ones."""
    figures, colors = [], _colors(run)
    published = {row.row: row for row in run.table}
    for quantity in QUANTITIES if run.learning else ():
        axes = charts.plain("training pairs", f"{quantity} error", log="xy")
        for row in dict.fromkeys(point.row for point in run.learning):
            points = [point for point in run.learning if point.row == row]
            _draw_curve(axes, points, f"{quantity}_error", colors[row])
            if row in published and (
                error := getattr(published[row], f"published_{quantity}_error")
            ):
                label = f"{row}, published"
                axes.plot(_PUBLISHED_PAIRS, error, "D", mfc="none", color=colors[row], label=label)
        figures.append(("", charts.inline(axes, f"{quantity} error against training pairs")))
    return figures


def _draw_curve(
    axes: Axes, points: Sequence[CurvePoint | Extrapolation], name: str, color: str
) -> None:
    """Means over seeds with the least and the largest error, then what is extrapolated, dashed."""
    errors: dict[int, list[float]] = {}
    for point in points:
        if not point.extrapolated:
            errors.setdefault(point.n_train_pairs, []).append(getattr(point, name))
    sizes = sorted(errors)
    if not sizes:
        return
    means = [float(np.mean(errors[n])) for n in sizes]
    axes.plot(sizes, means, "o-", ms=5, color=color, label=points[0].row)
    axes.vlines(sizes, *zip(*((min(errors[n]), max(errors[n])) for n in sizes), strict=True),
                color=color, lw=1.6)  # fmt: skip
    for point in points:
        if point.extrapolated:
            n, error = point.n_train_pairs, getattr(point, name)
            axes.plot([sizes[-1], n], [means[-1], error], "o--", ms=5, color=color)
            low, high = (getattr(point, f"{name}_{end}") for end in ("low", "high"))
            axes.vlines(n, low, high, color=color, lw=1.6)


def _colors(run: RunFolder) -> dict[str, str]:
    """A colour for each row that is drawn, the same in all charts."""
    drawn = dict.fromkeys([*run.logs, *(one.row for one in run.learning)])
    return dict(zip(drawn, cycle(charts.PALETTE), strict=False))
