"""A disk that is full, or cannot be written: one sentence, and no crash."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

from atomplete.errors import InputError


@contextmanager
def reporting_disk(path: str | PathLike[str]) -> Iterator[None]:
    """Say in one sentence that a file cannot be written, as on a full disk.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    InputError
        In place of an ``OSError`` inside the block.

    Examples
    --------
    >>> with reporting_disk("a.xyz"):
    ...     raise OSError(28, "No space left on device")
    Traceback (most recent call last):
    atomplete.errors.InputError: a.xyz: it cannot be written (No space left on device); what is \
finished is kept, and the same command goes on from there
    """
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{path}: it cannot be written ({error.strerror or error}); what is finished is kept, "
            "and the same command goes on from there"
        ) from error


class Tolerant:
    """A file for libraries that crash, or lose the reason, where a write fails.

    It takes what it is given after a failure too, so that the library closes its file in peace.

    Attributes
    ----------
    error
        The first failure; :func:`open_tolerant` raises it at the end.
    """

    def __init__(self, file: io.FileIO) -> None:
        self._file = file
        self.error: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        """Reading and seeking are those of the file."""
        return getattr(self._file, name)

    def write(self, data: bytes | memoryview) -> int:
        """Write all of the data, which a plain file may do in part."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        try:
            while self.error is None and rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            self.error = error
        return size

    def truncate(self, size: int | None = None) -> int:
        """Set the size."""
        try:
            return self._file.truncate(size)
        except OSError as error:
            self.error = self.error or error
            return 0 if size is None else size


@contextmanager
def open_tolerant(path: Path) -> Iterator[Tolerant]:
    """Open a file to write bytes to; a disk that is full shows at the end.

    Raises
    ------
    OSError
        The first failure to write, in place of what a library made of it.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.bin"
    >>> with open_tolerant(path) as file:
    ...     _ = file.write(b"abc")
    >>> path.read_bytes()
    b'abc'
    """
    with path.open("w+b", buffering=0) as raw:
        file = Tolerant(raw)
        try:
            yield file
        except Exception:
            if file.error is None:
                raise
    if file.error is not None:
        raise file.error
