"""Headers of extended XYZ: what a reader would take from them without a word is refused here."""

import re
from collections import Counter
from collections.abc import Sequence

from ase.data import atomic_numbers

_QUOTED = r""""(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|{[^}]*}|\[[^]]*\]"""
_PROPERTIES = re.compile(r"""(?:^|\s)Properties\s*=\s*["']?([^\s"']+)""")


def check_header(header: str, atom_lines: Sequence[str]) -> None:
    """Refuse a header of which entries or columns would be lost.

    Parameters
    ----------
    header
        The second line of a frame.
    atom_lines
        The lines of its atoms.

    Raises
    ------
    ValueError
        For a name that is given twice, quotes that are not closed, columns without a name or
        without numbers, and two columns of species that differ.

    Examples
    --------
    >>> check_header("energy=-1.0 pbc='F F F' energy=-2.0", [])
    Traceback (most recent call last):
    ValueError: its header gives energy twice
    """
    if "=" not in header:  # a comment
        return
    bare = re.sub(_QUOTED, "-", header)
    if re.search(r"""(?<!\\)["'{\[]""", bare):
        raise ValueError(f"its header opens a quote or bracket that it does not close: {bare:.80}")
    names = re.findall(r"(?:^|\s)([^\s=]+)\s*=", bare)
    found = _PROPERTIES.search(header)
    columns = _columns(found[1]) if found else []
    names += [name for name, _ in columns]
    for name, count in Counter(names).items():
        if count > 1:
            raise ValueError(f"its header gives {name} twice")
    width = sum(width for _, width in columns)
    for number, line in enumerate(atom_lines if columns else ()):
        fields = line.split()
        if len(fields) != width:
            what = f"atom {number} has {len(fields)} fields, the header names {width}"
            # before ASE makes room for as many as it names
            raise ValueError(f"not understood as extended XYZ ({what})")
    _compare_species(columns, atom_lines)


def _columns(properties: str) -> list[tuple[str, int]]:
    """Names and widths of the columns; none if they are not understood, which ASE then says."""
    parts = properties.split(":")
    try:
        return [(parts[k], int(parts[k + 2])) for k in range(0, len(parts), 3)]
    except (IndexError, ValueError):
        return []


def _compare_species(columns: list[tuple[str, int]], atom_lines: Sequence[str]) -> None:
    """Refuse a column Z that contradicts the symbols, over which it would win."""
    starts, start = {}, 0
    for name, width in columns:
        starts[name] = start
        start += width
    if not {"species", "Z"} <= starts.keys():
        return
    for number, line in enumerate(atom_lines):
        fields = line.split()
        if len(fields) < start:
            continue  # which ASE refuses
        symbol, z = fields[starts["species"]], fields[starts["Z"]]
        if str(atomic_numbers.get(symbol.capitalize())) != z:
            raise ValueError(f"atom {number} is {symbol} by its species and {z} by its Z")
