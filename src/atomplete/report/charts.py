"""Charts, drawn by matplotlib: as SVG within a page, whose colours follow its theme, or as PNG."""

import re
import warnings
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any
from xml.etree import ElementTree

import numpy as np
from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.ticker import LogLocator, NullLocator
from numpy.typing import ArrayLike

#: Colours of pages and charts by name, in the light and in the dark theme.
COLORS: Mapping[str, tuple[str, str]] = {
    "surface": ("#ffffff", "#14171b"),
    "raised": ("#f5f6f8", "#1d2127"),
    "ink": ("#1b1f24", "#e6e9ed"),
    "muted": ("#5b6470", "#9aa4b0"),
    "rule": ("#d8dce1", "#363c45"),
    "c0": ("#1f5fa8", "#6aa9f0"),
    "c1": ("#b8500b", "#f09a5c"),
    "c2": ("#00785a", "#4cc9a0"),
    "c3": ("#8a4f9e", "#cd9be0"),
    "c4": ("#6b6100", "#d3c65a"),
    "c5": ("#0a7c94", "#63cbe0"),
    "c6": ("#a33a5b", "#f08ba9"),
    "published": ("#c77700", "#f2b04a"),
    "band": ("#f2a33a", "#b9761d"),
    "atom": ("#4b76a8", "#4e84c4"),
    "center": ("#8a8f98", "#9299a3"),
    "moved": ("#d3481e", "#ef6a3e"),
    "separates": ("#007859", "#4cc9a0"),
    "equal": ("#007859", "#4cc9a0"),
    "blind": ("#b3361b", "#ff8a6b"),
    "undecided": ("#7a6a00", "#e0cc55"),
    "broken": ("#7b3f98", "#cd9be0"),
}
LIGHT = {name: light for name, (light, _) in COLORS.items()}
#: Colours of things that are drawn together.
PALETTE = tuple(LIGHT[name] for name in ("c0", "c1", "c2", "c3", "c4", "c5", "c6", "muted"))

_STYLE: Any = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a dollar in a name is a dollar
    "font.size": 11,
    "text.color": LIGHT["ink"],
    "axes.labelcolor": LIGHT["ink"],
    "axes.edgecolor": LIGHT["muted"],
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": LIGHT["rule"],
    "legend.frameon": False,
    **{f"{x}tick.{key}": LIGHT["muted"] for x in "xy" for key in ("color", "labelcolor")},
    **{f"{x}tick.major.size": 0 for x in "xy"},
}
_POINTS = 72  # of matplotlib in an inch: units of SVG are points


def grid(
    n_lines: int = 1, n_columns: int = 1, size: tuple[float, float] = (440, 300)
) -> list[Axes]:
    """Axes of a new figure, line by line; ``size`` is that of each, in points."""
    with rc_context(_STYLE):
        width, height = size[0] * n_columns / _POINTS, size[1] * n_lines / _POINTS
        figure = Figure(figsize=(width, height), layout="constrained", facecolor="none")
        return list(figure.subplots(n_lines, n_columns, squeeze=False).ravel())


def plain(x: str, y: str, *, log: str = "") -> Axes:
    """Axes with labels; ``log`` holds the letters of those that are logarithmic."""
    (axes,) = grid()
    axes.set(xlabel=x, ylabel=y)
    for letter in log:
        axes.set(**{f"{letter}scale": "log"})
    return axes


def lanes(x: str, names: Sequence[str]) -> Axes:
    """Axes with a lane for each name, the first on top at y = 0, and a logarithmic x."""
    (axes,) = grid(size=(440, 50 + 26 * len(names)))
    axes.set(xlabel=x, xscale="log", ylim=(len(names) - 0.5, -0.5))
    axes.set_yticks(range(len(names)), [n if len(n) <= 21 else f"{n[:20]}…" for n in names])
    axes.grid(visible=False, axis="y")
    return axes


def parity(
    axes: Axes,
    reference: ArrayLike,
    predicted: ArrayLike,
    limits: tuple[float, float],
    *,
    width: float | None = None,
    gid: str = "points",
) -> None:
    """Draw predicted against reference values; what is beyond the limits sits on the frame.

    ``width`` is that of a band to either side of the diagonal. Points of a page are found again by
    their ``gid``, in the order of the values.
    """
    ends = np.array(limits)
    if width is not None:
        axes.fill_between(
            ends, ends - width, ends + width, color=LIGHT["band"], alpha=0.3, lw=0,
            label="± published error",
        )  # fmt: skip
    axes.plot(ends, ends, color=LIGHT["ink"], lw=0.8, alpha=0.7, label="perfect")
    size = 5 if np.size(reference) < 50 else 3
    inside = np.clip(predicted, *limits)
    axes.plot(
        reference, inside, "o", ms=size, mew=0, color=LIGHT["c0"], alpha=0.5, gid=gid,
        clip_on=False, label=f"{np.size(reference)} points",
    )  # fmt: skip
    axes.set(xlim=limits, ylim=limits, aspect="equal")
    axes.locator_params(nbins=4)


