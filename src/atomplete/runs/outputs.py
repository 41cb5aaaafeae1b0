"""Files that a command may write: none of its inputs, and nothing of somebody else's."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from atomplete.errors import InputError
from atomplete.runs.files import check_replaceable
from atomplete.runs.folder import run_folder

#: Bytes at the top of a file within which it says what it is.
HEAD = 1 << 16


@dataclass(frozen=True)
class FileOutput:
    """A file that a verb writes, and files beside it.

    Attributes
    ----------
    verb
        Its name.
    mark
        Regular expression that is found near the top of a file of this verb, and of no other.
    suffixes
        Of its name; any where there are none.
    beside
        What is added to its name for the files beside it, with their marks.

    Examples
    --------
    >>> import tempfile
    >>> notes = Path(tempfile.mkdtemp()) / "notes.csv"
    >>> _ = notes.write_text("my notes\\n")
    >>> with FileOutput("compare", "^pair_id,energy").guarding(notes):
    ...     pass
    Traceback (most recent call last):
    atomplete.errors.InputError: ...notes.csv: it is there already, and not from an earlier \
`atomplete compare`; move it away, or choose another name
    """

    verb: str
    mark: str
    suffixes: tuple[str, ...] = ()
    beside: Mapping[str, str] = field(default_factory=dict)

    @contextmanager
    def guarding(self, path: Path) -> Iterator[None]:
        """Refuse, before the work begins, a path that could not be written at its end.

        Raises
        ------
        InputError
            For another suffix, an input of the command, what is no regular file, a file that the
            verb did not write, and a folder that cannot be written.
        """
        if self.suffixes and path.suffix.lower() not in self.suffixes:
            raise InputError(f"{path}: the name must end in {' or '.join(self.suffixes)}")
        for added, mark in {"": self.mark, **self.beside}.items():
            self._check(Path(f"{path}{added}"), mark)
        folder = next(place for place in path.absolute().parents if place.exists())
        if not folder.is_dir():
            raise InputError(f"{path}: {folder} is a file, not a folder")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise InputError(f"{path}: nothing can be written into {folder}")
        yield

    def _check(self, path: Path, mark: str) -> None:
        check_replaceable(path)
        if path.exists():
            with path.open("rb") as file:
                head = file.read(HEAD)
            if head and not re.search(mark.encode(), head):
                raise InputError(
                    f"{path}: it is there already, and not from an earlier "
                    f"`atomplete {self.verb}`; move it away, or choose another name"
                )


@dataclass(frozen=True)
class FolderOutput:
    """A folder that a verb writes into.

    Attributes
    ----------
    verb
        Its name, or that of the verb whose folder it is.
    names
        Files that it ends with.

    Examples
    --------
    >>> with FolderOutput("train", ("model.pt",)).guarding(Path(__file__)):
    ...     pass
    Traceback (most recent call last):
    atomplete.errors.InputError: ...outputs.py: a file, not a folder
    """

    verb: str
    names: tuple[str, ...]

    def guarding(self, path: Path) -> AbstractContextManager[None]:
        """Keep others out, and refuse files in the way: see `run_folder`."""
        return run_folder(path, self.verb, *self.names)


def files_named(values: Any) -> Iterator[Path]:
    """Files that are named by any of these values, nested as they may be.

    Also those of ``file.py:function``, ``PACKAGE:file`` and ``file?options``.

    Examples
    --------
    >>> [path.name for path in files_named({"model": f"mace:{__file__}?dtype=float32", "n": 3})]
    ['outputs.py']
    """
    if isinstance(values, Mapping):
        values = [*values, *values.values()]
    if isinstance(values, str | Path):
        place = str(values).partition("?")[0]
        for name in (str(values), place, place.rpartition(":")[0], place.partition(":")[2]):
            if name and _is_file(Path(name)):
                yield Path(name)
                return
    elif isinstance(values, Iterable):
        for value in values:
            yield from files_named(value)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a text too long for a name, or with a zero in it
        return False
