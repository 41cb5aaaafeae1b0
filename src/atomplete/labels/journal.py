"""The record of finished labels that a killed run leaves behind, and a rerun resumes from."""

import errno
import fcntl
import json
import os
import time
import warnings
from pathlib import Path
from types import TracebackType

import numpy as np
from ase import Atoms

from atomplete.data import content_hash
from atomplete.errors import InputError
from atomplete.labels.label import Label, LabelMethod, Settings

#: Seconds between flushes to the disk. A killed process loses nothing, for the system has each
#: line at once; a power failure loses at most the labels of this time.
SYNC_INTERVAL = 1.0


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
        If the file cannot be opened, is in use by another process, or has a line, other than
        the last, that is no label.

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
        try:
            self._file = self.path.open("ab+", buffering=0)
        except OSError as error:
            raise InputError(f"{path}: the journal cannot be opened ({error.strerror})") from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise InputError(f"{path}: another process is writing this journal") from None
        except OSError:
            pass  # some network file systems have no locks
        self._synced = time.monotonic()
        try:
            self._labels = self._read()
        except InputError:
            self._file.close()
            raise

    def _read(self) -> dict[str, Label]:
        self._file.seek(0)
        content = self._file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            warnings.warn(
                f"{self.path}: the last line is not complete; it is dropped and computed again",
                stacklevel=3,
            )
            self._file.truncate(whole)
        labels = {}
        for number, line in enumerate(content[:whole].splitlines(), start=1):
            try:
                key, label = _decode(line)
            except (ValueError, KeyError, TypeError):
                raise InputError(f"{self.path}, line {number}: this is no label") from None
            labels[key] = label
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
            The label, also a failed one; None if there is none.

        Examples
        --------
        See :class:`Journal`.
        """
        return self._labels.get(_key(content_hash([atoms]), method.name, method.settings))

    def append(self, atoms: Atoms, label: Label) -> None:
        """Add the label of a structure; it is in the file when this returns.

        Parameters
        ----------
        atoms
            The structure.
        label
            Its label.

        Examples
        --------
        See :class:`Journal`.
        """
        structure = content_hash([atoms])
        self._labels[_key(structure, label.method, label.settings)] = label
        line = _encode(structure, label)
        if self._file.write(line) < len(line):
            raise OSError(errno.ENOSPC, "the disk is full", str(self.path))
        if time.monotonic() - self._synced > SYNC_INTERVAL:
            os.fsync(self._file.fileno())
            self._synced = time.monotonic()

    def close(self) -> None:
        """Flush to the disk and let others write."""
        os.fsync(self._file.fileno())
        self._file.close()

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


def _key(structure: str, method: str, settings: Settings) -> str:
    return json.dumps([structure, method, settings], sort_keys=True)


def _encode(structure: str, label: Label) -> bytes:
    entry = {
        "structure": structure,
        "method": label.method,
        "settings": label.settings,
        "converged": label.converged,
        "energy": label.energy if label.converged else None,
        "forces": None if label.forces is None else label.forces.tolist(),
        "seconds": round(label.seconds, 6),
        "reason": label.reason,
    }
    return json.dumps(entry, sort_keys=True, allow_nan=False).encode() + b"\n"


def _decode(line: bytes) -> tuple[str, Label]:
    entry = json.loads(line)
    label = Label(
        energy=float("nan") if entry["energy"] is None else float(entry["energy"]),
        forces=None if entry["forces"] is None else np.array(entry["forces"], dtype=float),
        converged=bool(entry["converged"]),
        seconds=float(entry["seconds"]),
        method=entry["method"],
        settings=entry["settings"],
        reason=entry["reason"],
    )
    return _key(entry["structure"], label.method, label.settings), label
