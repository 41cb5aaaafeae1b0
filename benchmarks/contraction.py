"""Components of all three-centre rows of 4000 pairs of B8: seconds and memory, within limits.

8000 centres with 7 neighbours each: 392 000 rows of 7344 features at the paper's settings.

    OMP_NUM_THREADS=2 python benchmarks/contraction.py
"""

import os
import time
from pathlib import Path

import torch
from side_by_side import Measurement, machine

from atomplete.degenerate.families.registry import generate
from atomplete.descriptors import ThreeCenterSpec, build, estimate
from atomplete.system import System

N_PAIRS = 4000
MEMORY = 4 * 10**9
SECONDS = 300

SPECS = {
    "paper": ThreeCenterSpec(components=(600, 350)),
    "4 radial channels": ThreeCenterSpec(radial_components=4, components=(400, 250)),
}


def resident_peak():
    """Bytes that this process has held at most since the last reset."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def reset_peak():
    """Let the peak begin with what is held now."""
    Path("/proc/self/clear_refs").write_text("5")


def measure(n_pairs=N_PAIRS):
    """Seconds and memory of a fit beside what they may be; prints what was kept."""
    system = System.from_atoms(generate("b8", n_pairs), cutoff=2.0, centers="info")
    lines, before = [], resident_peak()
    for name, spec in SPECS.items():
        descriptor = build(spec)
        print(f"{name}: {estimate(descriptor, system, MEMORY)}", flush=True)
        reset_peak()
        load, start = os.getloadavg()[0], time.perf_counter()
        descriptor.fit([system], memory=MEMORY, progress=True)
        seconds, held = time.perf_counter() - start, resident_peak() - before
        print(*descriptor.kept, sep="\n")
        print(f"load {load:.1f} before and {os.getloadavg()[0]:.1f} after", flush=True)
        what = f"components of {n_pairs} pairs, {name}"
        lines.append(Measurement(what, seconds, SECONDS, "s", "limit", SECONDS / seconds, 1.0))
        gigabytes = held / 1e9, MEMORY / 1e9
        lines.append(Measurement(f"{what}: memory", *gigabytes, "GB", "limit", MEMORY / held, 1.0))
    return lines


if __name__ == "__main__":
    torch.set_num_threads(2)
    print(machine())
    for line in measure():
        print(line)
