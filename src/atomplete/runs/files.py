"""Writing files without ever leaving half a file."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from atomplete.errors import InputError


def check_replaceable(path: str | os.PathLike[str], *inputs: str | os.PathLike[str] | None) -> None:
    """Refuse to write over files that are read, and over what is no regular file.

    Parameters
    ----------
    path
        The file to be written.
    *inputs
        Files that are read; None stands for none.

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
    for source in (Path(given) for given in inputs if given is not None):
        if path.exists() and source.exists() and path.samefile(source):
            raise InputError(f"{path}: it is the input, which would be written over")
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise InputError(f"{path}: it is a link, a device or a pipe, not a file")


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path in the same folder, which takes the place of ``path`` at the end.

    Readers see the old file or the whole new one, also after a crash. If the block raises,
    the temporary file is removed and ``path`` stays as it was.

    Parameters
    ----------
    path
        The file to write; its folder must exist.

    Raises
    ------
    InputError
        For what :func:`check_replaceable` refuses.

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
    # always the same name: what a killed process has left is written over by the next one
    temporary = path.with_name(f".{path.stem}.tmp{path.suffix}")
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())  # the data must be on the disk before the new name is
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write plain data, under a temporary name first."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n")
