"""Small panels of predicted against reference values, one for each row of the table."""

from collections.abc import Sequence
from html import escape
from typing import Literal

import numpy as np

from atomplete.paper.report.run_folder import Predictions
from atomplete.report.axis import Axis, number
from atomplete.report.records import TableEntry

Quantity = Literal["mean", "difference"]

_SIZE, _LEFT, _TOP, _BOTTOM = 220, 40, 8, 38


def panels(
    table: Sequence[TableEntry], predictions: dict[str, Predictions], quantity: Quantity
) -> str:
    """Panels of the test pairs of all rows on the same axes, as HTML.

    Means are drawn around their average, differences around zero. The band along the diagonal is
    one published error wide to either side. The attributes of each panel tell ``viewer.js`` where
    its points are.
    """
    shown = [row for row in table if row.row in predictions]
    data = [_test_values(predictions[row.row], quantity) for row in shown]
    center = float(data[0][0].mean()) if quantity == "mean" else 0.0
    data = [(r - center, p - center) for r, p in data]
    axis = _axis(np.concatenate([r for r, _ in data]), np.concatenate([p for _, p in data]))
    figures = [
        _panel(row, r, p, axis, quantity, center) for row, (r, p) in zip(shown, data, strict=True)
    ]
    return f'<div class="panels">{"".join(figures)}</div>'


def _axis(reference: np.ndarray, predicted: np.ndarray) -> Axis:
    """It holds the reference, and predictions that are not too far out of its range."""
    low, high = reference.min(), reference.max()
    most = 0.3 * (high - low)
    lowest, highest = np.clip(np.quantile(predicted, [0.01, 0.99]), low - most, high + most)
    return Axis.around("", [min(low, lowest), max(high, highest)])


def _test_values(one: Predictions, quantity: Quantity) -> tuple[np.ndarray, np.ndarray]:
    test = np.array([part == "test" for part in one.part])
    if quantity == "mean":
        return one.reference[test].mean(1), one.predicted[test].mean(1)
    return -np.diff(one.reference[test])[:, 0], -np.diff(one.predicted[test])[:, 0]


def _panel(
    row: TableEntry,
    reference: np.ndarray,
    predicted: np.ndarray,
    axis: Axis,
    quantity: Quantity,
    center: float,
) -> str:
    right, low = _SIZE - 6, _SIZE - _BOTTOM + _TOP

    def px(values: np.ndarray | float) -> np.ndarray:
        return _LEFT + (np.asarray(values) - axis.low) / (axis.high - axis.low) * (right - _LEFT)

    def py(values: np.ndarray | float) -> np.ndarray:
        inside = np.clip(values, axis.low, axis.high)
        return low - (inside - axis.low) / (axis.high - axis.low) * (low - _TOP)

    is_mean = quantity == "mean"
    error = row.mean_error if is_mean else row.difference_error
    published = row.published_mean_error if is_mean else row.published_difference_error
    parts = []
    for tick in axis.ticks():
        text = f"{tick:.3g}".replace("-", "−")
        parts.append(f'<path class="grid" d="M{px(tick):.1f} {_TOP}V{low}"/>')
        parts.append(f'<path class="grid" d="M{_LEFT} {py(tick):.1f}H{right}"/>')
        parts.append(f'<text x="{px(tick):.1f}" y="{low + 14}" text-anchor="middle">{text}</text>')
        parts.append(
            f'<text x="{_LEFT - 4}" y="{py(tick) + 4:.1f}" text-anchor="end">{text}</text>'
        )
    if published is not None:
        width = published * float(reference.std())
        width = min(width, axis.high - axis.low)
        half = [(axis.low, axis.low + width), (axis.high - width, axis.high)]
        ends = [(axis.high, axis.high), (axis.low, axis.low)]
        corners = [*half, ends[0], *((y, x) for x, y in reversed(half)), ends[1]]
        band = " ".join(f"{px(x):.1f},{py(y):.1f}" for x, y in corners)
        parts.append(f'<polygon class="band" points="{band}"/>')
    parts.append(
        f'<path class="diagonal" d="M{px(axis.low):.1f} {py(axis.low):.1f}'
        f'L{px(axis.high):.1f} {py(axis.high):.1f}"/>'
    )
    points = "".join(
        f"M{x:.1f} {y:.1f}h0" for x, y in zip(px(reference), py(predicted), strict=True)
    )
    few = " few" if len(reference) < 50 else ""
    parts.append(f'<path class="cloud{few}" d="{points}"/>')
    parts.append(
        f'<text class="label" x="{(_LEFT + right) / 2}" y="{_SIZE + 4}" text-anchor="middle">'
        f"reference {quantity}, eV</text>"
    )
    beside = "" if published is None else f"published {number(published)}"
    description = (
        f"{row.row}: predicted against reference pair {quantity} of {len(reference)} test pairs; "
        f"relative error {number(error)} {beside}"
    )
    attributes = (
        f'data-row="{escape(row.row)}" data-quantity="{quantity}" data-center="{center}" '
        f'data-low="{axis.low}" data-high="{axis.high}" '
        f'data-frame="{_LEFT},{right},{_TOP},{low}"'
    )
    return (
        f'<figure class="panel"><figcaption><b>{escape(row.row)}</b> {number(error)} '
        f'<span class="quiet">{beside}</span></figcaption>'
        f'<svg viewBox="0 0 {_SIZE} {_SIZE + 8}" role="img" aria-label="{escape(description)}" '
        f"{attributes}>{''.join(parts)}</svg></figure>"
    )
