"""Errors of potentials on public sets, with the time and memory of their fits: a Markdown table.

    python benchmarks/potentials.py DATA -o docs/results/potentials.json
    python benchmarks/potentials.py DATA --only ethanol,Si --model fast
    python benchmarks/potentials.py DATA --only methane --model fast,linear

DATA holds folders of extended XYZ: revised MD17 (``rmd17_ethanol/train_01.xyz.gz``, …), 3BPA
(``3bpa/``), mlearn (``mlearn/Si_train.xyz.gz``, …), Mo–Nb–Ta–W alloys (``monbtaw/``) and random
methane (``methane_random/``). ``fast`` is what ``atomplete train`` does by default, ``tiny`` and
``accurate`` its other presets; ``linear`` is the basis and solver of ``fast`` without tags and
cosines: sums over neighbours of 300 random products of at most three densities, which are
incomplete. Results are added to those in the file, one by one.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from ase.io import read, write

from atomplete.runs.files import write_json

#: Options of `atomplete train`, by model.
MODELS = {
    "fast": {},
    "tiny": {"preset": "tiny"},
    "accurate": {"preset": "accurate"},
    "linear": {
        "descriptor": {
            "type": "random_fourier",
            "cutoff": 5.0,
            "center": {"channels": 300, "features": 0},
            "neighbor": {"channels": 0, "features": 0},
            "pair": {"channels": 0, "features": 0},
        }
    },
}


def molecule(name):
    """Training structures and the one test set of a molecule of revised MD17."""

    def parts(data):
        folder = data / f"rmd17_{name}"
        return read(folder / "train_01.xyz.gz", ":"), {"": read(folder / "test_01.xyz.gz", ":")}

    return parts


def element(name):
    """Training and test structures of an element of mlearn."""

    def parts(data):
        train, test = (
            read(data / "mlearn" / f"{name}_{part}.xyz.gz", ":") for part in ("train", "test")
        )
        return train, {"": test}

    return parts


def alloys(data):
    """Training and test structures of Mo–Nb–Ta–W alloys."""
    folder = data / "monbtaw"
    return read(folder / "train.xyz.gz", ":"), {"": read(folder / "test.xyz.gz", ":")}


def bpa(data):
    """3BPA at 300 K, and at three temperatures what is not among these."""
    train = read(data / "3bpa" / "train_300K.xyz.gz", ":")
    mixed = read(data / "3bpa" / "train_mixedT.xyz.gz", ":")
    seen = {atoms.positions.round(4).tobytes() for atoms in train}
    bounds = {"300 K": (0, 167), "600 K": (167, 334), "1200 K": (334, 500)}
    return train, {
        name: [
            atoms for atoms in mixed[slice(*run)] if atoms.positions.round(4).tobytes() not in seen
        ]
        for name, run in bounds.items()
    }


def methane(n):
    """A learning curve of random methane."""

    def parts(data):
        folder = data / "methane_random"
        train = read(folder / "train_forces.xyz.gz", f":{n}")
        return train, {"": read(folder / "test_forces.xyz.gz", ":")}

    return parts


SETS = {
    **{name: molecule(name) for name in ("ethanol", "malonaldehyde", "toluene", "aspirin")},
    "3bpa": bpa,
    **{name: element(name) for name in ("Cu", "Li", "Si")},
    "monbtaw": alloys,
    **{f"methane {n}": methane(n) for n in (50, 100, 200, 400, 800)},
}


def command(*arguments):
    """Run a verb; wall time in seconds and peak memory in GB, everything included."""
    start = time.monotonic()
    verb = [sys.executable, "-m", "atomplete.cli", *map(str, arguments)]
    process = subprocess.Popen(verb, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(verb)} failed")
    return time.monotonic() - start, usage.ru_maxrss * 1024 / 1e9


def measure(data, name, model, seed):
    """Errors on the parts of a test set, meV and meV/Å, and what the fit took."""
    train, tests = SETS[name](data)
    with tempfile.TemporaryDirectory() as here:
        folder = Path(here)
        write(folder / "train.xyz", train, format="extxyz")
        (folder / "options.yaml").write_text(json.dumps(MODELS[model]))
        seconds, memory = command(
            "train", folder / "train.xyz", "-o", folder / "fit", "--config",
            folder / "options.yaml", "--seed", seed, "--quiet",
        )  # fmt: skip
        found = {"set": name, "model": model, "seed": seed, "structures": len(train)}
        found |= {"seconds": round(seconds), "memory_gb": round(memory, 1)}
        for part, structures in tests.items():
            write(folder / "test.xyz", structures, format="extxyz")
            output = folder / "predicted.xyz"
            spent, _ = command(
                "evaluate", folder / "fit/model.pt", folder / "test.xyz", "-o", output
            )
            errors = json.loads(Path(f"{output}.metrics.json").read_text())
            kept = {
                key: round(1e3 * value, 3)
                for key, value in errors.items()
                if key.endswith(("_mae", "_rmse")) and isinstance(value, float)
            }
            found[f"test {part}".strip()] = kept | {"evaluate_seconds": round(spent, 1)}
    return found


def table(results):
    """Markdown, with mean and spread over seeds."""
    lines = [
        "| set | model | energy, meV | energy, meV/atom | forces, meV/Å | RMSE | time, s | GB |"
    ]
    lines.append("|" + "---|" * 8)
    keys = sorted(
        {(r["set"], r["model"]) for r in results}, key=lambda k: (list(SETS).index(k[0]), k[1])
    )
    for name, model in keys:
        runs = [r for r in results if (r["set"], r["model"]) == (name, model)]
        for part in [key for key in runs[0] if key.startswith("test")]:
            columns = []
            for kind in ("energy_mae", "energy_per_atom_mae", "forces_mae", "forces_rmse"):
                values = np.array([r[part][kind] for r in runs])
                spread = f" ± {values.std(ddof=1):.2g}" if len(values) > 1 else ""
                columns.append(f"{values.mean():.3g}{spread}")
            taken = [f"{np.mean([r[key] for r in runs]):.3g}" for key in ("seconds", "memory_gb")]
            title = f"{name} {part.removeprefix('test')}".strip()
            lines.append("| " + " | ".join([title, model, *columns, *taken]) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/potentials.json"))
    parser.add_argument("--only", default=",".join(SETS))
    parser.add_argument("--model", default="fast")
    parser.add_argument("--seeds", type=int, default=1)
    given = parser.parse_args()
    results = json.loads(given.output.read_text()) if given.output.exists() else []
    known = {(r["set"], r["model"], r["seed"]) for r in results}
    given.output.parent.mkdir(parents=True, exist_ok=True)
    wanted = [
        name
        for name in SETS
        if name in given.only.split(",") or name.split()[0] in given.only.split(",")
    ]
    for name in wanted:
        for model in given.model.split(","):
            for seed in range(given.seeds):
                if (name, model, seed) not in known:
                    results.append(measure(given.data, name, model, seed))
                    write_json(given.output, results)
                    print(json.dumps(results[-1]), flush=True)
    print(table(results))
