"""PBE labels beside the same recipe by nothing but PySCF: CPU seconds, and what differs.

Each structure is labelled by both in turns, in one thread; seconds are CPU time, so that what
else the machine does counts for little. `--shipped N` compares the first N pairs with the shipped
labels as well, of which pairs 0 to 360 and 3500 to 3538 were computed by PySCF alone:

    python benchmarks/pbe.py --pairs 2 --shipped 20
"""

import argparse
import cProfile
import os
import pstats
import time
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

import numpy as np
from pyscf import df, dft, gto, lib

from atomplete.data import read_structures
from atomplete.labels import PBE, Label
from atomplete.paper.datasets import dataset
from atomplete.units import HARTREE, HARTREE_PER_BOHR


def by_pyscf(atoms):
    """The recipe ``fast`` as PySCF offers it."""
    molecule = gto.M(
        atom=list(zip(atoms.symbols, atoms.positions, strict=True)),
        basis="cc-pvdz",
        verbose=0,
        max_memory=2000,
    )
    density, fitting = None, df.DF(molecule)
    for level, threshold in ((0, 1e-5), (3, 1e-8)):
        scf = dft.RKS(molecule, xc="PBE").smearing(sigma=0.01, method="fermi")
        scf.chkfile = None
        scf.grids.level, scf.conv_tol = level, threshold
        scf.diis_space, scf.max_cycle = 12, 100
        scf = scf.density_fit(with_df=fitting)
        scf.kernel(dm0=density)
        density = scf.make_rdm1()
    energy = float(scf.e_free) if scf.converged else float("nan")
    forces = -scf.nuc_grad_method().kernel() * HARTREE_PER_BOHR
    return Label(energy * HARTREE, forces, bool(scf.converged), 0.0, "pyscf", {})


def seconds(label, atoms):
    """CPU seconds, and the label."""
    start = time.process_time()
    result = label(atoms)
    return time.process_time() - start, result


def report(new, old):
    """Largest differences between labels of plus, minus, plus, minus, …"""
    kept = [(a, b) for a, b in zip(new, old, strict=True) if a.converged and b.converged]
    print(f"{len(new)} structures; failed: {sum(not a.converged for a in new)} now, ", end="")
    print(f"{sum(not a.converged for a in old)} before")
    energy = np.array([(a.energy - b.energy) / HARTREE for a, b in kept])
    forces = max(np.abs(a.forces - b.forces).max() / HARTREE_PER_BOHR for a, b in kept)
    print(f"energies differ by at most {np.abs(energy).max():.1e} Ha", end="")
    if len(kept) == len(new):
        print(
            f", pair differences by {np.abs(np.diff(energy.reshape(-1, 2))).max():.1e} Ha", end=""
        )
    print(f", forces by {forces:.1e} Ha/Bohr", flush=True)


def profile(name, label, atoms):
    """Where the time goes: functions by the CPU time that they take themselves."""
    recorder = cProfile.Profile(time.process_time)
    recorder.runcall(label, atoms)
    functions = pstats.Stats(recorder).stats.items()
    total = sum(entry[2] for _, entry in functions)
    print(f"{name}: {total:.1f} s")
    for (file, _, function), (_, calls, own, *_) in sorted(functions, key=lambda f: -f[1][2])[:6]:
        print(f"  {100 * own / total:4.0f} % {calls:5d} calls  {Path(file).name} {function}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=2, help="labelled by both")
    parser.add_argument("--shipped", type=int, default=0, help="compared with shipped labels")
    options = parser.parse_args()
    structures = read_structures(dataset("pbe"))
    lib.num_threads(1)
    method = PBE()
    profile("before", by_pyscf, structures[0])
    profile("now", method.compute, structures[0])
    times, old, new = [], [], []
    for atoms in structures[: 2 * options.pairs]:
        (before, reference), (now, label) = seconds(by_pyscf, atoms), seconds(method.compute, atoms)
        print(f"{before:6.2f} s before, {now:5.2f} s now: {before / now:.2f}", flush=True)
        times.append((before, now))
        old.append(reference)
        new.append(label)
    before, now = np.mean(times, axis=0)
    print(f"mean {before:.2f} s before, {now:.2f} s now: {before / now:.2f} times as fast")
    report(new, old)
    if options.shipped:
        chosen = structures[: 2 * options.shipped]
        new += [method.compute(atoms) for atoms in chosen[len(new) :]]
        results = [atoms.calc.results for atoms in chosen]
        report(
            new[: len(chosen)],
            [Label(r["energy"], r["forces"], True, 0.0, "pbe", {}) for r in results],
        )


if __name__ == "__main__":
    main()
