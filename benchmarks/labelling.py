"""How fast a campaign labels, and how much of its time goes into anything but the calculator.

Runs the same campaign with one and with two workers in turns, so that what else the machine
does meets both, and prints the ratio of the throughputs:

    python benchmarks/labelling.py --structures 300 --rounds 3
    python benchmarks/labelling.py --method pbe --structures 7 --rounds 1
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from atomplete.degenerate.families.registry import generate
from atomplete.labels import LocalWorkers, get_method, label_structures


class Timed(LocalWorkers):
    """Counts time from the first result on: processes start once in a campaign of days."""

    def compute(self, method, structures):
        self.__dict__["stamps"] = stamps = []
        for index, label in super().compute(method, structures):
            stamps.append((time.perf_counter(), label.seconds))
            yield index, label


def campaign(structures, method, workers):
    """Structures per second, and the part of a single worker's time outside the calculator."""
    machine = Timed(workers)
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder) / "journal.jsonl"
        label_structures(structures, method, journal, machine, progress=False)
    times, inside = zip(*machine.stamps, strict=True)
    seconds = times[-1] - times[0]
    # of one worker, results follow one another: what lies between them is one calculation
    return (len(times) - 1) / seconds, 1 - sum(inside[1:]) / seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--method", default="xtb")
    parser.add_argument("--structures", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    structures = generate("b8", (options.structures + 1) // 2)[: options.structures]
    method = get_method(options.method)
    ratios = []
    print("workers  structures/s  outside the calculator")
    for _ in range(options.rounds):
        rates = {}
        for workers in (1, 2):
            rates[workers], outside = campaign(structures, method, workers)
            share = f"{100 * outside:20.2f} %" if workers == 1 else ""
            print(f"{workers:7d}  {rates[workers]:12.3f}  {share}".rstrip())
        ratios.append(rates[2] / rates[1])
    print(f"two workers over one: {statistics.median(ratios):.2f} (median of {len(ratios)})")


if __name__ == "__main__":
    main()
