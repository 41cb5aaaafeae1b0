"""Extended XYZ, frame by frame: cut files are caught, and no digit is lost.

ASE parses each frame and builds each header. Left to itself it ends silently at a blank line
or at a number that lost its tail, and it writes positions with eight decimals, which is coarser
than what separates nearly degenerate structures.
"""

import bz2
import gzip
import json
import lzma
import re
import warnings
import zlib
from collections.abc import Callable, Container
from functools import lru_cache
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import all_properties
from ase.constraints import FixAtoms, FixCartesian
from ase.io.extxyz import (
    key_val_dict_to_str,
    key_val_str_to_dict,
    output_column_format,
    read_xyz,
    save_calc_results,
)
from ase.stress import voigt_6_to_full_3x3_stress

from atomplete.data.formats.header import check_header
from atomplete.errors import InputError

#: What opens a compressed file, by its suffix.
OPENERS: dict[str, Callable[..., IO[Any]]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}

# ASE takes the next entry for the value of an empty text; quoted text that is not empty comes first
_EMPTY = re.compile(
    r"""("(?:\\.|[^"\\])+"|'(?:\\.|[^'\\])+'|{[^}]*}|\[[^]]*\])|=(?:""|'')(?=\s|$)"""
)
_NUMBER_OF_ATOMS = re.compile(r"\s*[+-]?\d+\s*")


def parse_file(path: Path) -> list[Atoms | InputError]:
    """All frames of an extended XYZ file, plain or compressed; what is wrong stands for a bad one.

    A frame begins with a line that holds nothing but the number of atoms. Nothing else in a
    frame does, but for a comment, so that a broken frame does not hide those after it.

    Parameters
    ----------
    path
        The file; ``.gz``, ``.bz2`` and ``.xz`` are unpacked.

    Returns
    -------
    list of Atoms or InputError
        Lengths in Å, energies in eV, as ASE reads them; an error names file and structure.

    Raises
    ------
    InputError
        If the file cannot be unpacked.

    Examples
    --------
    >>> parse_file(Path("absent.xyz"))
    Traceback (most recent call last):
    FileNotFoundError: [Errno 2] No such file or directory: 'absent.xyz'
    """
    try:
        with OPENERS.get(path.suffix.lower(), open)(path, "rb") as file:
            lines = file.read().decode("utf-8-sig", errors="replace").split("\n")
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile):
        raise InputError(f"{path} is not a compressed file, or was cut short") from None
    ends_in_newline = lines[-1] == ""
    starts: list[int] = []
    for number, line in enumerate(lines):
        is_comment = starts and starts[-1] == number - 1
        if _NUMBER_OF_ATOMS.fullmatch(line) and not is_comment:
            starts.append(number)
    if any(line.strip() for line in lines[: starts[0] if starts else None]):
        starts.insert(0, 0)
    found: list[Atoms | InputError] = []
    for start, end in pairwise([*starts, len(lines)]):
        cut = end == len(lines) and not ends_in_newline
        try:
            found.append(_frame(lines[start:end], start, cut))
        except ValueError as error:
            found.append(InputError(f"{path}, structure {len(found)}: {error}"))
    return found


def parse_frame(text: str) -> Atoms:
    """One structure from what ``frame_text`` gave.

    Raises
    ------
    ValueError
        For another text.

    Examples
    --------
    >>> found = parse_frame(frame_text(Atoms("H", positions=[[0.1, 0.0, 1 / 3]])))
    >>> bool(found.positions[0, 2] == 1 / 3)
    True
    """
    return _frame(text.split("\n"), 0, False)


