"""Printing: nothing is lost where a stream is closed, full or lacks a character."""

import json
import os
import subprocess
import sys

import pytest
from ase import Atoms

import atomplete as package
from atomplete.data import write_structures

ATOMPLETE = f"{sys.executable} -m atomplete.cli"


@pytest.fixture
def shell(tmp_path):
    def run(command, **environment):
        return subprocess.run(
            ["bash", "-c", f"set -o pipefail; {command}"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env={**os.environ, **environment},
        )

    return run


@pytest.mark.parametrize("ending", ["| head -c 0", "| head -n 1", ">&-", ">&- 2>&- <&-"])
def test_results_are_written_though_nobody_reads_on(shell, tmp_path, ending):
    write_structures(
        tmp_path / "water.xyz", [Atoms("OH2", [(0, 0, 0), (0, 0.7, 0.6), (0, -0.8, 0.5)])]
    )
    command = "resolve power_spectrum water.xyz --sweep 0 -o resolution.json"
    done = shell(f"{ATOMPLETE} {command} {ending}")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(json.loads((tmp_path / "resolution.json").read_text())) == 1


def test_a_terminal_without_the_letters(shell):
    done = shell(f"{ATOMPLETE} featurize --help", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Cutoff in ?" in done.stdout


def test_version(shell):
    done = shell(f"{ATOMPLETE} --version; {ATOMPLETE} generate -h")
    assert done.stdout.startswith(f"atomplete {package.__version__}\n")
    assert "Usage:" in done.stdout
