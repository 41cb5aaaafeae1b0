"""Under pytest, the annotations of all tensor code are checked at run time, shapes included.

Packages that meet users are left out: they answer bad input with a sentence of their own, which
a check of the annotations would pre-empt.
"""

import importlib.util
import os
import subprocess
import sys
from collections import namedtuple

import pytest
from jaxtyping import install_import_hook

# Tensors in tests are tiny, and the tests run side by side: threads would wait for each other.
# Before torch is loaded, and for the processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Sums on a GPU differ in the last digits from run to run; what is trained is compared exactly.
os.environ["CUDA_VISIBLE_DEVICES"] = ""

# installed before anything imports the package; the hook stays for the whole run
install_import_hook(
    [
        f"atomplete.{part}"
        for part in (
            "radial",
            "nn",
            "latents",
            "potentials",
            "o3",
            "descriptors",
            "system",
            "testing",
        )
    ],
    "beartype.beartype",
)

# a module of a test that is skipped without the package, which pytest looks into for examples
collect_ignore = [] if importlib.util.find_spec("metatensor_torch") else ["audit/pair_sums.py"]

Outcome = namedtuple("Outcome", "code out err")


@pytest.fixture
def atomplete(monkeypatch, capsys, tmp_path):
    """Run a command in a temporary folder."""
    from atomplete.cli import main

    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["atomplete", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        return Outcome(stop.value.code or 0, *capsys.readouterr())

    return run


@pytest.fixture
def small_disk(tmp_path):
    """Make a file system of a size, such as "16k", or change its size; returns its folder."""
    folder = tmp_path / "disk"

    def disk(size):
        mounted = folder.is_mount()
        folder.mkdir(exist_ok=True)
        options = f"remount,size={size}" if mounted else f"size={size}"
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        try:
            done = subprocess.run(command, capture_output=True).returncode == 0
        except FileNotFoundError:
            done = False
        if not done:
            pytest.skip("only root can mount a small file system")
        return folder

    yield disk
    if folder.is_mount():
        subprocess.run(["umount", str(folder)], check=True)
