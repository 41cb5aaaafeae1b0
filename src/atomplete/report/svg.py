"""Charts as inline SVG: axes, lines, points. Colours come from the style sheet of the page."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from atomplete.report.axis import Axis, number

#: Colours of the style sheet for things that are drawn together.
N_COLORS = 8
_WIDTH, _HEIGHT = 440, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 14, 12, 44


@dataclass(frozen=True)
class Series:
    """Points that belong together; ``color`` counts the colours of the style sheet.

    ``bounds`` are the ends of the error bar of each point, None where there is none.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    color: int = 0
    bounds: Sequence[tuple[float, float] | None] = ()
    line: bool = True
    dots: bool = True
    dashed: bool = False
    hollow: bool = False


def chart(
    description: str,
    x: Axis,
    y: Axis,
    series: Sequence[Series],
    *,
    x_marks: Sequence[tuple[float, str]] = (),
    y_marks: Sequence[tuple[float, str]] = (),
) -> str:
    """A chart with grid, labels and a legend; ``description`` is its alternative text.

    Marks are lines across the whole chart, each with its label.
    """
    frame = _Frame(x, y)
    parts = [frame.grid()]
    for value, text in x_marks:
        if 0 <= x.position(value) <= 1:
            parts.append(frame.vertical(value, text))
    for value, text in y_marks:
        if 0 <= y.position(value) <= 1:
            parts.append(frame.horizontal(value, text))
    parts += [frame.series(one) for one in series]
    drawing = (
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(description)}">{"".join(parts)}</svg>'
    )
    return drawing + legend(series)


@dataclass(frozen=True)
class Lane:
    """Values of one name on a line of their own; ``floor`` is the end of a shaded range."""

    name: str
    values: Sequence[float]
    styles: Sequence[str]
    floor: float | None = None


def lanes(description: str, axis: Axis, rows: Sequence[Lane]) -> str:
    """Values of several names below each other on one axis; styles are classes of the page."""
    step, left, right = 26, 150, _WIDTH - _RIGHT
    low = _TOP + step * len(rows)

    def px(value: float) -> float:
        return left + min(max(axis.position(value), 0.0), 1.0) * (right - left)

    parts = []
    for tick in axis.ticks():
        parts.append(f'<path class="grid" d="M{px(tick):.1f} {_TOP}V{low}"/>')
        parts.append(
            f'<text x="{px(tick):.1f}" y="{low + 16}" text-anchor="middle">'
            f"{axis.tick_text(tick)}</text>"
        )
    for k, row in enumerate(rows):
        y = _TOP + step * (k + 0.5)
        if row.floor:
            width = px(row.floor) - left
            parts.append(
                f'<rect class="floor" x="{left}" y="{y - 9}" width="{width:.1f}" height="18"/>'
            )
        parts.append(
            f'<text class="label" x="{left - 8}" y="{y + 4}" text-anchor="end">'
            f"{escape(_shortened(row.name))}<title>{escape(row.name)}</title></text>"
        )
        for value, style in zip(row.values, row.styles, strict=True):
            # zeros sit at the low end
            at = px(value) if value > 0 else left
            parts.append(
                f'<circle class="dot {escape(style)}" cx="{at:.1f}" cy="{y}" r="3.6">'
                f"<title>{escape(row.name)}: {number(value)} ({escape(style)})</title></circle>"
            )
    parts.append(f'<path class="axis" d="M{left} {_TOP}V{low}H{right}"/>')
    parts.append(
        f'<text class="label" x="{(left + right) / 2}" y="{low + 34}" text-anchor="middle">'
        f"{escape(axis.label)}</text>"
    )
    return (
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {low + 40}" role="img" '
        f'aria-label="{escape(description)}">{"".join(parts)}</svg>'
    )


def _shortened(name: str, length: int = 21) -> str:
    return name if len(name) <= length else f"{name[: length - 1]}…"


def legend(series: Sequence[Series]) -> str:
    """Names of the series with their colours, as HTML."""
    # series of one name and colour are repetitions: named once
    named = dict.fromkeys((s.name, s.color, s.dashed, s.hollow) for s in series if s.name)
    if len(named) < 2:
        return ""
    items = "".join(
        f'<li><span class="key c{color}{" dashed" if dashed else ""}">{"◇" if hollow else ""}'
        f"</span>{escape(name)}</li>"
        for name, color, dashed, hollow in named
    )
    return f'<ul class="legend">{items}</ul>'


