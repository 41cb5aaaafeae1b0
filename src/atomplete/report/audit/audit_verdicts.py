"""Verdicts of an audit in tables: what each subject makes of each family."""

from collections import Counter
from collections.abc import Sequence
from html import escape

from atomplete.degenerate.families.registry import FAMILIES
from atomplete.report.axis import number
from atomplete.report.page import Section
from atomplete.report.records import AuditEntry, SweepEntry
from atomplete.report.tables import html_table

_GROUPS = {"O3": "O(3)", "SO3": "SO(3)"}
_SIGNS = {"separates": "✓", "blind": "✗", "undecided": "?", "broken": "⚠"}
_MEANINGS = {
    "separates": "tells the members of all pairs apart",
    "blind": "cannot tell them apart",
    "undecided": "too near to the noise to say",
    "broken": "is not invariant, so that its verdicts mean nothing",
}


def lead(entries: Sequence[AuditEntry]) -> str:
    """Each subject in a line: what it is blind to, or that it is broken."""
    items = []
    for subject in dict.fromkeys(e.subject for e in entries):
        of = [e for e in entries if e.subject == subject]
        blind = dict.fromkeys(escape(e.family) for e in of if style(e) == "blind")
        broken = dict.fromkeys(escape(e.reason) for e in of if style(e) == "broken")
        text = f"blind to pairs of {', '.join(blind)}" if blind else "blind to no pair"
        if broken:
            text = "; ".join(["broken", *filter(None, broken)])
        items.append(f"<li><b>{escape(subject)}</b>: {text}</li>")
    families = len({e.family for e in entries})
    counts = f"{len(items)} subjects, {families} families, {len(entries)} verdicts"
    return f'<ul class="lead">{"".join(items)}</ul><p class="quiet">{counts}</p>'


def matrix(entries: Sequence[AuditEntry], shown: set[str]) -> str:
    """Families in rows, as there are more of them, and subjects in columns."""
    subjects = list(dict.fromkeys(e.subject for e in entries))
    groups = {e.subject: e.group or "" for e in entries}
    heads = ["family", "level"]
    for subject in subjects:
        group = _GROUPS.get(groups[subject], groups[subject])
        heads.append(f'{escape(subject)}<br><span class="quiet">{escape(group)}</span>')
    body = []
    for family, level in dict.fromkeys((e.family, e.level) for e in entries):
        found = [e for e in entries if (e.family, e.level) == (family, level)]
        name = f"<b>{escape(family)}</b>"
        if family in shown:
            name = f'<a href="#pair={escape(family)}/{found[0].number or 0}">{name}</a>'
        letter = f"{FAMILIES[family].letter}: " if family in FAMILIES else ""
        cells = [_cell([e for e in found if e.subject == subject]) for subject in subjects]
        body.append([letter + name, escape(level or ""), *cells])
    meanings = "; ".join(
        f'<span class="verdict {v}">{_SIGNS[v]} {v}</span> {text}' for v, text in _MEANINGS.items()
    )
    caption = (
        "Under each subject stands the group in which it has been found invariant. Equal are "
        "members that are congruent in this group, as controls are, and enantiomers under O(3): "
        "nothing may tell them apart."
    )
    return f'<div class="matrix">{html_table(heads, body, caption)}</div><p>{meanings}.</p>'


def _congruent(e: AuditEntry) -> bool:
    """Whether the members are copies of each other in the group of the subject."""
    if e.congruent is None:
        return e.family in FAMILIES and FAMILIES[e.family].congruent
    return e.congruent


def style(e: AuditEntry) -> str:
    """The verdict, as the class of the style sheet: being blind to controls is right."""
    return "separates" if _congruent(e) and e.verdict == "blind" else e.verdict


def words(e: AuditEntry) -> str:
    """The verdict for people."""
    return "equal" if _congruent(e) and e.verdict == "blind" else e.verdict


def _cell(found: Sequence[AuditEntry]) -> str:
    """The verdict on a family, with counts where the members differ."""
    if not found:
        return '<span class="quiet">–</span>'
    counts = Counter((style(e), words(e)) for e in found)
    hints = []
    if separations := [e.separation for e in found if e.separation is not None]:
        hints.append(f"separation {number(min(separations), 2)} to {number(max(separations), 2)}")
    if floors := [e.noise_floor for e in found if e.noise_floor is not None]:
        hints.append(f"noise floor up to {number(max(floors), 2)}")
    hints += dict.fromkeys(e.reason for e in found if e.reason)
    total = f"{len(found)} pairs" if len(found) > 1 else "1 pair"
    text = "<br>".join(
        f'<span class="verdict {css}">{_SIGNS[css]} '
        f"{f'{count} ' if len(counts) > 1 else ''}{text}</span>"
        for (css, text), count in counts.most_common()
    )
    return f'<span title="{escape("; ".join([total, *hints]))}">{text}</span>'


def resolutions(sweep: Sequence[SweepEntry]) -> Section | None:
    """The smallest basis in which each subject separates each family."""
    if not sweep:
        return None
    subjects = list(dict.fromkeys(one.subject for one in sweep))
    found = {(one.subject, one.family): one for one in sweep}
    body = [
        [escape(family), *(_smallest(found.get((subject, family))) for subject in subjects)]
        for family in dict.fromkeys(one.family for one in sweep)
    ]
    caption = "The smallest basis that separates all members: radial functions n, and orders l."
    table = html_table(["family", *map(escape, subjects)], body, caption)
    return Section("resolution", "Resolution", table)


def _smallest(one: SweepEntry | None) -> str:
    if one is None or one.smallest is None:
        return '<span class="quiet">–</span>'
    return f"n = {one.smallest.max_radial}, l ≤ {one.smallest.max_angular}"
