"""Drift of the energy in dynamics of a fitted potential: one JSON record.

    python benchmarks/dynamics.py model/model.pt ethanol.xyz --temperature 500 --ps 100 --fs 0.5

The first structure of the file is brought to the temperature by Langevin dynamics for 2 ps, and
then goes on at constant energy, in folders of ``-o``. The drift is that of a straight line through
the total energy.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from atomplete.checkpoint import load
from atomplete.data import read_structures
from atomplete.dynamics.options import DynamicsOptions
from atomplete.dynamics.run import run_dynamics
from atomplete.potentials import Potential

#: Length of the equilibration, ps; steps between two records of the energy.
EQUILIBRATION, EVERY = 2.0, 20

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("structures")
    parser.add_argument("-o", "--output", type=Path, default=Path("dynamics"))
    parser.add_argument("--temperature", type=float, default=500.0)
    parser.add_argument("--ps", type=float, default=100.0)
    parser.add_argument("--fs", type=float, default=0.5)
    given = parser.parse_args()
    torch.set_num_threads(1)
    potential = load(given.model, Potential)
    warm = DynamicsOptions(
        ensemble="nvt", temperature=given.temperature, timestep=given.fs, time=EQUILIBRATION
    )
    free = warm.model_copy(update={"ensemble": "nve", "time": given.ps, "log_every": EVERY})
    atoms = read_structures(given.structures)[0]
    for name, options in (("warm", warm), ("free", free)):
        log = run_dynamics(atoms, potential.calculator(), given.output / name, options)
        atoms = read_structures(given.output / name / "trajectory.xyz")[-1]
    ps, drift, kelvin = np.array(
        [[line[name] for name in ("time", "drift", "temperature")] for line in log]
    ).T
    print(
        json.dumps(
            {
                "atoms": len(atoms),
                "ps": float(ps[-1]),
                "drift_mev_per_atom": float(1000 * np.polyfit(ps, drift, 1)[0] * ps[-1]),
                "largest_deviation_mev_per_atom": float(1000 * np.abs(drift).max()),
                "mean_temperature_k": float(kelvin.mean()),
            }
        )
    )
