"""Tables of a report as HTML."""

from collections.abc import Sequence
from html import escape

from atomplete.report.axis import Axis, number
from atomplete.report.records import AblationEntry, ObjectiveEntry, TableEntry

#: From this relative error of differences on, predicting none at all would be as good.
BLIND = 0.99
_SCALE_WIDTH = 124


def html_table(head: Sequence[str], body: Sequence[Sequence[str]], caption: str) -> str:
    """A table whose cells are HTML already; the first column names the rows."""
    heads = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    lines = [
        f'<tr><th scope="row">{cells[0]}</th>'
        + "".join(f"<td>{cell}</td>" for cell in cells[1:])
        + "</tr>"
        for cells in body
    ]
    # not a caption of the table, which would scroll with it on a narrow screen
    return (
        f'<figure><div class="scroll" tabindex="0"><table><thead><tr>{heads}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
        f'<figcaption class="quiet">{caption}</figcaption></figure>'
    )


def errors_table(table: Sequence[TableEntry]) -> str:
    """Errors with spreads and published values, as numbers and on a common scale."""
    scales = {}
    for quantity in ("mean", "difference"):
        values = [
            value
            for row in table
            for value in (
                getattr(row, f"{quantity}_error"),
                getattr(row, f"published_{quantity}_error"),
            )
            if value is not None
        ]
        scales[quantity] = Axis.around("", values, log=True)
    body = []
    for row in table:
        name = f"<b>{escape(row.row)}</b>"
        if row.v1_name:
            name += f' <span class="quiet">{escape(row.v1_name)}</span>'
        cells = [name, "ν = 7" if row.target == "features" else "energy"]
        for quantity in ("mean", "difference"):
            error = getattr(row, f"{quantity}_error")
            spread = getattr(row, f"{quantity}_error_spread")
            published = getattr(row, f"published_{quantity}_error")
            cells += [
                _with_spread(error, spread),
                f'<span class="published">{number(published)}</span>',
                _scale(scales[quantity], error, spread, published),
            ]
        cells.append("–" if row.seconds is None else _duration(row.seconds))
        body.append(cells)
    head = (
        "row", "target", "pair means", "published", "", "pair differences", "published", "", "time",
    )  # fmt: skip
    return html_table(head, body, _caption(table))


def objectives_table(objectives: Sequence[ObjectiveEntry]) -> str:
    """Objectives of the autoencoder's latent, side by side."""
    body = []
    for one in objectives:
        rank = number(one.jacobian_rank)
        if one.jacobian_rank is not None and one.full_rank is not None:
            rank = f"{one.jacobian_rank:g} of {one.full_rank:g}"
        body.append(
            [
                escape(one.objective),
                number(one.separation),
                rank,
                number(one.mean_error),
                number(one.difference_error),
            ]
        )
    head = ("objective", "separation of pairs", "Jacobian rank", "mean error", "difference error")
    caption = "Latents trained for different objectives; energy errors of a head on each of them."
    return html_table(head, body, caption)


def ablation_table(ablation: Sequence[AblationEntry]) -> str:
    """Representations in rows, sets of pairs in columns."""
    sets = list(dict.fromkeys(one.set for one in ablation))
    found = {(one.representation, one.set): one for one in ablation}
    body = [
        [escape(name), *(_ablation_cell(found.get((name, pairs))) for pairs in sets)]
        for name in dict.fromkeys(one.representation for one in ablation)
    ]
    caption = (
        "Relative errors on the test pairs of each set: on differences, and below them on means. "
        '<span class="blind">Red</span>: no better than predicting no difference at all.'
    )
    return html_table(["representation", *map(escape, sets)], body, caption)


def _ablation_cell(one: AblationEntry | None) -> str:
    if one is None:
        return "–"
    text = _with_spread(one.difference_error, one.difference_error_spread)
    if one.difference_error is not None and one.difference_error >= BLIND:
        text = f'<span class="blind">{text}</span>'
    return f'{text}<br><span class="quiet">{number(one.mean_error)}</span>'


def _caption(table: Sequence[TableEntry]) -> str:
    first = table[0]
    seeds = max((len(row.seeds) for row in table), default=0)
    spread = f"; ± is the spread over {seeds} seeds" if seeds > 1 else ""
    targets = (
        " Target ν = 7: reconstruction of the density correlations up to ν = 7."
        if any(row.target == "features" for row in table)
        else ""
    )
    return (
        "Root mean square errors on test pairs over the standard deviation of the reference"
        f"{spread}. Published: arXiv:2302.14770, on PBE labels and validation pairs. On the "
        f"logarithmic scales, ● is here and ◇ is published. {escape(first.source)} labels "
        f"here.{targets}"
    )


def _with_spread(error: float | None, spread: float | None) -> str:
    text = f"<b>{number(error)}</b>"
    if spread is None:
        return text
    return f'{text} <span class="quiet">± {number(spread, 2)}</span>'


def _scale(axis: Axis, error: float, spread: float | None, published: float | None) -> str:
    """A value, its spread and the published value on a logarithmic scale."""

    def at(value: float) -> float:
        return 6 + (_SCALE_WIDTH - 12) * min(max(axis.position(value), 0.0), 1.0)

    parts = [f'<path class="grid" d="M0 9H{_SCALE_WIDTH}"/>']
    parts += [f'<path class="grid" d="M{at(tick):.1f} 5v8"/>' for tick in _decades(axis)]
    if published:
        x = at(published)
        parts.append(f'<path class="published" d="M{x:.1f} 4l5 5l-5 5l-5 -5z"/>')
    if error > 0:
        if spread:
            low = at(error - spread) if error > spread else 0.0
            parts.append(f'<path class="spread" d="M{low:.1f} 9H{at(error + spread):.1f}"/>')
        parts.append(f'<circle class="dot" cx="{at(error):.1f}" cy="9" r="4"/>')
    return (
        f'<svg class="scale c0" viewBox="0 0 {_SCALE_WIDTH} 18" width="{_SCALE_WIDTH}" '
        f'height="18" aria-hidden="true">{"".join(parts)}</svg>'
    )


def _decades(axis: Axis) -> list[float]:
    return [10.0**d for d in range(-8, 3) if axis.low <= 10.0**d <= axis.high]


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
