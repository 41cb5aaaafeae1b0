"""How fast a campaign labels, and how much of its time goes into anything but the calculator.

Runs the same xTB campaign with one and with two workers in turns, so that what else the machine
does meets both, and prints the ratio of the throughputs:

    python benchmarks/labelling.py --structures 300 --rounds 3
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from atomplete.degenerate.families import generate
from atomplete.labels import XTB, LocalWorkers, label_structures


class Timed(LocalWorkers):
    """Counts time from the first result on: processes start once in a campaign of days."""

    def compute(self, method, structures):
        self.__dict__["stamps"] = stamps = []
        for result in super().compute(method, structures):
            stamps.append(time.perf_counter())
            yield result


def campaign(structures, workers):
    """Structures per second, and the part of the workers' time outside the calculator."""
    machine = Timed(workers)
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder) / "journal.jsonl"
        labels = label_structures(structures, XTB(), journal, machine, progress=False)
    seconds = machine.stamps[-1] - machine.stamps[0]
    count = len(labels) - 1
    inside = statistics.fmean(label.seconds for label in labels) * count
    return count / seconds, 1 - inside / (seconds * workers)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--structures", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    structures = generate("b8", (options.structures + 1) // 2)[: options.structures]
    ratios = []
    print("workers  structures/s  outside the calculator")
    for _ in range(options.rounds):
        rates = {}
        for workers in (1, 2):
            rates[workers], outside = campaign(structures, workers)
            print(f"{workers:7d}  {rates[workers]:12.1f}  {100 * outside:20.1f} %")
        ratios.append(rates[2] / rates[1])
    print(f"two workers over one: {statistics.median(ratios):.2f} (median of {len(ratios)})")


if __name__ == "__main__":
    main()
