"""One self-contained page: sections, data and scripts in a single file, nothing to be fetched."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from atomplete.report.pair_sets import PairSet, element_styles
from atomplete.report.resolution import NAMES, THREE_CENTER_RADIAL

_LABELS = {
    "nu1": "ν = 1, distances",
    "nu2": "ν = 2, power spectrum",
    "nu3": "ν = 3, bispectrum",
    "three_center": "three centres",
}


@dataclass(frozen=True)
class Section:
    """A part of the page with its anchor; ``body`` is HTML."""

    anchor: str
    title: str
    body: str


def page(title: str, lead: str, sections: Sequence[Section], sets: Sequence[PairSet]) -> str:
    """The page as HTML; ``lead`` is HTML as well, ``title`` is text."""
    script = "".join(_resource(name) for name in ("viewer.js", "page.js")) if sets else ""
    return Template(_resource("report.html")).substitute(
        title=escape(title),
        lead=lead,
        links="".join(f'<li><a href="#{s.anchor}">{escape(s.title)}</a></li>' for s in sections),
        sections="\n".join(
            f'<section id="{s.anchor}" aria-labelledby="{s.anchor}-title">'
            f'<h2 id="{s.anchor}-title">{escape(s.title)}</h2>{s.body}</section>'
            for s in sections
        ),
        # a "</script>" within a name would end the script
        data=json.dumps(_data(sets), ensure_ascii=False).replace("</", "<\\/"),
        scripts=script,
    )


def figure(drawing: str, caption: str) -> str:
    """A drawing under its caption, both HTML."""
    above = f"<figcaption>{caption}</figcaption>" if caption else ""
    return f"<figure>{above}{drawing}</figure>"


def viewer_section(text: str, note: str = "") -> Section:
    """The section in which pairs are turned; ``page.js`` fills it. Text and note are HTML."""
    body = f"""<p>{text}</p>
<div class="controls">
<label>pairs <select id="set"></select></label>
<label>number <input id="pair" type="number" step="1" value="0"></label>
<button id="previous" type="button" aria-label="previous pair">←</button>
<button id="next" type="button" aria-label="next pair">→</button>
<button id="random" type="button">random</button>
<button id="reset" type="button">reset view</button>
</div>
<p id="pair-note" aria-live="polite"></p>
<div class="stage">
<figure><canvas id="plus" tabindex="0" role="application"
aria-roledescription="3D view"></canvas>
<figcaption id="plus-caption"></figcaption></figure>
<figure><canvas id="minus" tabindex="0" role="application"
aria-roledescription="3D view"></canvas>
<figcaption id="minus-caption"></figcaption></figure>
</div>
<p class="keys quiet"><span><i style="background:var(--center)"></i>centre</span>
<span><i style="background:var(--atom)"></i>neighbour</span>
<span><i style="background:var(--moved)"></i>neighbour that differs</span>
Drag either one, or use the arrow keys: both turn together. + and − zoom, 0 resets.</p>
<div id="says"></div>
{note}
<noscript><p>The viewer needs JavaScript; tables and plots do not.</p></noscript>"""
    return Section("pairs", "Pairs in 3D", body)


def provenance(content: Mapping[str, Any], missing: Sequence[str] = ()) -> Section:
    """Options, versions and hashes, to be unfolded, and what the folder does not hold."""
    body = f'<p class="quiet">Not in this folder: {", ".join(missing)}.</p>' if missing else ""
    for name, value in content.items():
        text = escape(json.dumps(value, indent=1, ensure_ascii=False))
        if isinstance(value, dict | list):
            body += f"<details><summary>{escape(name)}</summary><pre>{text}</pre></details>"
        else:
            body += f"<p>{escape(name)}: <code>{text}</code></p>"
    return Section("provenance", "Provenance", body)


def distance_note() -> str:
    """How the distances of the viewer are measured, to be unfolded."""
    return (
        "<details><summary>How distances are measured</summary><p>Density correlations (N = 0) "
        "give one row of features for an environment; three centres "
        "(N = 2, ν = 1) give a row for each ordered pair of neighbours; a structure has the rows "
        "of all its atoms. The distance is that of the two sets of "
        "rows in their best matching, over the norm of the features; it is zero exactly if the "
        "sets are the same. For three centres "
        f"{THREE_CENTER_RADIAL} radial functions are enough. The noise floor is the largest "
        "distance between turned, reflected and permuted copies: up to ten times that, the "
        "members count as the same, from a hundred times on as different.</p></details>"
    )


def _data(sets: Sequence[PairSet]) -> Mapping[str, Any]:
    return {
        "sets": [one.payload() for one in sets],
        "elements": element_styles(sets),
        "names": {name: _LABELS[name] for name in NAMES},
    }


def _resource(name: str) -> str:
    return (
        files("atomplete.report") / "templates" / name
        if name.endswith("js")
        else files("atomplete.report") / name
    ).read_text(encoding="utf-8")
