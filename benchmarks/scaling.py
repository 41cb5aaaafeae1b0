"""How the cost grows with atoms, neighbours, radial functions and angular orders.

Power spectrum, three-centre rows and tagged correlations in chunks that fit the cache, on rattled
diamond; the slopes of the logarithms are the measured exponents.
"""

from pathlib import Path

import ase.build
import numpy as np
import torch
from side_by_side import Measurement, seconds

from atomplete.descriptors import (
    DensityCorrelationsSpec,
    ExpansionSpec,
    ThreeCenterSpec,
    build,
    run,
)
from atomplete.system import System

N_TIMES = 3


def diamond(n_atoms):
    """A rattled supercell of about that many atoms, cut from the cubic one."""
    repeats = max(1, round((n_atoms / 8) ** (1 / 3)))
    lengths = [repeats, repeats, max(1, round(n_atoms / 8 / repeats**2))]
    atoms = ase.build.bulk("C", "diamond", a=3.567, cubic=True) * lengths
    atoms.rattle(0.05, seed=0)
    return atoms


def evaluate(spec, structures, centers="all"):
    """Features of every centre, a chunk at a time."""
    descriptor = build(spec)

    def call():
        system = System.from_atoms(structures, spec.expansion.cutoff, centers=centers)
        for _ in run(descriptor, system, 8 * 2**20):
            pass

    return call


def time_of(spec, structures, centers="all"):
    with torch.no_grad():
        return seconds({"it": evaluate(spec, structures, centers)}, N_TIMES)["it"]


def basis(**options):
    return ExpansionSpec(
        species=(6,), **{"cutoff": 3.0, "max_radial": 6, "max_angular": 3} | options
    )


def curves():
    """(descriptor, variable) → (values of the variable, seconds per atom or per centre)."""
    result = {}
    sizes = [216, 1000, 3000, 10_000]
    cells = [diamond(n) for n in sizes]
    power = DensityCorrelationsSpec(nu=(2,), expansion=basis(cutoff=5.0))
    three = ThreeCenterSpec(expansion=basis(cutoff=2.7, max_radial=2))
    for name, spec, structures in (
        ("power spectrum", power, cells),
        ("three_center", three, cells[:3]),
    ):
        atoms = [len(cell) for cell in structures]
        result[name, "atoms"] = atoms, [time_of(spec, cell) for cell in structures]
    cell, few = cells[0], list(range(8))
    # tagged neighbours only, the density keeps its cutoff; below 28, what rows share still shows
    tags, times = [], []
    for tag_cutoff in (3.2, 3.7, 4.3, 5.0, 5.6):
        spec = ThreeCenterSpec(expansion=basis(cutoff=6.0), tag_cutoff=tag_cutoff)
        system = System.from_atoms(cells[1], tag_cutoff, centers=[0])
        tags.append(float(system.neighbor_counts.double().mean()))
        times.append(time_of(spec, cells[1], [0]))
    result["three_center", "tagged neighbours"] = tags, times
    for name, variable, values in (
        ("n", "max_radial", (2, 4, 6, 8)),
        ("l", "max_angular", (1, 2, 3, 4, 6)),
    ):
        for label, make in (
            ("power spectrum", lambda e: DensityCorrelationsSpec(nu=(2,), expansion=e)),
            ("three_center", lambda e: ThreeCenterSpec(expansion=e)),
        ):
            centers = few if label == "three_center" else "all"
            n_centers = len(few) if label == "three_center" else len(cell)
            times = [
                time_of(make(basis(**{"cutoff": 2.7, variable: value})), cell, centers) / n_centers
                for value in values
            ]
            result[label, name] = list(values), times
    return result


def exponent(x, y):
    """Slope of log y against log x by least squares."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def measure(measured=None):
    """The exponents in the numbers of atoms and of tagged neighbours."""
    measured = measured or curves()
    lines = []
    for (name, variable), expected in (
        (("power spectrum", "atoms"), 1),
        (("three_center", "atoms"), 1),
        (("three_center", "tagged neighbours"), 2),
    ):
        x, y = measured[name, variable]
        found = exponent(x, y)
        lines.append(
            Measurement(
                f"{name}: exponent in {variable}, {x[0]:.0f} to {x[-1]:.0f}",
                found, expected, "", "expected", expected / found,
            )
        )  # fmt: skip
    return lines


def plot(measured, path: Path):
    """Cost against atoms, tagged neighbours, n and l: four panels."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import NullFormatter, ScalarFormatter

    variables = ["atoms", "tagged neighbours", "n", "l"]
    figure, axes = plt.subplots(1, 4, figsize=(13, 3.2), layout="constrained")
    for axis, variable in zip(axes, variables, strict=True):
        for (name, of), (x, y) in measured.items():
            if of == variable:
                axis.loglog(x, np.array(y) * 1e3, "o-", label=name)
        axis.set_xlabel(variable)
        for ticks in (axis.xaxis, axis.yaxis):
            ticks.set_major_formatter(ScalarFormatter())
            ticks.set_minor_formatter(NullFormatter())
        axis.set_ylabel("ms" if variable == "atoms" else "ms per centre")
        axis.legend(fontsize=7)
    figure.savefig(path, dpi=120)
    plt.close(figure)
