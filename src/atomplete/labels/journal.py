"""The record of finished labels that a killed run leaves behind, and a rerun resumes from."""

import errno
import json
import os
import time
import warnings
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from ase import Atoms

from atomplete.data import content_hash, read_structures
from atomplete.data.xyz import XYZ_SUFFIXES
from atomplete.errors import InputError
from atomplete.labels.label import Label, LabelMethod, Settings
from atomplete.labels.labelled import label_of
from atomplete.runs.disk import reporting_disk
from atomplete.runs.lock import Lock

#: Seconds between flushes to the disk. A killed process loses nothing, for the system has each
#: line at once; a power failure loses at most the labels of this time.
SYNC_INTERVAL = 1.0

#: Energies (eV) and forces (eV/Å) of two machines that differ by more contradict each other.
ENERGY_TOLERANCE, FORCE_TOLERANCE = 1e-5, 1e-3

# of a line that is no label, or no JSON at all
_NO_LABEL = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
)


class Journal:
    """Append-only file of labels, one JSON object a line, for one writer at a time.

    Each line names the structure by its content, the method and its settings, so one journal
    may serve several methods. A last line without its end, from a process killed in mid-write,
    is cut off with a warning.

    Parameters
    ----------
    path
        The file; it is made if it does not exist.

    Raises
    ------
    InputError
        If the file cannot be opened or written, is in use by another process, or has a line,
        other than the last, that is no label.

    Examples
    --------
    >>> import tempfile
    >>> from atomplete.labels import XTB
    >>> h2 = Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.74]])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Journal(Path(folder) / "journal.jsonl") as journal:
    ...         journal.append(h2, Label(-31.7, None, True, 0.01, "xtb", XTB().settings))
    ...     with Journal(Path(folder) / "journal.jsonl") as journal:
    ...         journal.find(h2, XTB())
    Label(xtb, -31.700000 eV)
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open, lock and read the file."""
        self.path = Path(path)
        if self.path.exists() and not self.path.is_file():
            raise InputError(f"{path}: the journal cannot be opened (it is no regular file)")
        self._lock = Lock(self.path.with_name(f".{self.path.name}.lock"), self.path)
        try:
            self._labels = self._opened()
        except BaseException:
            self._lock.release()
            raise
        self._synced = time.monotonic()

    def _opened(self) -> dict[str, Label]:
        """Open the file for more labels; returns those in it."""
        try:
            self._file = self.path.open("ab+", buffering=0)
        except OSError as error:
            raise InputError(
                f"{self.path}: the journal cannot be opened ({error.strerror})"
            ) from None
        try:
            labels, whole = _read(self.path)
            if whole < self.path.stat().st_size:
                if not _is_torn(self.path.read_bytes()[whole:]):
                    raise InputError(f"{self.path}, last line: this is no label")
                warnings.warn(
                    f"{self.path}: the last line is not complete; it is dropped and computed again",
                    stacklevel=3,
                )
                self._file.truncate(whole)
        except InputError:
            self._file.close()
            raise
        return labels

    def find(self, atoms: Atoms, method: LabelMethod) -> Label | None:
        """Look up the label of a structure.

        Parameters
        ----------
        atoms
            The structure; its ``info`` does not matter.
        method
            The method; its settings must be the same.

        Returns
        -------
        Label or None
            The label, also a failed one; None if there is none that fits the structure.

        Examples
        --------
        See :class:`Journal`.
        """
        label = self._labels.get(_key(content_hash([atoms]), method.name, method.settings))
        return None if label is None or label.misfit(atoms) else label

    def append(self, atoms: Atoms, label: Label) -> None:
        """Add the label of a structure; it is in the file when this returns.

        Parameters
        ----------
        atoms
            The structure.
        label
            Its label.

        Raises
        ------
        InputError
            If the file cannot be written; what it held before stays whole.

        Examples
        --------
        See :class:`Journal`.
        """
        self._append(_key(content_hash([atoms]), label.method, label.settings), label)

    def _append(self, key: str, label: Label) -> None:
        line = _encode(json.loads(key)[0], label)
        with reporting_disk(self.path):
            written = self._file.write(line)
            if written < len(line):
                self._file.truncate(self.path.stat().st_size - written)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if time.monotonic() - self._synced > SYNC_INTERVAL:
                os.fsync(self._file.fileno())
                self._synced = time.monotonic()
        self._labels[key] = label

    def merge(self, path: str | os.PathLike[str]) -> list[str]:
        """Add the labels that another journal, or a labelled file, has and this one lacks.

        A label takes the place of a failure; where both have a label, this one's stays. The
        other file is only read, and may still be in use: a last line without its end is left out.

        Parameters
        ----------
        path
            The other journal, or extended XYZ that :func:`~atomplete.labels.label_file` wrote.

        Returns
        -------
        list of str
            One sentence for each structure whose two labels contradict each other: by more
            than 1e-5 eV, by 1e-3 eV/Å in a force, or by one having forces and the other none.

        Raises
        ------
        InputError
            If the other file cannot be read as a journal, or as labelled structures.

        Examples
        --------
        >>> import tempfile
        >>> h2 = Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.74]])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name, energy in (("a", -31.7), ("b", -31.9)):
        ...         with Journal(Path(folder) / name) as journal:
        ...             journal.append(h2, Label(energy, None, True, 0.01, "xtb", {}))
        ...     with Journal(Path(folder) / "a") as journal:
        ...         print(journal.merge(Path(folder) / "b")[0].partition(": ")[2])
        xtb labels of structure e06758fe1e54: -31.700000 and -31.900000 eV
        """
        conflicts = []
        for key, theirs in _labels_of(Path(path)).items():
            ours = self._labels.get(key)
            if ours is None or (theirs.converged and not ours.converged):
                self._append(key, theirs)
            elif ours.converged and theirs.converged and (how := _contradiction(ours, theirs)):
                structure = json.loads(key)[0][:12]
                conflicts.append(f"{path}: {ours.method} labels of structure {structure}: {how}")
        return conflicts

    def close(self) -> None:
        """Flush to the disk and let others write."""
        try:
            with self._file, reporting_disk(self.path):
                os.fsync(self._file.fileno())
        finally:
            self._lock.release()

    def __enter__(self) -> "Journal":
        """Use the journal in a ``with`` block, which closes it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close, whatever happened."""
        self.close()


