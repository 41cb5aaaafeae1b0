"""Under pytest, the annotations of all tensor code are checked at run time, shapes included.

Packages that meet users are left out: they answer bad input with a sentence of their own, which
a check of the annotations would pre-empt.
"""

import importlib.util
import os
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
