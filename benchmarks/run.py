"""All benchmarks of representations in one run: a table of ratios, and cost curves.

    python benchmarks/run.py -o docs            # writes docs/benchmarks.md and docs/scaling.png
    python benchmarks/run.py --only soap,fused  # writes into runs/benchmarks

Each topic runs in a process of its own, with one thread (two for what is measured on two cores),
so that neither memory nor threads of one meet another.
"""

import argparse
import dataclasses
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

from side_by_side import Measurement, machine

#: Topic → threads.
TOPICS = {"soap": 1, "three_center": 1, "fused": 1, "scaling": 1, "nice": 2, "contraction": 2}

#: How a process hands its lines over.
MARK = "measurements: "


def measure_here(topic, output):
    """Measure one topic in this process and print the lines as JSON."""
    import torch

    torch.set_num_threads(TOPICS[topic])
    module = importlib.import_module(topic)
    if topic == "scaling":
        curves = module.curves()
        lines = module.measure(curves)
        module.plot(curves, output / "scaling.png")
    else:
        lines = module.measure()
    print(MARK + json.dumps([machine(), [dataclasses.asdict(line) for line in lines]]))


def measure_in_process(topic, output):
    """The machine and the lines of one topic, measured in a new process."""
    command = [sys.executable, __file__, "--here", topic, "-o", str(output)]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(TOPICS[topic]),
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found = [line for line in done.stdout.splitlines() if line.startswith(MARK)]
    where, lines = json.loads(found[-1].removeprefix(MARK))
    return where, [Measurement(**line) for line in lines]


def row(line):
    """One line of the Markdown table."""
    target = "" if line.target is None else f"{line.target:g}"
    return (
        f"| {line.what} | {line.ours:.3g} {line.unit} | {line.reference_name} "
        f"{line.reference:.3g} {line.unit} | {line.ratio:.2f} | {target} |"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/benchmarks"))
    parser.add_argument("--only", default=",".join(TOPICS), help="topics, with commas")
    parser.add_argument("--here", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    if options.here:
        return measure_here(options.here, options.output)
    from atomplete.runs.provenance import versions

    text = ["# Benchmarks", "", "What `python benchmarks/run.py -o docs` printed in one run.", ""]
    text.append("Versions: " + ", ".join(f"{k} {v}" for k, v in versions().items()) + ".")
    for topic in options.only.split(","):
        where, lines = measure_in_process(topic, options.output)
        text += ["", f"## {topic.replace('_', ' ')}", "", f"{where}.", ""]
        text += ["| what | here | beside | ratio | target |", "|---|---|---|---|---|"]
        text += [row(line) for line in lines]
        print("\n".join(text[-len(lines) - 6 :]), flush=True)
    text += ["", "![cost against atoms, tagged neighbours, n and l](scaling.png)", ""]
    (options.output / "benchmarks.md").write_text("\n".join(text))
    return None


if __name__ == "__main__":
    main()
