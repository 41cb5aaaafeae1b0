"""The page of a fitted potential: errors, parity plots, learning curves and provenance."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from markupsafe import Markup
from pydantic import BaseModel, ConfigDict, Field, model_validator

from atomplete.errors import InputError
from atomplete.report import charts
from atomplete.report.read import ResultFolder
from atomplete.report.render import PageKind, render, write_report

#: Quantities of ``metrics.json``, in words, with units.
_METRICS = {
    "energy": ("energy of a structure", "eV"),
    "energy_per_atom": ("energy per atom", "eV"),
    "forces": ("forces", "eV/Å"),
    "stress": ("stress", "eV/Å³"),
}

#: The most bins of predicted deviations, and the least values in one.
BINS, IN_BIN = 12, 8


def write_fit_page(folder: Path) -> Path:
    """Write ``report.html`` on a potential that ``atomplete train`` has fitted.

    Parameters
    ----------
    folder
        Holds ``metrics.json``: errors by the part of the data, "train" and "validation", each with
        ``energy_mae``, ``energy_rmse`` (eV), ``energy_per_atom_mae`` ... (eV), ``forces_mae`` ...
        (eV/Å) and ``stress_mae`` ... (eV/Å³), null where there are no labels; and the same
        ``by_element`` and ``by_group``. Optional are ``parity.json``: by part and by quantity
        (``energy_per_atom``, ``forces``, ``stress``), values ``reference``, ``predicted`` and
        perhaps ``deviation``, as predicted; ``log.jsonl`` with an ``epoch`` a line; and
        ``run.json``: what was read, options and versions.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    InputError
        If there is no ``metrics.json``, or nothing in it; names the file.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "metrics.json").write_text('{"validation": {"energy_mae": 0.1}}')
    >>> write_fit_page(folder).name
    'report.html'
    """
    return write_report(folder, [FIT_PAGE])


#: A value that axes can hold.
Drawable = Annotated[float, Field(ge=-1e100, le=1e100)]


class Parity(BaseModel):
    """Reference and predicted values of one quantity."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)
    reference: list[Drawable]
    predicted: list[Drawable]
    deviation: list[Drawable] | None = None

    @model_validator(mode="after")
    def _as_many(self) -> "Parity":
        if len(self.reference) != len(self.predicted):
            raise ValueError("as many predicted values as reference values are expected")
        if self.deviation is not None and len(self.reference) != len(self.deviation):
            raise ValueError("as many deviations as reference values are expected")
        return self


#: Errors by name, and tables of them by element or by group.
Metrics = dict[str, float | dict[str, dict[str, float | None]] | None]


def fit_page(folder: ResultFolder, progress: bool = False) -> str:
    """HTML of the page; there is nothing that takes long."""
    found = folder.values("metrics.json", dict[str, Metrics])
    if not found:
        raise InputError(next(iter(folder.problems), f"{folder.path / 'metrics.json'}: no errors"))
    parity = folder.values("parity.json", dict[str, dict[str, Parity | None] | None])
    metrics: dict[str, dict[str, float | None]] = {
        part: {name: value for name, value in errors.items() if not isinstance(value, dict)}
        for part, errors in found.items()
    }
    log = folder.log("log.jsonl")
    run = folder.values("run.json")
    return render(
        "fit.html",
        title="A fitted potential",
        lead=_lead(metrics),
        heads=[f"{part}, {kind}" for part in metrics for kind in ("MAE", "RMSE")],
        rows=_rows(metrics),
        tables=[table for part, errors in found.items() for table in _tables(part, errors)],
        uncertainty=[
            (_said(metrics.get(part, {})), _calibration(part, values))
            for part, values in parity.items()
            if values and any(one and one.deviation for one in values.values())
        ],
        parity=[(part, _panels(part, parity[part])) for part in parity if parity[part]],
        training=_training(log),
        run=run,
        problems=folder.problems,
    )


FIT_PAGE = PageKind("metrics.json", fit_page)


def _rows(metrics: Mapping[str, Mapping[str, float | None]]) -> list[list[str]]:
    """A row for each quantity of which there is an error."""
    rows = []
    for quantity, (name, unit) in _METRICS.items():
        found = [
            errors.get(f"{quantity}_{kind}")
            for errors in metrics.values()
            for kind in ("mae", "rmse")
        ]
        if any(value is not None for value in found):
            rows.append([name, unit, *map(charts.number, found)])
    return rows


