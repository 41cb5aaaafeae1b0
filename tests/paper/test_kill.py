"""A real process, killed without warning; the same command then ends with the same table."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from labelled_pairs import SMALL, write_labelled

from atomplete.paper.experiment import reproduce
from atomplete.paper.options import ReproduceOptions

pytestmark = pytest.mark.slow

#: Runs ``reproduce`` with a checkpoint after each epoch, so that there is one to go on from.
SCRIPT = """
import json, sys, torch
from pathlib import Path
from atomplete.training import run
from atomplete.paper.experiment import reproduce
from atomplete.paper.options import ReproduceOptions

if __name__ == "__main__":
    torch.set_num_threads(1)
    run.CHECKPOINT_INTERVAL = -1.0
    reproduce(ReproduceOptions(**json.loads(sys.argv[1])), Path(sys.argv[2]), progress=False)
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    path = tmp_path_factory.mktemp("script") / "run_reproduce.py"
    path.write_text(SCRIPT)
    return path


def start(script, options, folder):
    return subprocess.Popen([sys.executable, str(script), json.dumps(options), str(folder)])


def finish(options, folder):
    reproduce(ReproduceOptions(**options), folder, progress=False)
    return table_of(folder)


def kill_when(process, reached):
    """Kill the process once ``reached()`` is true, which must be before it ends by itself."""
    try:
        while not reached():
            assert process.poll() is None, "it ended before it was killed"
            time.sleep(0.005)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()


def test_killed_while_it_trains_an_encoder(script, tmp_path):
    labels = write_labelled(tmp_path / "labels.xyz", 32)
    epochs = 60
    settings = SMALL | {"train_autoencoder": {"epochs": epochs, "batch_structures": 8}}
    options = {"pairs": 32, "labels": str(labels), "rows": ["A_NL"], "settings": settings}
    undisturbed = finish(options, tmp_path / "undisturbed")
    folder = tmp_path / "killed"
    log = folder / "A_NL_rho" / "log.jsonl"
    kill_when(start(script, options, folder), lambda: lines_of(log) >= 5)
    before = log.read_text()
    assert 5 <= lines_of(log) < epochs
    assert finish(options, folder) == undisturbed
    assert log.read_text().startswith(before)


def lines_of(path):
    return path.read_bytes().count(b"\n") if path.exists() else 0


def table_of(folder):
    table = json.loads((folder / "table.json").read_text())
    return [{name: value for name, value in row.items() if name != "seconds"} for row in table]


def test_killed_while_it_labels(script, tmp_path):
    pytest.importorskip("tblite")
    n_pairs = 60
    options = {"pairs": n_pairs, "rows": ["D_L"], "settings": SMALL, "workers": 1}
    undisturbed = finish(options, tmp_path / "undisturbed")

    folder = tmp_path / "killed"
    journal = folder / "xtb.journal.jsonl"
    kill_when(start(script, options, folder), lambda: lines_of(journal) >= 10)
    kept = journal.read_bytes()
    kept = kept[: kept.rfind(b"\n") + 1]
    assert 10 <= kept.count(b"\n") < 2 * n_pairs
    assert not (folder / "table.json").exists()
    assert not (folder / f"b8-{n_pairs}-xtb.xyz").exists()

    assert finish(options, folder) == undisturbed
    assert journal.read_bytes().startswith(kept)  # no label was computed twice
    assert lines_of(journal) == 2 * n_pairs


def test_killed_while_it_trains(script, tmp_path):
    labels = write_labelled(tmp_path / "labels.xyz", 32)
    epochs = 60
    settings = SMALL | {"train": {"epochs": epochs, "batch_structures": 8}}
    options = {
        "pairs": 32,
        "labels": str(labels),
        "rows": ["A_NL_rho", "B_L", "B_NL", "D_NL"],
        "settings": settings,
    }
    undisturbed = finish(options, tmp_path / "undisturbed")

    folder = tmp_path / "killed"
    # the linear row is done, two trained rows are done, the third is on its way
    log = folder / "D_NL" / "log.jsonl"
    kill_when(start(script, options, folder), lambda: lines_of(log) >= 5)
    epochs_before = log.read_text()
    assert 5 <= lines_of(log) < epochs
    done = [folder / row / "result.json" for row in ("A_NL_rho", "B_L", "B_NL")]
    finished = [path.stat().st_mtime_ns for path in done]
    assert not (folder / "D_NL" / "result.json").exists()
    assert not (folder / "table.json").exists()

    assert finish(options, folder) == undisturbed
    assert [path.stat().st_mtime_ns for path in done] == finished
    assert log.read_text().startswith(epochs_before)  # their times as well: not trained again
    assert lines_of(log) == epochs
