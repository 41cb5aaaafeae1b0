"""Charts of a run: training, latent size, learning curves."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from atomplete.paper.report.run_folder import RunFolder
from atomplete.report.axis import Axis
from atomplete.report.page import Section, figure
from atomplete.report.records import LearningEntry
from atomplete.report.svg import N_COLORS, Series, chart

#: Pairs that arXiv:2302.14770 trained on.
_PUBLISHED_PAIRS = 3500
#: What is predicted of a pair.
QUANTITIES: tuple[Literal["mean", "difference"], ...] = ("mean", "difference")


def training(run: RunFolder) -> Section | None:
    """Losses against epochs."""
    if not run.logs:
        return None
    figures, colors = [], _colors(run)
    for name, key in (("training loss", "train_loss"), ("validation loss", "validation_loss")):
        series = [
            Series(
                row,
                [epoch["epoch"] for epoch in log if key in epoch],
                [epoch[key] for epoch in log if key in epoch],
                color=colors[row],
                dots=False,
            )
            for row, logs in run.logs.items()
            for log in logs
        ]
        x = Axis.around("epoch", [v for s in series for v in s.x], zero=True)
        y = Axis.around(name, [v for s in series for v in s.y], log=True)
        drawing = chart(f"{name} against epoch for {', '.join(run.logs)}", x, y, series)
        figures.append(figure(drawing, ""))
    body = "<p>Losses of each trained row, a line for each seed.</p>" + _charts(figures)
    return Section("training", "Training curves", body)


def _colors(run: RunFolder) -> dict[str, int]:
    """A colour for each row that is drawn, the same in all charts."""
    drawn = dict.fromkeys([*run.logs, *(one.row for one in run.learning)])
    return {row: k % N_COLORS for k, row in enumerate(drawn)}


def latent_size(run: RunFolder, n_atoms: int | None) -> Section | None:
    """Errors of the reconstruction against the size of the latent."""
    if not run.latent:
        return None
    points = sorted(run.latent, key=lambda one: one.latent)
    sizes = [float(one.latent) for one in points]
    series = [
        Series(f"pair {q}s", sizes, [getattr(one, f"{q}_error") for one in points], color=k)
        for k, q in enumerate(QUANTITIES)
    ]
    count = 3 * n_atoms - 6 if n_atoms else None
    x = Axis.around("latent size", [*sizes, *([count] if count else [])], log=True)
    x = replace(x, marked=tuple(sizes))
    y = Axis.around("relative error", [v for s in series for v in s.y], log=True)
    marks = [(float(count), f"3n − 6 = {count}")] if count else []
    drawing = chart("reconstruction error against latent size", x, y, series, x_marks=marks)
    body = (
        "<p>How well ν = 7 features are reconstructed from latents of different sizes. The count "
        "3n − 6 is how many numbers fix an environment of n atoms up to rotation.</p>"
    )
    return Section("latent", "Latent size", body + _charts([figure(drawing, "")]))


def learning_curves(run: RunFolder) -> Section | None:
    """Errors against the number of training pairs, beside the published ones."""
    if not run.learning:
        return None
    figures, colors = [], _colors(run)
    for quantity in QUANTITIES:
        series = [
            one
            for row in dict.fromkeys(p.row for p in run.learning)
            for one in (
                *_curve([p for p in run.learning if p.row == row], quantity, colors[row]),
                *_published(run, row, quantity, colors[row]),
            )
        ]
        x = Axis.around("training pairs", [v for s in series for v in s.x], log=True)
        y = Axis.around(f"{quantity} error", [v for s in series for v in s.y], log=True)
        drawing = chart(f"{quantity} error against training pairs", x, y, series)
        figures.append(figure(drawing, ""))
    body = (
        "<p>Relative test errors against the number of training pairs. Bars reach from the least "
        "to the largest error of all seeds, and over the bounds of what is extrapolated "
        "(dashed).</p>"
    )
    return Section("learning", "Learning curves", body + _charts(figures))


def _curve(points: Sequence[LearningEntry], quantity: str, color: int) -> list[Series]:
    name = f"{quantity}_error"
    measured = _means_over_seeds([p for p in points if not p.extrapolated], name)
    beyond = [
        (p.n_train_pairs, getattr(p, name), (getattr(p, f"{name}_low"), getattr(p, f"{name}_high")))
        for p in points
        if p.extrapolated
    ]
    # the extrapolation starts at the last point, which is drawn once
    lines = [(points[0].row, measured, False)]
    if beyond:
        lines.append(("", [*((n, y, None) for n, y, _ in measured[-1:]), *beyond], True))
    return [
        Series(
            label,
            [float(n) for n, _, _ in line],
            [y for _, y, _ in line],
            color=color,
            bounds=[ends if ends and None not in ends else None for _, _, ends in line],
            dashed=dashed,
        )
        for label, line, dashed in lines
    ]


def _means_over_seeds(
    points: Sequence[LearningEntry], name: str
) -> list[tuple[int, float, tuple[float, float] | None]]:
    """Number of pairs, mean error, and the least and largest error, in order."""
    errors: dict[int, list[float]] = {}
    for point in points:
        errors.setdefault(point.n_train_pairs, []).append(getattr(point, name))
    return [
        (n, float(np.mean(found)), (min(found), max(found)) if len(found) > 1 else None)
        for n, found in sorted(errors.items())
    ]


def _published(run: RunFolder, row: str, quantity: str, color: int) -> list[Series]:
    """The published error of a row, at the number of pairs that it was trained on."""
    errors = [getattr(one, f"published_{quantity}_error") for one in run.table if one.row == row]
    if not errors or errors[0] is None:
        return []
    return [Series(f"{row}, published", [_PUBLISHED_PAIRS], errors[:1], color, hollow=True)]


def _charts(figures: Sequence[str]) -> str:
    return f'<div class="charts">{"".join(figures)}</div>'
