"""Campaigns in processes of their own, to be disturbed, and what is left of them."""

import re
import subprocess
import sys
import time
from pathlib import Path

RUN_FILE = """
import sys
from atomplete.labels import XTB, label_file
print(label_file(sys.argv[1], sys.argv[2], XTB(), workers=2))
"""


def without_times(path):
    """The whole content of a labelled file, but for how long each label took."""
    return re.sub(r"label_seconds=\S+", "", Path(path).read_text())


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def children_of(pid):
    lists = Path(f"/proc/{pid}/task").glob("*/children")  # of each thread
    return [child for children in lists for child in children.read_text().split()]


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


def started(input, output, labels=10):
    """A run in a process of its own, once the journal has some labels, and its children."""
    journal = Path(f"{output}.journal.jsonl")
    run = subprocess.Popen(
        [sys.executable, "-c", RUN_FILE, str(input), str(output)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    wait_until(lambda: journal.exists() and journal.read_bytes().count(b"\n") >= labels)
    children = children_of(run.pid)
    assert len(children) == 2
    return run, journal, children