class _Frame:
    """The area between two axes, in which things are placed by their values."""

    def __init__(self, x: Axis, y: Axis) -> None:
        self.x, self.y = x, y

    def px(self, value: float) -> float:
        return _LEFT + self.x.position(value) * (_WIDTH - _LEFT - _RIGHT)

    def py(self, value: float) -> float:
        return _HEIGHT - _BOTTOM - self.y.position(value) * (_HEIGHT - _TOP - _BOTTOM)

    def grid(self) -> str:
        low, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
        parts = []
        for value in self.x.ticks():
            x = f"{self.px(value):.1f}"
            parts.append(f'<path class="grid" d="M{x} {_TOP}V{low}"/>')
            parts.append(
                f'<text x="{x}" y="{low + 16}" text-anchor="middle">'
                f"{self.x.tick_text(value)}</text>"
            )
        for value in self.y.ticks():
            y = self.py(value)
            parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{right}"/>')
            parts.append(
                f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">'
                f"{self.y.tick_text(value)}</text>"
            )
        middle = (_TOP + low) / 2
        parts.append(f'<path class="axis" d="M{_LEFT} {_TOP}V{low}H{right}"/>')
        parts.append(
            f'<text class="label" x="{(_LEFT + right) / 2}" y="{_HEIGHT - 8}" '
            f'text-anchor="middle">{escape(self.x.label)}</text>'
        )
        parts.append(
            f'<text class="label" transform="translate(14 {middle}) rotate(-90)" '
            f'text-anchor="middle">{escape(self.y.label)}</text>'
        )
        return "".join(parts)

    def vertical(self, value: float, text: str) -> str:
        at = self.px(value)
        left = at > (_LEFT + _WIDTH) / 2
        return (
            f'<path class="mark" d="M{at:.1f} {_TOP}V{_HEIGHT - _BOTTOM}"/>'
            f'<text class="mark" x="{at + (-5 if left else 5):.1f}" y="{_TOP + 11}" '
            f'text-anchor="{"end" if left else "start"}">{escape(text)}</text>'
        )

    def horizontal(self, value: float, text: str) -> str:
        at = self.py(value)
        return (
            f'<path class="mark" d="M{_LEFT} {at:.1f}H{_WIDTH - _RIGHT}"/>'
            f'<text class="mark" x="{_WIDTH - _RIGHT - 3}" y="{at - 5:.1f}" '
            f'text-anchor="end">{escape(text)}</text>'
        )

    def series(self, one: Series) -> str:
        shown = [
            (k, self.px(x), self.py(y))
            for k, (x, y) in enumerate(zip(one.x, one.y, strict=True))
            if _drawable(x, self.x) and _drawable(y, self.y)
        ]
        parts = []
        if one.line and len(shown) > 1:
            path = "L".join(f"{px:.1f} {py:.1f}" for _, px, py in shown)
            parts.append(f'<path class="line{" dashed" if one.dashed else ""}" d="M{path}"/>')
        for k, px, py in shown if one.dots else ():
            if k < len(one.bounds) and (ends := one.bounds[k]):
                low, high = (self._inside(end) for end in ends)
                parts.append(f'<path class="spread" d="M{px:.1f} {high:.1f}V{low:.1f}"/>')
            shape = f'<circle class="dot" cx="{px:.1f}" cy="{py:.1f}" r="3.2"/>'
            if one.hollow:
                shape = f'<path class="hollow" d="M{px:.1f} {py - 5:.1f}l5 5l-5 5l-5 -5z"/>'
            parts.append(f"<g><title>{escape(self._note(one, k))}</title>{shape}</g>")
        return f'<g class="c{one.color}">{"".join(parts)}</g>'

    def _inside(self, y: float) -> float:
        """Height of a value, or of the end of the axis that it is beyond."""
        if not _drawable(y, self.y) or y < self.y.low:
            return self.py(self.y.low)
        return self.py(min(y, self.y.high))

    def _note(self, one: Series, k: int) -> str:
        values = f"{self.x.label}: {number(one.x[k])}, {self.y.label}: {number(one.y[k])}"
        return f"{one.name}: {values}" if one.name else values


def _drawable(value: float, axis: Axis) -> bool:
    return bool(np.isfinite(value)) and (value > 0 or not axis.log)
