"""Structures in and out of files, with one clear sentence for what cannot be read."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms

from atomplete.data.extxyz import OPENERS, frame_text, parse_file
from atomplete.data.formats.through_ase import format_of, read_format
from atomplete.data.properties import labels
from atomplete.data.validation import validate
from atomplete.errors import InputError
from atomplete.runs.files import atomic_write, check_replaceable

#: Suffixes of files in the extended XYZ format; that of a compression may follow in a file
#: that is read.
XYZ_SUFFIXES = (".xyz", ".extxyz")


def read_structures(path: str | os.PathLike[str]) -> list[Atoms]:
    """Read and check all structures of a file.

    Parameters
    ----------
    path
        Extended XYZ, also compressed (``.gz``, ``.bz2``, ``.xz``), or any other format that ASE
        recognises.

    Returns
    -------
    list of Atoms
        At least one structure; lengths in Å, labels in eV and eV/Å.

    Raises
    ------
    InputError
        If the file is missing, empty, cut short or not understood, or if one of its structures
        fails :func:`~atomplete.data.validation.validate`.

    Examples
    --------
    >>> read_structures("absent.xyz")
    Traceback (most recent call last):
    atomplete.errors.InputError: absent.xyz: there is no such file
    """
    return [or_raise(atoms) for atoms in read_each(path)]


def read_each(path: str | os.PathLike[str]) -> list[Atoms | InputError]:
    """Read and check all structures of a file; what is wrong with one stands in its place.

    Parameters
    ----------
    path
        As in :func:`read_structures`; in other formats than extended XYZ, one structure that is
        not understood makes the whole file unreadable.

    Returns
    -------
    list of Atoms or InputError
        At least one.

    Raises
    ------
    InputError
        If the file is missing, empty or not understood.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "a.xyz"
    ...     _ = path.write_text("1\\n\\nH 0 0 0\\n1\\n\\nH 0 0 zero\\n")
    ...     good, bad = read_each(path)
    >>> len(good), str(bad).partition(", ")[2][:30]
    (1, 'structure 1: not understood as')
    """
    path = Path(path)
    if not path.is_file():
        kind = "it is a folder, not a file" if path.is_dir() else "there is no such file"
        raise InputError(f"{path}: {kind}")
    try:
        found = _parse(path)
    except OSError as error:
        raise InputError(f"{path}: it cannot be read ({error.strerror or error})") from None
    if not found:
        raise InputError(f"{path}: the file holds no structures")
    for index, atoms in enumerate(found):
        try:
            validate(or_raise(atoms), f"{path}, structure {index}")
        except InputError as error:
            found[index] = error
    return found


def or_raise(atoms: Atoms | InputError) -> Atoms:
    """The structure, unless something is wrong with it."""
    if isinstance(atoms, InputError):
        raise atoms
    return atoms


def _parse(path: Path) -> list[Atoms | InputError]:
    name = path.with_suffix("") if path.suffix.lower() in OPENERS else path
    if name.suffix.lower() in XYZ_SUFFIXES:
        return parse_file(path)
    kind = format_of(path)
    if kind in ("xyz", "extxyz"):
        return parse_file(path)
    return [*read_format(path, kind)]


def write_structures(path: str | os.PathLike[str], structures: Sequence[Atoms]) -> None:
    """Write extended XYZ that reads back bit for bit; the file appears whole or not at all.

    Parameters
    ----------
    path
        A name that ends in ``.xyz`` or ``.extxyz``, in a folder that exists.
    structures
        The structures, with their ``info``, arrays and calculator results (energy in eV,
        forces in eV/Å). Constraints are not written.

    Raises
    ------
    InputError
        For another suffix, no structures, or a structure that the format cannot hold.

    Examples
    --------
    >>> import tempfile
    >>> h2 = Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.74]], info={"pair_id": 3})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_structures(Path(folder) / "h2.xyz", [h2])
    ...     print(read_structures(Path(folder) / "h2.xyz")[0].info["pair_id"])
    3
    """
    path = Path(path)
    check_output(path)
    if len(structures) == 0:
        raise InputError(f"{path}: there are no structures to write")
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for index, atoms in enumerate(structures):
            file.write(frame(atoms, f"{path}, structure {index}"))


def frame(atoms: Atoms, name: str) -> str:
    """One structure as it is written; ``InputError`` by its name if it cannot be read back."""
    try:
        return frame_text(atoms)
    except Exception as error:  # ASE raises many types for what it cannot write
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{name}: it does not fit extended XYZ ({reason})") from None


def check_output(path: Path, source: str | os.PathLike[str] | None = None) -> None:
    """Refuse a path that :func:`write_structures` could not write to, before the work begins.

    Parameters
    ----------
    path
        The file to be written.
    source
        A file that is read, and must not be written over.

    Raises
    ------
    InputError
        For a suffix that is not extended XYZ's, a folder that does not exist, or what
        :func:`~atomplete.runs.files.check_replaceable` refuses.

    Examples
    --------
    >>> check_output(Path("labels.txt"))
    Traceback (most recent call last):
    atomplete.errors.InputError: labels.txt: the name must end in .xyz or .extxyz
    """
    if path.suffix.lower() not in XYZ_SUFFIXES:
        raise InputError(f"{path}: the name must end in {' or '.join(XYZ_SUFFIXES)}")
    if not path.parent.is_dir():
        raise InputError(f"{path}: it lies in a folder that does not exist")
    check_replaceable(path, source)


def energies(structures: Sequence[Atoms], path: str | os.PathLike[str]) -> np.ndarray:
    """Energy labels of structures that were read from a file.

    Parameters
    ----------
    structures
        The structures; labels are found as :func:`~atomplete.data.properties.label` does.
    path
        The file they come from, for the message.

    Returns
    -------
    ndarray, shape (structure,)
        Energies in eV, float64.

    Raises
    ------
    InputError
        If a structure has no energy, or one that is not finite.

    Examples
    --------
    >>> from ase.calculators.singlepoint import SinglePointCalculator
    >>> h2 = Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.74]])
    >>> h2.calc = SinglePointCalculator(h2, energy=-31.7)
    >>> energies([h2], "h2.xyz")
    array([-31.7])
    """
    names = [f"{path}, structure {index}" for index in range(len(structures))]
    found = labels(structures, "energy", names=names)
    for name, value in zip(names, found, strict=True):
        if value is None:
            raise InputError(f"{name}: it has no energy")
    return np.array(found, dtype=float)
