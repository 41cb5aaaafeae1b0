"""Printing: nothing is lost where a stream is closed, full or lacks a character."""

import json
import os
import subprocess
import sys

import pytest
from ase import Atoms

import atomplete as package
from atomplete.data import read_structures, write_structures

pytestmark = pytest.mark.slow

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


ENDINGS = ["| head -c 0", "| head -n 1", ">&-", ">&- 2>&- <&-"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_results_are_written_though_nobody_reads_on(shell, tmp_path, ending):
    write_structures(
        tmp_path / "water.xyz", [Atoms("OH2", [(0, 0, 0), (0, 0.7, 0.6), (0, -0.8, 0.5)])]
    )
    command = "resolve power_spectrum water.xyz --sweep 0 -o resolution.json"
    done = shell(f"{ATOMPLETE} {command} {ending}")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(json.loads((tmp_path / "resolution.json").read_text())) == 1


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["| head -c 0", ">&- 2>&- <&-"])
def test_a_fit_goes_on_though_nobody_reads_on(shell, tmp_path, ending):
    """Which prints what it has read before the fit begins."""
    distances = (1.4, 1.5, 1.6, 1.7, 1.8, 1.9)
    dimers = [
        Atoms("B2", [(0, 0, 0), (0, 0, r)], info={"energy": (r - 1.6) ** 2}) for r in distances
    ]
    write_structures(tmp_path / "dimers.xyz", dimers)
    command = "train dimers.xyz --forces-weight 0 --cutoff 2.5 --quiet -o fit"
    done = shell(f"{ATOMPLETE} {command} {ending}")
    assert (done.returncode, done.stderr) == (0, "")
    for name in ("model.pt", "metrics.json", "run.json", "report.html"):
        assert (tmp_path / "fit" / name).stat().st_size > 0


def test_a_full_disk_behind_stdout_is_said_once_all_is_written(shell, tmp_path):
    done = shell(f"{ATOMPLETE} generate chiral -n 2 -o pairs.xyz >/dev/full")
    assert done.stderr == "atomplete: stdout: No space left on device\n"
    assert done.returncode == 2
    assert len(read_structures(tmp_path / "pairs.xyz")) == 4


def test_a_terminal_without_the_letters(shell):
    done = shell(f"{ATOMPLETE} featurize --help", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Cutoff in ?" in done.stdout


def test_version(shell):
    done = shell(f"{ATOMPLETE} --version; {ATOMPLETE} generate -h")
    assert done.stdout.startswith(f"atomplete {package.__version__}\n")
    assert "Usage:" in done.stdout


SHORT = {
    "audit": ("audit N0nu1 hände.py:mine --families distances -n 1 --quiet -o out", "audit.json"),
    "search": (
        "search radial_spectrum bent.xyz --move-both --quiet --starts 16 "
        "--structural-distance 0.01 --shortest 0.7 --longest 1.8 --cutoff 2.5 -o pairs.xyz",
        "pairs.xyz",
    ),
    "subsets": ("subsets ring:12 4 --nu 2 -o pairs.xyz", "pairs.xyz"),
}


@pytest.mark.slow
@pytest.mark.parametrize("ending", [*ENDINGS, ""])
@pytest.mark.parametrize("verb", SHORT)
def test_finds_are_kept_though_nobody_can_read_them(shell, tmp_path, verb, ending):
    """Also where a terminal knows ASCII only, and a name holds more."""
    source = "def mine(atoms, center):\n    return sorted(atoms.get_all_distances()[center])\n"
    (tmp_path / "hände.py").write_text(source)
    positions = [(0, 0, 0), (0, 0.7, 0.9), (0, -0.8, 0.7), (1.1, 0, 0.2)]
    write_structures(tmp_path / "bent.xyz", [Atoms("OH3", positions)])
    command, name = SHORT[verb]
    done = shell(f"{ATOMPLETE} {command} {ending}", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    found = tmp_path / ("out" if verb == "audit" else ".") / name
    if verb == "audit":
        assert len(json.loads(found.read_text())) == 2
    else:
        assert len(read_structures(found)) >= 2
    if not ending:
        assert done.stdout.isascii()