def _frame(lines: list[str], start: int, may_be_cut: bool) -> Atoms:
    """One structure from its lines, the first of which is line ``start`` of the file, from zero."""
    if not _NUMBER_OF_ATOMS.fullmatch(lines[0]):
        raise ValueError(f"line {start + 1} must hold the number of atoms, not {lines[0][:40]!r}")
    while len(lines) > 2 and not lines[-1].strip():
        lines = lines[:-1]
    text = "\n".join(lines) + "\n"
    if "\ufffd" in text:
        raise ValueError("not understood as extended XYZ (it is not all text)")
    # cell vectors as pseudo-atoms may follow the atoms
    atom_lines = [line for line in lines[2:] if not line.lstrip().startswith("VEC")]
    if len(atom_lines) != int(lines[0]):
        raise ValueError(
            f"it announces {int(lines[0])} atoms but has {len(atom_lines)}; is the file cut short?"
        )
    if may_be_cut and atom_lines and _lost_its_tail(atom_lines):
        raise ValueError(
            f"the last line ends within a number ({atom_lines[-1][-40:]!r}); if it is whole, "
            "end it with a newline"
        )
    check_header("".join(lines[1:2]), atom_lines)
    header = _EMPTY.sub(lambda match: match[1] or '="_JSON \\"\\""', "".join(lines[1:2]))
    text = "\n".join([lines[0], header, *lines[2:]]) + "\n"
    try:
        return next(read_xyz(StringIO(text), index=0))
    except Exception as error:  # ASE raises many types for text that it cannot take
        reason = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, KeyError) and error.args[0] in text.split():
            reason = f"{reason} is no element"
        raise ValueError(f"not understood as extended XYZ ({reason})") from None


def _lost_its_tail(atom_lines: list[str]) -> bool:
    """Tell whether the last number of a frame has fewer decimals than its neighbours."""
    rows = [line.split() for line in atom_lines]
    others = [_decimals(row[-1]) for row in rows[:-1]]
    if not others:  # a single atom: its own other coordinates
        others = [_decimals(field) for field in rows[-1][1:-1]] or [0]
    # numbers printed in full differ by a few decimals, numbers in a fixed format by none
    expected = others[0] if len(set(others)) == 1 else max(others) - 3
    _, has_exponent, exponent = rows[-1][-1].lower().partition("e")
    if has_exponent and len(exponent.lstrip("+-")) < 2:  # all programs print two digits
        return True
    return _decimals(rows[-1][-1]) < expected


def _decimals(number: str) -> int:
    return len(number.lower().partition("e")[0].partition(".")[2])


def frame_text(atoms: Atoms) -> str:
    """One structure as extended XYZ, every number with all its digits.

    Results of an attached calculator are written as ASE does (``energy``, ``forces``, ...), and
    so are atoms that may not move. Text in ``info`` that ASE would read as a number, a truth value
    or otherwise is written as JSON, which ASE reads.

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
        For ``info``, arrays, results or constraints that would not be read back as they are.

    Examples
    --------
    >>> print(frame_text(Atoms("H", positions=[[0.1, 0.0, 1 / 3]], info={"id": "007"})), end="")
    1
    Properties=species:S:1:pos:R:3 id="_JSON \\"007\\"" pbc="F F F"
    H 0.1 0.0 0.3333333333333333
    """
    plain = atoms.copy()
    if atoms.calc is not None:
        save_calc_results(plain, atoms.calc, calc_prefix="", force=True)
        stress = plain.info.get("stress")
        if stress is not None and np.shape(stress) == (6,):
            plain.info["stress"] = voigt_6_to_full_3x3_stress(stress)
    mask = _move_mask(atoms)
    if not mask.all():
        whole_atoms = (mask.all(1) == mask.any(1)).all()
        plain.set_array("move_mask", mask[:, 0] if whole_atoms else mask)
    plain.info = {key: _readable(key, value) for key, value in plain.info.items()}
    names = ["symbols", "positions"] + [
        k for k in plain.arrays if k not in ("numbers", "positions")
    ]
    arrays = {"symbols": np.array(plain.get_chemical_symbols())} | plain.arrays
    with warnings.catch_warnings(action="ignore"):  # of what is left out, which is found below
        header, _, _, _ = output_column_format(plain, names, arrays)
    columns = [
        np.reshape(arrays[name], (len(plain), -1)) for name in names
    ]  # each (atom, component)
    lines = [str(len(plain)), header]
    for rows in zip(*columns, strict=True):
        lines.append(" ".join(_field(value) for row in rows for value in row))
    _check_reading(lines, atoms)
    text = "\n".join(lines) + "\n"
    text.encode()  # half a character has no place in a file
    return text


