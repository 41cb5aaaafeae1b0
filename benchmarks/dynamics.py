"""Drift of the energy in dynamics of a fitted potential: one JSON record.

    python benchmarks/dynamics.py model/model.pt ethanol.xyz --temperature 500 --ps 100 --fs 0.5

The first structure of the file is brought to the temperature by Langevin dynamics for 2 ps, and
then goes on at constant energy. The drift is that of a straight line through the total energy; a
run that explodes ends with its last frame in ``exploded.xyz``.
"""

import argparse
import json
import time

import numpy as np
import torch
from ase import units
from ase.io import read, write
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import Stationary, thermalize_momenta
from ase.md.verlet import VelocityVerlet

from atomplete.checkpoint import load
from atomplete.potentials import Potential

#: Steps between two records of the energy; temperature over that asked for in an explosion.
EVERY, EXPLODED = 20, 5.0

#: Friction of the equilibration, 1/fs, and its length, ps.
FRICTION, EQUILIBRATION = 0.01, 2.0

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("structures")
    parser.add_argument("--temperature", type=float, default=500.0)
    parser.add_argument("--ps", type=float, default=100.0)
    parser.add_argument("--fs", type=float, default=0.5)
    given = parser.parse_args()
    torch.set_num_threads(1)
    atoms = read(given.structures, "0")
    atoms.calc = load(given.model, Potential).calculator()
    generator = np.random.default_rng(0)
    thermalize_momenta(atoms, given.temperature, rng=generator)
    step = given.fs * units.fs
    Langevin(
        atoms,
        step,
        temperature_K=given.temperature,
        friction=FRICTION / units.fs,
        rng=generator,
        fixcm=False,
    ).run(round(1000 * EQUILIBRATION / given.fs))
    Stationary(atoms)
    dynamics = VelocityVerlet(atoms, step)
    records, start = [], time.monotonic()
    while dynamics.nsteps * given.fs < 1000 * given.ps:
        dynamics.run(EVERY)
        kelvin = atoms.get_temperature()
        records.append((dynamics.nsteps * given.fs / 1000, atoms.get_total_energy(), kelvin))
        if not kelvin < EXPLODED * given.temperature:
            write("exploded.xyz", atoms)
            raise SystemExit(f"exploded after {records[-1][0]:.3g} ps: {kelvin:.0f} K")
    ps, energy, kelvin = np.array(records).T
    per_atom = 1000 * (energy - energy[0]) / len(atoms)
    print(
        json.dumps(
            {
                "atoms": len(atoms),
                "ps": float(ps[-1]),
                "drift_mev_per_atom": float(np.polyfit(ps, per_atom, 1)[0] * ps[-1]),
                "largest_deviation_mev_per_atom": float(np.abs(per_atom).max()),
                "mean_temperature_k": float(kelvin.mean()),
                "ms_per_step": 1000 * (time.monotonic() - start) / dynamics.nsteps,
            }
        )
    )
