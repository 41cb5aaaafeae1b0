"""Charts of an audit: separations, slopes, and singular values of Jacobians."""

from collections.abc import Iterable, Sequence
from itertools import cycle

import numpy as np
from markupsafe import Markup

from atomplete.audit.records import LocalResolution, PairVerdict
from atomplete.report import charts

#: Separations below the first are as good as zero; they are drawn at the edge, as is what is more
#: than the second.
_LEAST, _MOST = 1e-18, 1e6

Figures = list[tuple[str, Markup]]


def separations(entries: Sequence[PairVerdict]) -> Figures:
    """Separations by all subjects, a chart for each family, all on the same scale."""
    measured = [e for e in entries if e.separation is not None]
    every = [v or 0.0 for e in measured for v in (e.separation, e.noise_floor)]
    values = np.clip(every, _LEAST, _MOST)
    figures = []
    for family in dict.fromkeys(e.family for e in measured):
        of_family = [e for e in measured if e.family == family]
        subjects = list(dict.fromkeys(e.subject for e in of_family))
        axes = charts.lanes("separation", subjects)
        axes.set_xlim(values.min() / 3, 3 * values.max())
        for lane, subject in enumerate(subjects):
            found = [e for e in of_family if e.subject == subject]
            floor = max((e.noise_floor or 0.0 for e in found), default=0.0)
            axes.barh(lane, floor, 0.7, color=charts.LIGHT["rule"])
            for words in dict.fromkeys(e.words for e in found):
                said = [e.separation or 0.0 for e in found if e.words == words]
                x, y = np.clip(said, values.min(), values.max()), np.full(len(said), lane)
                color, label = charts.LIGHT[words.split()[0]], f"{subject} ({words})"
                axes.plot(x, y, "o", ms=7, mec=charts.LIGHT["surface"], color=color, label=label)
        text = f"separation of the pairs of family {family} by {len(subjects)} subjects"
        figures.append((family, charts.inline(axes, text, legend=False)))
    return figures


def slopes(entries: Sequence[PairVerdict]) -> Figures:
    """Feature distances of members that are moved, a chart for each family."""
    curves = [e for e in entries if 0 < len(e.structural_distances) == len(e.feature_distances)]
    colors = _colors(e.subject for e in entries)
    figures = []
    for family in dict.fromkeys(e.family for e in curves):
        axes = charts.plain("structural distance, Å", "feature distance", log="xy")
        # members of a family behave alike: the first one that was followed stands for all
        first = {e.subject: e for e in reversed(curves) if e.family == family}
        for subject, color in colors.items():
            if one := first.get(subject):
                axes.plot(
                    one.structural_distances, one.feature_distances, "o-", ms=5, color=color,
                    label=subject,
                )  # fmt: skip
        text = f"feature distance against structural distance, family {family}"
        figures.append((family, charts.inline(axes, text)))
    return figures


def spectra(entries: Sequence[LocalResolution], titles: Sequence[str]) -> Figures:
    """Singular values at each of the structures by all subjects, above their noise."""
    colors = _colors(e.subject for e in entries)
    figures = []
    for title in titles:
        axes = charts.plain("number", "singular value, 1/Å", log="y")
        found = [e for e in entries if e.title == title]
        for e in found:
            values = [v if v > 0 else np.nan for v in e.singular_values]
            numbers = range(1, len(values) + 1)
            axes.plot(numbers, values, "o-", ms=5, color=colors[e.subject], label=e.subject)
        if noise := max(e.noise or 0.0 for e in found):
            axes.axhline(noise, color=charts.LIGHT["ink"], ls="--", lw=1, label="noise")
        text = f"singular values of the Jacobian, structure {title}"
        figures.append((title, charts.inline(axes, text)))
    return figures


def _colors(subjects: Iterable[str]) -> dict[str, str]:
    """A colour for each subject, the same in all charts of a section."""
    return dict(zip(dict.fromkeys(subjects), cycle(charts.PALETTE), strict=False))
