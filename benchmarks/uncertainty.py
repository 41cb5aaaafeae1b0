"""Uncertainties of a potential on 3BPA, and what its suggestions are worth.

    python benchmarks/uncertainty.py DATA --preset tiny -o docs/results/uncertainty.json

DATA holds ``3bpa/``, see ``potentials.py``. A fit to 80 structures of 300 K, calibrated on 20, is
asked about all others of 300, 600 and 1200 K. Then a fit to 50 of 300 K chooses 100 of a pool of
250 of all temperatures; these, and 100 drawn at random three times, are added, and all four fits
are tested on the structures outside the pool.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from ase.io import write
from potentials import SETS

from atomplete.data.dataset import Dataset
from atomplete.data.metrics import errors_of
from atomplete.runs.files import write_json
from atomplete.training.options import TrainOptions
from atomplete.training.train import train
from atomplete.training.uncertainty.suggest import suggest

UNCERTAINTIES = ("energy", "forces", "energy_uncertainty", "forces_uncertainty", "extrapolation")


def fitted(structures, preset, validation=None):
    """The potential of some structures."""
    with tempfile.TemporaryDirectory() as folder:
        options = {"preset": preset}
        if validation is not None:
            options["validation"] = Path(folder) / "validation.xyz"
            write(options["validation"], validation, format="extxyz")
        return train(
            structures,
            Path(folder) / "fit",
            TrainOptions(**options),
            progress=False,
            say=lambda _: None,
        )


def calibration(train_300, tests, preset):
    """Errors over predicted deviations, rank correlations and grades at each temperature."""
    potential = fitted(train_300[:80], preset, train_300[80:100])
    found = {}
    for name, structures in tests.items():
        predicted = potential.predict(structures, UNCERTAINTIES)
        errors = errors_of(Dataset.from_structures(structures), predicted)
        found[name] = {
            "forces_rmse": errors["forces_rmse"],
            "forces_calibration": errors["forces_calibration"],
            "forces_rank_correlation": errors["forces_rank_correlation"],
            "energy_per_atom_calibration": errors["energy_per_atom_calibration"],
            "median_extrapolation": float(predicted.extrapolation.median()),
        }
        print(name, found[name], flush=True)
    return found


def choice(train_300, tests, preset):
    """Root mean square errors of forces with suggested and with random structures, eV/Å."""
    everything = [atoms for structures in tests.values() for atoms in structures]
    order = np.random.default_rng(0).permutation(len(everything))
    pool, rest = ([everything[k] for k in part] for part in (order[:250], order[250:]))
    hot = {atoms.positions.tobytes() for atoms in tests["1200 K"]}
    hottest = [atoms for atoms in rest if atoms.positions.tobytes() in hot]

    def errors(added):
        potential = fitted(train_300[:50] + added, preset)
        return {
            name: errors_of(
                Dataset.from_structures(structures), potential.predict(structures, ("forces",))
            )["forces_rmse"]
            for name, structures in (("all", rest), ("1200 K", hottest))
        }

    start = fitted(train_300[:50], preset)
    chosen = [atoms.info["suggested_index"] for atoms in suggest(start, pool, 100)]
    found = {"suggested": [errors([pool[k] for k in chosen])], "random": []}
    print(found, flush=True)
    for seed in (1, 2, 3):
        drawn = np.random.default_rng(seed).choice(250, 100, replace=False)
        found["random"].append(errors([pool[k] for k in drawn]))
        print(found["random"][-1], flush=True)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/uncertainty.json"))
    parser.add_argument("--preset", default="fast")
    given = parser.parse_args()
    given.output.parent.mkdir(parents=True, exist_ok=True)
    both = SETS["3bpa"](given.data)
    results = {
        "preset": given.preset,
        "calibration": calibration(*both, given.preset),
        "choice": choice(*both, given.preset),
    }
    write_json(given.output, results)