def parity_limits(reference: np.ndarray, predicted: np.ndarray) -> tuple[float, float]:
    """Ends of both axes: they hold the reference, and predictions that are not far out of it."""
    low, high = float(reference.min()), float(reference.max())
    most = 0.3 * (high - low)
    ends = np.clip(np.quantile(predicted, [0.01, 0.99]), low - most, high + most)
    low, high = min(low, ends[0]), max(high, ends[1])
    margin = 0.06 * (high - low) or 0.5
    return low - margin, high + margin


def inline(axes: Axes, description: str, *, legend: bool = True) -> Markup:
    """The figure of some axes as SVG for a page; ``description`` is its alternative text.

    Points name their line and their values to the pointer, but for those of ``parity``, which a
    script answers for: their group has its ``gid`` as the attribute ``data-points``.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    notes: dict[str, list[str]] = {}
    for one in figure.axes:
        _format_logarithms(one)
        for line in one.lines:
            if line.get_gid() is None and line.get_marker() not in (None, "", "None"):
                line.set_gid(f"note {len(notes)}")
                notes[f"note {len(notes)}"] = _notes(one, line)
    style = {**_STYLE, "svg.hashsalt": description}  # ids of their own for each chart
    # the reader's fonts may well know letters that those of matplotlib lack
    with rc_context(style), warnings.catch_warnings(action="ignore", category=UserWarning):
        if legend:
            _add_legend(axes, figure)
        for text in figure.findobj(Text):
            text.set_parse_math(False)
        file = StringIO()
        figure.savefig(
            file, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
        )
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", file.getvalue())
    root = ElementTree.fromstring(svg[svg.index("<svg") :].replace("xlink:href", "href"))
    _make_responsive(root, description, notes)
    return Markup(_themed(ElementTree.tostring(root, encoding="unicode")))


def number(value: float | None, digits: int = 3) -> str:
    """A number for people: few digits, powers of ten only where they are needed."""
    if value is None or not np.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    if 1e-4 <= abs(value) < 1e5:
        text = f"{value:#.{digits}g}"
        return (text.rstrip(".") if "e" not in text else f"{value:.0f}").replace("-", "−")
    mantissa, exponent = f"{value:.{max(digits - 2, 0)}e}".split("e")
    return f"{mantissa}·10{_superscript(int(exponent))}".replace("-", "−")


def _notes(axes: Axes, line: Line2D) -> list[str]:
    """A text for each point that is drawn."""
    label, labels = str(line.get_label()), (axes.get_xlabel(), axes.get_ylabel())
    drawn = np.isfinite(axes.transData.transform(line.get_xydata())).all(1)
    texts = [
        ", ".join(f"{name}: {number(v)}" for name, v in zip(labels, point, strict=True) if name)
        for point in np.asarray(line.get_xydata())[drawn]
    ]
    return texts if label.startswith("_") else [f"{label}: {text}" for text in texts]


def _format_logarithms(axes: Axes) -> None:
    """Ticks that people can read, where nobody has set any."""
    for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
        if isinstance(axis.get_major_locator(), LogLocator):
            many = abs(np.log10(high / low)) > 2.5
            axis.set_major_locator(LogLocator(subs=(1,) if many else (1, 2, 5)))
            axis.set_major_formatter(lambda value, _: number(value, 1).removeprefix("1·"))
            axis.set_minor_locator(NullLocator())


def _add_legend(axes: Axes, figure: Figure) -> None:
    """Names of lines below the axes, each once; one line needs none."""
    handles, labels = axes.get_legend_handles_labels()
    named = dict(zip(reversed(labels), reversed(handles), strict=True))
    if len(named) < 2:
        return
    columns = 3 if max(map(len, named)) < 18 else 2
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + 0.25 * -(-len(named) // columns))
    labels = list(dict.fromkeys(labels))
    figure.legend(
        [named[label] for label in labels], labels, loc="outside lower left", ncols=columns,
        fontsize="small",
    )  # fmt: skip


def _make_responsive(
    root: ElementTree.Element, description: str, notes: Mapping[str, list[str]]
) -> None:
    """Let the page choose size and fonts; keep no ids but those that are referred to."""
    del root.attrib["width"], root.attrib["height"]
    root.attrib |= {"role": "img", "aria-label": description, "class": "chart"}
    for group in root.iter("g"):
        name = group.attrib.pop("id", "")
        uses = list(group.iter("use"))
        for use, note in zip(uses, notes.get(name, ()), strict=False):
            ElementTree.SubElement(use, "title").text = note
        if name.startswith("points"):
            group.set("data-points", name.removeprefix("points").strip())
            for use in uses:  # thousands: what they have in common is said once
                group.set("style", use.attrib.pop("style"))
    for text in root.iter("text"):
        text.set("style", re.sub(r"font-family: [^;]*;?", "", text.get("style", "")))


def _themed(svg: str) -> str:
    """The same with colours by their names, and no more digits than a screen can show."""
    names = {light: name for name, light in reversed(LIGHT.items())}
    svg = re.sub(r"<[^>]*>", lambda tag: re.sub(r"(\d\.\d\d)\d+", r"\1", tag[0]), svg)
    return re.sub(
        r"#[0-9a-f]{6}", lambda m: f"var(--{names[m[0]]})" if m[0] in names else m[0], svg
    )


def _superscript(exponent: int) -> str:
    return str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
