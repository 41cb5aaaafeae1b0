"""Unit factors and sizes of memory; energies are in eV and lengths in Å everywhere else.

The values are CODATA 2018, as in PySCF's own conversion of Å to Bohr to within 1e-10.
"""

import re

from atomplete.errors import InputError

#: One Hartree in eV.
HARTREE = 27.211386245988

#: One Bohr radius in Å.
BOHR = 0.529177210903

#: Energy of two electrons times their distance, eV Å.
COULOMB = HARTREE * BOHR

#: One Hartree per Bohr in eV/Å.
HARTREE_PER_BOHR = HARTREE / BOHR

_BYTES = {"": 1e9, "B": 1} | {
    f"{prefix}{binary}B": (1024 if binary else 1000) ** (power + 1)
    for power, prefix in enumerate("KMGT")
    for binary in ("", "i")
}


def bytes_of(size: str | float) -> int:
    """Bytes of a size like ``4GB``, ``512 MiB`` or ``1.5``; a plain number is in GB.

    Raises
    ------
    InputError
        If it is none.

    Examples
    --------
    >>> bytes_of("512MB"), bytes_of("4 GiB"), bytes_of(1.5)
    (512000000, 4294967296, 1500000000)
    """
    match = re.fullmatch(r"\s*([0-9.]+(?:[eE][+-]?[0-9]+)?)\s*([A-Za-z]*)\s*", str(size))
    units = {unit.lower(): factor for unit, factor in _BYTES.items()}
    try:
        found = int(float(match[1]) * units[match[2].lower()]) if match else 0
    except (ValueError, KeyError, OverflowError):
        found = 0
    if found <= 0:
        raise InputError(f"{size!r} is not a size like 4GB, 512 MiB or 1.5 (in GB)")
    return found
