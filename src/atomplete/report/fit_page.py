"""The page of a fitted potential: errors, parity plots, learning curves and provenance."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

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


def write_fit_page(folder: Path) -> Path:
    """Write ``report.html`` on a potential that ``atomplete train`` has fitted.

    Parameters
    ----------
    folder
        Holds ``metrics.json``: errors by the part of the data, "train" and "validation", each with
        ``energy_mae``, ``energy_rmse`` (eV), ``energy_per_atom_mae`` ... (eV), ``forces_mae`` ...
        (eV/Å) and ``stress_mae`` ... (eV/Å³), null where there are no labels. Optional are
        ``parity.json``: by part and by quantity (``energy_per_atom``, ``forces``, ``stress``),
        values ``reference`` and ``predicted``; ``log.jsonl`` with an ``epoch`` a line; and
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

    @model_validator(mode="after")
    def _as_many(self) -> "Parity":
        if len(self.reference) != len(self.predicted):
            raise ValueError("as many predicted values as reference values are expected")
        return self


def fit_page(folder: ResultFolder, progress: bool = False) -> str:
    """HTML of the page; there is nothing that takes long."""
    metrics = folder.values("metrics.json", dict[str, dict[str, float | None]])
    if not metrics:
        raise InputError(next(iter(folder.problems), f"{folder.path / 'metrics.json'}: no errors"))
    parity = folder.values("parity.json", dict[str, dict[str, Parity | None] | None])
    log = folder.log("log.jsonl")
    run = folder.values("run.json")
    return render(
        "fit.html",
        title="A fitted potential",
        lead=_lead(metrics),
        heads=[f"{part}, {kind}" for part in metrics for kind in ("MAE", "RMSE")],
        rows=_rows(metrics),
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
