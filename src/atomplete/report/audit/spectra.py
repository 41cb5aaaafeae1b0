"""Spectra of an audit: singular values of Jacobians, as ``atomplete resolve`` writes them."""

from collections.abc import Sequence
from html import escape

from atomplete.report.axis import Axis
from atomplete.report.page import Section, figure
from atomplete.report.records import ResolutionEntry
from atomplete.report.svg import N_COLORS, Series, chart
from atomplete.report.tables import html_table

#: Structures whose spectra are drawn, at most; the table has them all.
_DRAWN = 12

_TEXT = (
    "Singular values of the derivatives of the features with respect to the positions, relative "
    "to the features, along all directions that the symmetry of the structure allows. What falls "
    "to the noise is a motion that a subject does not see; the noise is what is left along "
    "rotations."
)


def spectra(entries: Sequence[ResolutionEntry]) -> Section | None:
    """Singular values of each structure by all subjects, and what they mean."""
    if not entries:
        return None
    titles = list(dict.fromkeys(e.title for e in entries))
    subjects = list(dict.fromkeys(e.subject for e in entries))
    figures = [
        _spectrum(title, [e for e in entries if e.title == title], subjects)
        for title in titles[:_DRAWN]
    ]
    left_out = len(titles) - len(figures)
    note = f" The first {_DRAWN} of {len(titles)} structures are drawn." if left_out else ""
    body = f'<p>{_TEXT}{note}</p><div class="charts">{"".join(figures)}</div>{_table(entries)}'
    return Section("spectra", "Spectra", body)


def _spectrum(title: str, found: Sequence[ResolutionEntry], subjects: Sequence[str]) -> str:
    """The chart of one structure."""
    series = [
        Series(
            e.subject,
            range(1, len(e.singular_values) + 1),
            e.singular_values,
            color=subjects.index(e.subject) % N_COLORS,
        )
        for e in found
    ]
    noise = max((e.noise or 0.0 for e in found), default=0.0)
    x = Axis.around("number", [0.5, *(v for s in series for v in s.x)], zero=True)
    y = Axis.around("singular value, 1/Å", [noise, *(v for s in series for v in s.y)], log=True)
    text = f"singular values of the Jacobian, structure {title}"
    marks = [(noise, "noise")] if noise > 0 else []
    return figure(chart(text, x, y, series, y_marks=marks), f"<b>{escape(title)}</b>")


def _table(entries: Sequence[ResolutionEntry]) -> str:
    head = ["structure", "subject", "verdict", "directions resolved", "by symmetry zero"]
    body = []
    for e in entries:
        verdict = e.verdict + (f", {e.resolved_by} resolves" if e.resolved_by else "")
        seen = f"{e.rank} of {e.directions - e.required_zeros}"
        cells = [e.title, e.subject, verdict, seen, str(e.required_zeros)]
        events = [e.cutoff_passed, e.collinear, e.swap]
        body.append([escape(cell or "–") for cell in (*cells, *events)])
    caption = (
        "Whether the features are smooth as a neighbour leaves the cutoff, passes the line "
        "through the centre and another one, or comes as near as another one."
    )
    return html_table([*head, "cutoff", "collinear", "swap"], body, caption)
