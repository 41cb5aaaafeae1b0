"""Extended XYZ, frame by frame: cut files are caught, and no digit is lost.

ASE parses each frame and builds each header. Left to itself it ends silently at a blank line
or at a number that lost its tail, and it writes positions with eight decimals, which is coarser
than what separates nearly degenerate structures.
"""

import gzip
import zlib
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io.extxyz import output_column_format, read_xyz, save_calc_results
from ase.stress import voigt_6_to_full_3x3_stress

from atomplete.errors import InputError


def parse_file(path: Path) -> list[Atoms]:
    """All frames of an extended XYZ file, plain or compressed with gzip.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    list of Atoms
        Lengths in Å, energies in eV, as ASE reads them.

    Raises
    ------
    InputError
        If the file is not text, is cut short, or has a frame that ASE does not understand.

    Examples
    --------
    >>> parse_file(Path("absent.xyz"))
    Traceback (most recent call last):
    FileNotFoundError: [Errno 2] No such file or directory: 'absent.xyz'
    """
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8") as file:
            text = file.read()
    except (UnicodeDecodeError, EOFError, zlib.error, gzip.BadGzipFile):
        raise InputError(f"{path} is not an extended XYZ file, or was cut short") from None
    structures = []
    for index, frame in enumerate(_frames(text, path)):
        try:
            structures.append(next(read_xyz(StringIO(frame), index=0)))
        except Exception as error:  # ASE raises many types for text that it cannot take
            reason = " ".join(str(error).split()) or type(error).__name__
            if isinstance(error, KeyError) and error.args[0] in frame.split():
                reason = f"{reason} is no element"
            raise InputError(
                f"{path}, structure {index}: not understood as extended XYZ ({reason})"
            ) from None
    return structures


def _frames(text: str, path: Path) -> Iterator[str]:
    """Cut the text into frames by their announced numbers of atoms."""
    lines = text.split("\n")
    ends_in_newline = lines[-1] == ""
    start, index = 0, 0
    while start < len(lines):
        if not lines[start].strip():
            start += 1
            continue
        try:
            n_atoms = int(lines[start])
        except ValueError:
            raise InputError(
                f"{path}, structure {index}: line {start + 1} must hold the number of atoms, "
                f"not {lines[start][:40]!r}"
            ) from None
        stop = start + 2 + n_atoms
        atom_lines = lines[start + 2 : stop]
        found = sum(bool(line.strip()) for line in atom_lines)
        if found < n_atoms or n_atoms < 0:
            raise InputError(
                f"{path}, structure {index}: it announces {n_atoms} atoms but has {found}; "
                "is the file cut short?"
            )
        cut = stop == len(lines) and not ends_in_newline and n_atoms > 0
        if cut and _lost_its_tail(atom_lines):
            raise InputError(
                f"{path}, structure {index}: the last line ends within a number "
                f"({atom_lines[-1][-40:]!r}); if it is whole, end it with a newline"
            )
        while stop < len(lines) and lines[stop].lstrip().startswith("VEC"):
            stop += 1  # cell vectors as pseudo-atoms
        yield "\n".join(lines[start:stop]) + "\n"
        start, index = stop, index + 1


def _lost_its_tail(atom_lines: list[str]) -> bool:
    """Tell whether the last number of a frame has fewer decimals than its neighbours."""
    rows = [line.split() for line in atom_lines]
    others = [_decimals(row[-1]) for row in rows[:-1]]
    if not others:  # a single atom: its own other coordinates
        others = [_decimals(field) for field in rows[-1][1:-1]] or [0]
    # numbers printed in full differ by a few decimals, numbers in a fixed format by none
    expected = others[0] if len(set(others)) == 1 else max(others) - 3
    return _decimals(rows[-1][-1]) < expected


def _decimals(number: str) -> int:
    return len(number.lower().partition("e")[0].partition(".")[2])


def frame_text(atoms: Atoms) -> str:
    """One structure as extended XYZ, every number with all its digits.

    Results of an attached calculator are written as ASE does (``energy``, ``forces``, ...);
    constraints are not.

    Parameters
    ----------
    atoms
        The structure.

    Returns
    -------
    str
        Header and atom lines, each ended by a newline.

    Raises
    ------
    ValueError
        For ``info`` that does not fit on one line.

    Examples
    --------
    >>> print(frame_text(Atoms("H", positions=[[0.1, 0.0, 1 / 3]])), end="")
    1
    Properties=species:S:1:pos:R:3 pbc="F F F"
    H 0.1 0.0 0.3333333333333333
    """
    plain = atoms.copy()
    if atoms.calc is not None:
        save_calc_results(plain, atoms.calc, calc_prefix="", force=True)
        stress = plain.info.get("stress")
        if stress is not None and np.shape(stress) == (6,):
            plain.info["stress"] = voigt_6_to_full_3x3_stress(stress)
    names = ["symbols", "positions"] + [
        k for k in plain.arrays if k not in ("numbers", "positions")
    ]
    arrays = {"symbols": np.array(plain.get_chemical_symbols())} | plain.arrays
    header, _, _, _ = output_column_format(plain, names, arrays)
    if "\n" in header:
        raise ValueError("its info holds a line break")
    columns = [
        np.reshape(arrays[name], (len(plain), -1)) for name in names
    ]  # each (atom, component)
    lines = [str(len(plain)), header]
    for rows in zip(*columns, strict=True):
        lines.append(" ".join(_field(value) for row in rows for value in row))
    return "\n".join(lines) + "\n"


def _field(value: object) -> str:
    return "FT"[int(value)] if isinstance(value, np.bool_) else str(value)
