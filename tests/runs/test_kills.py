"""Runs killed at random moments: nothing that was finished is lost, and results are equal.

Each verb is killed three times; ``ATOMPLETE_KILLS=20`` makes it twenty.
"""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress

import h5py
import numpy as np
import pytest
import yaml
from ase import Atoms
from labelled_pairs import SMALL, write_labelled

from atomplete.data import write_structures

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("ATOMPLETE_KILLS", "3"))

#: Loads what takes long, tells so, and waits: what is killed is the work.
SCRIPT = """
import os, sys
from atomplete.cli import main
from atomplete.training import run
import atomplete.audit, atomplete.featurize, atomplete.labels, atomplete.paper.experiment
import atomplete.paper.report, atomplete.report, atomplete.training.train, torch, ase.calculators.lj
torch.set_num_threads(1)
run.CHECKPOINT_INTERVAL = -1.0  # so that there is something to lose
print("ready", flush=True)
sys.stdin.readline()
sys.argv = ["atomplete", *sys.argv[1:]]
main()
"""

FIT = {
    "descriptor": {"type": "density_correlations", "expansion": {"max_radial": 2}},
    "readout": "deep_set",
    "deep_set": {"hidden": [8], "head": []},
    "epochs": 12,
    "cutoff": 2.0,
}
TABLE = {
    "settings": SMALL | {"train": {"epochs": 8, "batch_structures": 8}},
    "rows": ["D_L", "D_NL"],
    "pairs": 24,
    "labels": "in.xyz",
}
COMMANDS = {
    "label": "label in.xyz --method slow.py:make --workers 2",
    "reproduce": "reproduce --config table.yaml",
    "train": "train in.xyz --config fit.yaml",
    "audit": "audit N0nu1 mine.py:nearest --families b8,distances,prl_nu2 -n 2",
    "featurize": "featurize chains.xyz --descriptor bispectrum",
}
SLOW = """
import time
from ase.calculators.lj import LennardJones

def make():
    time.sleep(0.01)
    return LennardJones()
"""
MINE = """
import time
import numpy as np

def nearest(atoms, center):
    time.sleep(0.0005)
    return np.sort(atoms.get_distances(center, range(len(atoms))))
"""


@pytest.fixture
def folder(tmp_path):
    write_labelled(tmp_path / "in.xyz", 24)
    (tmp_path / "fit.yaml").write_text(yaml.safe_dump(FIT))
    (tmp_path / "table.yaml").write_text(yaml.safe_dump(TABLE))
    (tmp_path / "slow.py").write_text(SLOW)
    (tmp_path / "mine.py").write_text(MINE)
    rng = np.random.default_rng(0)
    chain = np.array([(1.5 * i, 0, 0) for i in range(60)])
    chains = [Atoms("B60", chain + rng.uniform(-0.1, 0.1, (60, 3))) for _ in range(20)]
    write_structures(tmp_path / "chains.xyz", chains)
    return tmp_path


def started(command, folder):
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *command.split()],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout.readline() == b"ready\n"
    process.stdin.write(b"go\n")
    process.stdin.flush()
    return process


def finished(command, folder):
    with started(command, folder) as process:
        start = time.monotonic()
        _, err = process.communicate()
    assert process.returncode == 0, err.decode()
    return time.monotonic() - start


def lines(path):
    """Whole lines of a file that only grows."""
    content = path.read_bytes() if path.exists() else b""
    return content[: content.rfind(b"\n") + 1]


def progress(output):
    """Finished parts of a run, by the file: never fewer, and none of them other than before."""
    journals = [output.with_name(f"{output.name}.journal.jsonl"), *output.rglob("log.jsonl")]
    return {path: lines(path) for path in journals} | {
        path: path.read_bytes()
        for pattern in ("*/result.json", ".unfinished/*.json")
        for path in output.glob(pattern)
    }


ENDS_WITH = {
    "label": "",
    "featurize": "descriptor.pt",
    "reproduce": "table.json",
    "train": "metrics.json",
    "audit": "audit.json",
}


def result(verb, output):
    """Numbers that a run ends with, without the time that they took; None before its end."""
    path = output / ENDS_WITH[verb]
    if not path.exists():
        return None
    if verb == "label":
        return re.sub(r"label_seconds=\S+", "", path.read_text())
    if verb == "featurize":
        with h5py.File(output / "features.h5") as file:
            return {name: file[name][()].tobytes() for name in file}
    content = json.loads(path.read_text())
    if verb == "reproduce":
        content = [{key: row[key] for key in row if key != "seconds"} for row in content]
    return content


@pytest.mark.parametrize("verb", COMMANDS)
def test_killed_again_and_again(folder, verb):
    suffix = ".xyz" if verb == "label" else ""
    line = f"{COMMANDS[verb]} --quiet -o"
    seconds = finished(f"{line} undisturbed{suffix}", folder)
    expected = result(verb, folder / f"undisturbed{suffix}")
    rng, kills, output = random.Random(verb), 0, folder / f"run{suffix}"
    while kills < KILLS:
        before = progress(output)
        with started(f"{line} {output.name}", folder) as process:
            time.sleep(rng.uniform(0, 0.4 * seconds))
            ended = process.poll()
            with suppress(ProcessLookupError):  # it has ended by now
                os.killpg(process.pid, signal.SIGKILL)
            _, err = process.communicate()
        assert ended in (None, 0), err.decode()
        kills += ended is None
        after = progress(output)
        found = result(verb, output)
        if found is None:
            for path, content in before.items():
                assert after[path].startswith(content), path
        else:  # it came to its end in between: begin anew
            assert found == expected
            for path in sorted(folder.rglob("*"), reverse=True):
                if path.relative_to(folder).parts[0].startswith(output.name):
                    path.rmdir() if path.is_dir() else path.unlink()
    finished(f"{line} {output.name}", folder)
    assert result(verb, output) == expected
    left = [path for path in folder.rglob(".*") if path.name != ".atomplete"]
    assert not left
