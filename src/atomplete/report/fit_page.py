"""The page of a fitted potential: errors, parity plots, learning curves and provenance."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from atomplete.report import charts
from atomplete.report.read import read_log, read_options
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
        If there is no ``metrics.json``, or a file is damaged; names the file.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "metrics.json").write_text('{"validation": {"energy_mae": 0.1}}')
    >>> write_fit_page(folder).name
    'report.html'
    """
    return write_report(folder, [FIT_PAGE])


def fit_page(folder: Path, progress: bool = False) -> str:
    """HTML of the page; there is nothing that takes long."""
    metrics = read_options(folder / "metrics.json")
    parity = read_options(folder / "parity.json")
    log = read_log(folder / "log.jsonl")
    return render(
        "fit.html",
        title="A fitted potential",
        lead=_lead(metrics),
        heads=[f"{part}, {kind}" for part in metrics for kind in ("MAE", "RMSE")],
        rows=_rows(metrics),
        parity=[(part, _panels(part, parity[part])) for part in parity if parity[part]],
        training=_training(log),
        run=read_options(folder / "run.json"),
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


def _panels(part: str, found: Mapping[str, Any]) -> list[tuple[str, Markup]]:
    """Parity plots of one part of the data: (caption, drawing)."""
    drawn = []
    for quantity, (name, unit) in _METRICS.items():
        values = found.get(quantity)
        if not values or not values["reference"]:
            continue
        reference, predicted = (np.asarray(values[k], float) for k in ("reference", "predicted"))
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
    names = [name for name in log[0] if name.endswith("loss")]
    axes = charts.plain("epoch", "loss", log="y")
    for name, color in zip(names, charts.PALETTE, strict=False):
        points = [(e["epoch"], e[name]) for e in log if e.get(name) is not None]
        axes.plot(*np.transpose(points), color=color, label=name.replace("_", " "))
    return [("", charts.inline(axes, f"{' and '.join(names)} against epoch"))]
