"""Structures from formats other than extended XYZ, through ASE, which guesses in some of them."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms
from ase.data import atomic_masses
from ase.io.formats import filetype, open_with_compression

from atomplete.errors import InputError

#: Difference of a mass from that of its element, u, above which the element is a guess.
_MASS_ROUNDING = 0.1


def format_of(path: Path) -> str:
    """Name of the format of a file, as ASE calls it.

    Raises
    ------
    InputError
        If ASE knows none for it.
    """
    try:
        return str(filetype(str(path)))
    except OSError:
        raise
    except Exception as error:  # of any of ASE's formats, which look into the file
        raise _not_understood(path, error) from None


def read_format(path: Path, kind: str) -> list[Atoms]:
    """All structures of a file in a format of ASE.

    Parameters
    ----------
    path
        The file.
    kind
        Its format, from ``format_of``.

    Returns
    -------
    list of Atoms
        Without columns of blank text; what ``info`` holds is plain data.

    Raises
    ------
    InputError
        If the file is not understood, holds sites that are occupied partially, or does not say
        which elements it consists of: ASE would guess.

    Examples
    --------
    >>> import tempfile
    >>> from ase.build import bulk
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     bulk("Si").write(Path(folder) / "si.cif")
    ...     print(read_format(Path(folder) / "si.cif", "cif")[0].symbols)
    Si2
    """
    try:
        found = list(ase.io.iread(path, index=":", format=kind, do_not_split_by_at_sign=True))
    except OSError:
        raise
    except Exception as error:  # each of ASE's many readers raises errors of its own
        raise _not_understood(path, error) from None
    _refuse_guesses(path, kind, found)
    for index, atoms in enumerate(found):
        for shared in atoms.info.get("occupancy", {}).values():  # of CIF
            if len(shared) > 1 or min(shared.values()) < 1.0 - 1e-6:
                raise InputError(
                    f"{path}, structure {index}: a site is occupied partially: {shared}"
                )
        for atom, part in enumerate(atoms.arrays.get("occupancy", ())):  # of PDB
            if 0 < part < 1:
                raise InputError(
                    f"{path}, structure {index}: atom {atom} has an occupancy of {part:g}"
                )
    return [_plain(atoms) for atoms in found]


def _refuse_guesses(path: Path, kind: str, found: list[Atoms]) -> None:
    """Refuse files that do not name their elements."""
    reason = _GUESSED.get(kind)
    if reason is None and kind in _NAMES_ELEMENTS:
        says, reason = _NAMES_ELEMENTS[kind]
        with open_with_compression(str(path)) as file:
            text = file.read()
        reason = None if says(text) else reason
    if reason is not None:
        raise InputError(f"{path}: {reason}, so ASE guesses the elements; write extended XYZ")
    if kind.startswith("lammps"):
        for atoms in found:
            masses = atoms.get_masses()
            off = np.abs(masses - atomic_masses[atoms.numbers]) > _MASS_ROUNDING
            if off.any():
                mass = masses[np.argmax(off)]
                raise InputError(f"{path}: the mass {mass:g} is that of no element")


def _every_atom_line_names_an_element(text: str) -> bool:
    lines = re.findall(r"^(?:ATOM  |HETATM).*$", text, re.MULTILINE)
    return all(line[76:78].strip() for line in lines)


def _has_symbols_line(text: str) -> bool:
    """Whether a POSCAR is of VASP 5: symbols come before the numbers of atoms."""
    lines = text.split("\n", 6)
    return len(lines) > 5 and bool(re.match(r"\s*[A-Z]", lines[5]))


_GUESSED = {
    "gromacs": "a .gro file names atoms, not elements",
    "gromos": "a GROMOS file names atoms, not elements",
    "dlp4": "a DL_POLY file names atoms, not elements",
    "dlp-history": "a DL_POLY file names atoms, not elements",
    "lammps-dump-binary": "a binary dump of LAMMPS has types, not elements",
}

_NAMES_ELEMENTS: dict[str, tuple[Callable[[str], bool], str]] = {
    "lammps-data": (
        lambda text: re.search(r"^\s*Masses\b", text, re.MULTILINE) is not None,
        "LAMMPS data without masses",
    ),
    "lammps-dump-text": (
        lambda text: all(
            "element" in header.split()
            for header in re.findall(r"^ITEM: ATOMS(.*)$", text, re.MULTILINE)
        ),
        "a dump of LAMMPS without the column element",
    ),
    "proteindatabank": (_every_atom_line_names_an_element, "PDB without the column of elements"),
    "vasp": (_has_symbols_line, "a POSCAR without a line of symbols"),
    "vasp-xdatcar": (_has_symbols_line, "an XDATCAR without a line of symbols"),
}


def _not_understood(path: Path, error: Exception) -> InputError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return InputError(f"{path}: not understood as a file of structures ({reason})")


def _plain(atoms: Atoms) -> Atoms:
    """Leave out columns of blank text, as of missing residue names, and objects in ``info``."""
    for name, column in list(atoms.arrays.items()):
        if column.dtype.kind == "U" and not any(text.strip() for text in column):
            del atoms.arrays[name]
    for key, value in atoms.info.items():
        if not isinstance(value, str | np.ndarray):
            atoms.info[key] = json.loads(json.dumps(value, default=_as_json))
    return atoms


def _as_json(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else getattr(value, "symbol", str(value))