def _tables(
    part: str, errors: Mapping[str, Any]
) -> Iterator[tuple[str, list[str], list[list[str]]]]:
    """Tables by element and by group of one part of the data: (caption, head, rows)."""
    for kind, counted in (("element", "atoms"), ("group", "structures")):
        found = errors.get(f"by_{kind}")
        if not isinstance(found, dict):
            continue
        columns = [
            (f"{quantity}_{size}", f"{name} {size.upper()}, {unit}")
            for quantity, (name, unit) in _METRICS.items()
            for size in ("mae", "rmse")
            if any(row.get(f"{quantity}_{size}") is not None for row in found.values())
        ]
        rows = [
            [name, f"{row.get(counted) or 0:.0f}", *(charts.number(row.get(k)) for k, _ in columns)]
            for name, row in found.items()
        ]
        yield f"By {kind}, {part} data.", [kind, counted, *(head for _, head in columns)], rows


def _said(errors: Mapping[str, float | None]) -> str:
    """Errors over predicted deviations, in words."""
    said = [
        f"{name} {charts.number(ratio)}"
        for quantity, (name, _) in _METRICS.items()
        if (ratio := errors.get(f"{quantity}_calibration")) is not None
    ]
    rank = errors.get("forces_rank_correlation")
    more = (
        ""
        if rank is None
        else (f" Rank correlation of the force errors of atoms with their deviations: {rank:.2f}.")
    )
    return f"Root mean square error over deviation: {', '.join(said)}.{more}" if said else ""


def _calibration(part: str, found: Mapping[str, Parity | None]) -> list[tuple[str, Markup]]:
    """Errors against predicted deviations in bins of as many values: (caption, drawing)."""
    drawn = []
    for quantity, (name, unit) in _METRICS.items():
        values = found.get(quantity)
        if not values or not values.deviation:
            continue
        deviation = np.array(values.deviation)
        error = np.array(values.predicted) - np.array(values.reference)
        n_bins = min(BINS, max(1, len(deviation) // IN_BIN))
        bins = np.array_split(np.argsort(deviation, kind="stable"), n_bins)
        points = np.array([[np.sqrt(np.mean(x[b] ** 2)) for x in (deviation, error)] for b in bins])
        points = points[(points > 0).all(1)]
        if not len(points):
            continue
        (axes,) = charts.grid(size=(330, 330))
        ends = np.array([points.min() / 1.3, points.max() * 1.3])
        axes.plot(ends, ends, color=charts.LIGHT["ink"], lw=0.8, alpha=0.7, label="as predicted")
        axes.plot(*points.T, "o", color=charts.PALETTE[0], ms=5, label=name)
        axes.set(xscale="log", yscale="log", xlim=ends, ylim=ends, aspect="equal")
        axes.set(xlabel=f"predicted deviation, {unit}", ylabel=f"error, {unit}")
        text = f"error of {name} against its predicted deviation, {part} data, {len(points)} bins"
        drawn.append((name, charts.inline(axes, text, legend=False)))
    return drawn


def _lead(metrics: Mapping[str, Mapping[str, float | None]]) -> str:
    """The errors that matter most, of validation data where there are any."""
    part = "validation" if "validation" in metrics else next(iter(metrics), "")
    said = [
        f"{name} {charts.number(value)} {unit}"
        for quantity, (name, unit) in _METRICS.items()
        if (value := metrics.get(part, {}).get(f"{quantity}_rmse")) is not None
        and quantity != "energy"
    ]
    return f"Root mean square errors on {part} data: {', '.join(said)}." if said else ""


def _panels(part: str, found: Mapping[str, Parity | None]) -> list[tuple[str, Markup]]:
    """Parity plots of one part of the data: (caption, drawing)."""
    drawn = []
    for quantity, (name, unit) in _METRICS.items():
        values = found.get(quantity)
        if not values or not values.reference:
            continue
        reference, predicted = np.array(values.reference), np.array(values.predicted)
        (axes,) = charts.grid(size=(250, 250))
        limits = charts.parity_limits(reference, predicted)
        charts.parity(axes, reference, predicted, limits)
        axes.set(xlabel=f"reference, {unit}", ylabel=f"predicted, {unit}")
        text = f"predicted against reference {name} of {part} data, {len(reference)} values"
        drawn.append((name, charts.inline(axes, text, legend=False)))
    return drawn


def _training(log: Sequence[Mapping[str, float]]) -> list[tuple[str, Markup]]:
    """Losses against epochs."""
    if len(log) < 2:
        return []
    names = [name for name in dict.fromkeys(key for e in log for key in e) if name.endswith("loss")]
    axes = charts.plain("epoch", "loss", log="y")
    for name, color in zip(names, charts.PALETTE, strict=False):
        points = [(e["epoch"], e[name]) for e in log if name in e]
        axes.plot(*np.transpose(points), color=color, label=name.replace("_", " "))
    return [("", charts.inline(axes, f"{' and '.join(names)} against epoch"))]