def _field(value: object) -> str:
    return "FT"[int(value)] if isinstance(value, np.bool_) else str(value)


def _readable(key: str, value: Any) -> Any:
    """The value, as JSON if it is text, or nothing, that ASE would read as something else."""
    if value is None or (isinstance(value, str) and not _is_read_as_text(key, value)):
        # ASE takes a backslash for an escape, and does not escape it
        return f"_JSON {json.dumps(value)}".replace("\\", "\\\\")
    return value


@lru_cache(maxsize=1000)
def _is_read_as_text(key: str, value: str) -> bool:
    back = key_val_str_to_dict(key_val_dict_to_str({key: value}))
    return list(back) == [key] and isinstance(back[key], str) and back[key] == value


def _check_reading(lines: list[str], atoms: Atoms) -> None:
    """Refuse a frame that is not read as the structure that it was written from."""
    back = _frame(lines, 0, False)
    if not np.array_equal(_move_mask(back), _move_mask(atoms)):
        raise ValueError("constraints would be read as others")
    results = {} if atoms.calc is None else atoms.calc.results
    written = {**atoms.info, **atoms.arrays}  # ASE takes what is named like a result for one
    labels = {k: v for k, v in {**written, **results}.items() if k in all_properties}
    found = {} if back.calc is None else back.calc.results
    for one, other in (
        ({"cell": atoms.cell.array, "pbc": atoms.pbc}, {"cell": back.cell.array, "pbc": back.pbc}),
        (_without(atoms.info, labels), back.info),
        (_without(atoms.arrays, labels), back.arrays),
        ({name: _as_written(name, value) for name, value in labels.items()}, found),
    ):
        for name in {**one, **other}:
            value, read = one.get(name, _NOTHING), other.get(name, _NOTHING)
            if not _same(_as_written(name, read) if other is found else read, value):
                reason = f"{name} = {value!r} would be read as {read!r}"
                raise ValueError(" ".join(reason.split()))


_NOTHING = "nothing"


def _without(entries: dict[str, Any], names: Container[str]) -> dict[str, Any]:
    return {name: value for name, value in entries.items() if name not in names}


def _as_written(name: str, value: Any) -> Any:
    """Stresses as the full matrix, and columns of any shape as a flat one."""
    if np.shape(value) == (6,) and name == "stress":
        return voigt_6_to_full_3x3_stress(value)
    return np.reshape(value, (len(value), -1)) if np.ndim(value) > 2 else value


def _move_mask(atoms: Atoms) -> np.ndarray:
    """Coordinates that may move, (atom, xyz), which is all of a constraint that can be written."""
    mask = np.ones((len(atoms), 3), dtype=bool)
    for constraint in atoms.constraints:
        if isinstance(constraint, FixAtoms):
            mask[constraint.index] = False
        elif isinstance(constraint, FixCartesian):
            mask[constraint.index] &= ~constraint.mask
        else:
            raise ValueError(f"a constraint {type(constraint).__name__} has no place in it")
    return mask


def _same(one: Any, other: Any) -> bool:
    for kind in (dict, str, type(None)):
        if isinstance(one, kind) or isinstance(other, kind):
            return isinstance(one, kind) and isinstance(other, kind) and bool(one == other)
    if np.asarray(other).dtype.kind in "fc":
        return np.array_equal(one, other, equal_nan=True)
    return np.array_equal(one, other)
