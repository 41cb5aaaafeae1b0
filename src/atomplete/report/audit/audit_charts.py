"""Charts of an audit: separations and slopes."""

from collections.abc import Sequence
from html import escape

import numpy as np

from atomplete.report.audit.audit_verdicts import style
from atomplete.report.axis import Axis
from atomplete.report.page import Section, figure
from atomplete.report.records import AuditEntry
from atomplete.report.svg import N_COLORS, Lane, Series, chart, lanes
from atomplete.report.tables import html_table

#: Separations below this are as good as zero, and drawn at the edge.
_LEAST = 1e-18


def separations(entries: Sequence[AuditEntry]) -> Section | None:
    """Separations by all subjects, a chart for each family."""
    measured = [e for e in entries if e.separation is not None and np.isfinite(e.separation)]
    if not measured:
        return None
    values = [v for e in measured for v in (e.separation, e.noise_floor) if v]
    axis = Axis.around("separation", [max(v, _LEAST) for v in values], log=True)
    figures = []
    for family in dict.fromkeys(e.family for e in measured):
        rows = []
        for subject in dict.fromkeys(e.subject for e in measured if e.family == family):
            of = [e for e in measured if e.family == family and e.subject == subject]
            floors = [e.noise_floor for e in of if e.noise_floor is not None]
            separations = [e.separation or 0.0 for e in of]
            rows.append(
                Lane(subject, separations, [style(e) for e in of], max(floors, default=None))
            )
        text = f"separation of the pairs of family {family} by {len(rows)} subjects"
        figures.append(figure(lanes(text, axis, rows), f"<b>{escape(family)}</b>"))
    body = (
        "<p>Separation of each pair by each subject, on one logarithmic scale; shaded up to the "
        "noise floor of congruent copies. The left edge is zero.</p>"
        f'<div class="charts">{"".join(figures)}</div>'
    )
    return Section("separations", "Separations", body)


def slopes(entries: Sequence[AuditEntry]) -> Section | None:
    """Feature distances of members that are moved apart, and their slopes."""
    curves = [e for e in entries if 0 < len(e.structural_distances) == len(e.feature_distances)]
    measured = [e for e in entries if e.slope is not None]
    if not curves and not measured:
        return None
    subjects = list(dict.fromkeys(e.subject for e in [*curves, *measured]))
    body = (
        "<p>How fast features move away from each other when the members of a pair do: a slope "
        "of one is as good as a representation gets; a higher one means that small differences "
        "are lost. One member of each family is drawn.</p>"
    )
    figures = []
    for family in dict.fromkeys(e.family for e in curves):
        # members of a family behave alike: the first one that was followed stands for all
        first = {e.subject: e for e in reversed(curves) if e.family == family}
        series = [
            Series(
                subject,
                first[subject].structural_distances,
                first[subject].feature_distances,
                color=k % N_COLORS,
            )
            for k, subject in enumerate(subjects)
            if subject in first
        ]
        x = Axis.around("structural distance, Å", [v for s in series for v in s.x], log=True)
        y = Axis.around("feature distance", [v for s in series for v in s.y], log=True)
        text = f"feature distance against structural distance, family {family}"
        figures.append(figure(chart(text, x, y, series), f"<b>{escape(family)}</b>"))
    body += f'<div class="charts">{"".join(figures)}</div>' if figures else ""
    if measured:
        found: dict[tuple[str, str], list[float]] = {}
        for e in measured:
            found.setdefault((e.family, e.subject), []).append(e.slope or 0.0)
        rows = [
            [escape(family), *(_slope_cell(found.get((family, s), [])) for s in subjects)]
            for family in dict.fromkeys(e.family for e in measured)
        ]
        caption = "Slope of the feature distance against the structural distance, both logarithmic."
        body += html_table(["family", *map(escape, subjects)], rows, caption)
    return Section("slopes", "Slopes", body)


def _slope_cell(slopes: Sequence[float]) -> str:
    """One slope, or the range of several."""
    ends = list(dict.fromkeys(f"{v:.2f}" for v in (min(slopes), max(slopes)))) if slopes else []
    return " to ".join(ends).replace("-", "−") or "–"
