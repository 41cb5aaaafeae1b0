"""Writing files without ever leaving half a file."""

import fcntl
import json
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from atomplete.errors import InputError
from atomplete.runs.disk import reporting_disk
from atomplete.runs.folder import claim
from atomplete.runs.lock import is_free, is_still_at

#: Files that the command at hand reads; in Python, a script may well write what it has read.
_READ: ContextVar[tuple[Path, ...]] = ContextVar("read", default=())

#: Begins the names of files that are being written.
_TEMPORARY = ".atomplete-"


@contextmanager
def protected(paths: Iterable[Path]) -> Iterator[None]:
    """Let nothing inside the block be written over these files.

    Examples
    --------
    >>> with protected([Path(__file__)]), atomic_write(__file__) as temporary:
    ...     pass
    Traceback (most recent call last):
    atomplete.errors.InputError: ...files.py: it is an input, which would be written over
    """
    token = _READ.set((*_READ.get(), *paths))
    try:
        yield
    finally:
        _READ.reset(token)


def check_replaceable(path: str | os.PathLike[str], *inputs: str | os.PathLike[str] | None) -> None:
    """Refuse to write over files that are read, and over what is no regular file.

    Parameters
    ----------
    path
        The file to be written.
    *inputs
        Files that are read, beside those that are :func:`protected`; None stands for none.

    Raises
    ------
    InputError
        For one of these, a folder, a link, a device or a pipe.

    Examples
    --------
    >>> check_replaceable(os.devnull)
    Traceback (most recent call last):
    atomplete.errors.InputError: /dev/null: it is a link, a device or a pipe, not a file
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path}: it is a folder, not a file")
    for source in (*_READ.get(), *(Path(given) for given in inputs if given is not None)):
        if path.exists() and source.exists() and path.samefile(source):
            raise InputError(f"{path}: it is an input, which would be written over")
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise InputError(f"{path}: it is a link, a device or a pipe, not a file")


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path in the same folder, which takes the place of ``path`` at the end.

    Readers see the old file or the whole new one, also after a crash; of two that write at the
    same time, the one that ends later wins. If the block raises, the temporary file is removed
    and ``path`` stays as it was; after a kill, the next write into the folder removes it.

    Parameters
    ----------
    path
        The file to write; its folder must exist.

    Raises
    ------
    InputError
        For what :func:`check_replaceable` refuses, a file in the folder of a run that is not the
        run's (:mod:`atomplete.runs.folder`), and a disk that cannot be written.

    Yields
    ------
    Path
        Where the block writes; it keeps the suffix of ``path``, from which many writers
        choose the format.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_write(Path(folder) / "note.txt") as temporary:
    ...         _ = temporary.write_text("done")
    ...     [file.name for file in Path(folder).iterdir()]
    ['note.txt']
    """
    path = Path(path)
    check_replaceable(path)
    with reporting_disk(path):
        claim(path)
        _sweep(path.parent)
        temporary, held = _temporary(path)
        try:
            yield temporary
            os.fsync(held)  # the data must be on the disk before the new name is
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
            os.close(held)


def _temporary(path: Path) -> tuple[Path, int]:
    """A new file of a name of its own, which tells others by a lock that it is in use."""
    while True:
        name = f"{_TEMPORARY}{secrets.token_hex(4)}.tmp{path.suffix}"
        temporary = path.with_name(name)
        file = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        if is_free(file) and is_still_at(file, temporary):  # else it was swept away
            return temporary, file
        os.close(file)


def _sweep(folder: Path) -> None:
    """Remove what killed processes have left of files that they were writing."""
    for left in folder.glob(f"{_TEMPORARY}*.tmp*"):
        with suppress(OSError), left.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails while it is being written
            left.unlink()


def write_json(path: Path, content: Any) -> None:
    """Write plain data, under a temporary name first."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n")