def check_journal(path: str | os.PathLike[str]) -> None:
    """Refuse a journal that could not be merged, before the work begins.

    Parameters
    ----------
    path
        The file, a journal or labelled structures.

    Raises
    ------
    InputError
        If it can be read as neither.

    Examples
    --------
    >>> check_journal("absent.jsonl")
    Traceback (most recent call last):
    atomplete.errors.InputError: absent.jsonl: the journal cannot be read (No such file or \
directory)
    """
    _labels_of(Path(path))


def _labels_of(path: Path) -> dict[str, Label]:
    """Labels by key of a journal or of labelled structures."""
    if not path.name.removesuffix(".gz").lower().endswith(XYZ_SUFFIXES):
        return _read(path)[0]
    labels = {}
    for index, atoms in enumerate(read_structures(path)):
        label = label_of(atoms, f"{path}, structure {index}")
        labels[_key(content_hash([atoms]), label.method, label.settings)] = label
    return labels


def _read(path: Path) -> tuple[dict[str, Label], int]:
    """Labels by key, and the number of bytes in whole lines."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: the journal cannot be read ({error.strerror})") from None
    whole = content.rfind(b"\n") + 1
    labels = {}
    for number, line in enumerate(content[:whole].splitlines(), start=1):
        try:
            key, label = _decode(line)
        except _NO_LABEL:
            raise InputError(f"{path}, line {number}: this is no label") from None
        labels[key] = label
    return labels, whole


def _is_torn(line: bytes) -> bool:
    """Tell the beginning of a label from the text of somebody else."""
    if not line.startswith(b'{"'[: len(line)]):
        return False
    try:
        json.loads(line)
    except ValueError:
        return True
    try:
        _decode(line)
    except _NO_LABEL:
        return False
    return True


def _contradiction(ours: Label, theirs: Label) -> str | None:
    if abs(ours.energy - theirs.energy) > ENERGY_TOLERANCE:
        return f"{ours.energy:.6f} and {theirs.energy:.6f} eV"
    if (ours.forces is None) != (theirs.forces is None):
        return "one with forces, one without"
    if ours.forces is not None and theirs.forces is not None:
        if ours.forces.shape != theirs.forces.shape:
            return "forces on different numbers of atoms"
        difference = np.abs(ours.forces - theirs.forces).max()
        if difference > FORCE_TOLERANCE:
            return f"forces that differ by {difference:.2g} eV/Å"
    return None


def _key(structure: str, method: str, settings: Settings) -> str:
    return json.dumps([structure, method, settings], sort_keys=True)


def _encode(structure: str, label: Label) -> bytes:
    entry: dict[str, Any] = {"structure": structure, **vars(label)}
    entry["energy"] = label.energy if label.converged else None
    entry["seconds"] = round(label.seconds, 6)
    for name in ("forces", "stress"):
        if entry[name] is not None:
            entry[name] = entry[name].tolist()
    return json.dumps(entry, sort_keys=True, allow_nan=False).encode() + b"\n"


def _decode(line: bytes) -> tuple[str, Label]:
    entry = json.loads(line)
    structure = entry.pop("structure")
    for name in ("forces", "stress"):
        if entry.get(name) is not None:
            entry[name] = np.array(entry[name], dtype=float)
    entry["energy"] = float("nan" if entry["energy"] is None else entry["energy"])
    label = Label(**entry)
    return _key(structure, label.method, label.settings), label
