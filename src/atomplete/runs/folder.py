"""The folder of a run: one process at a time, and a record of the files that are its own."""

import functools
import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import ParamSpec, TypeVar

from atomplete.errors import InputError
from atomplete.runs.lock import Lock

P = ParamSpec("P")
T = TypeVar("T")

#: Names of the files that verbs have written into a folder, one a line after the verb's name.
RECORD = ".atomplete"

#: Holds the process that writes into a folder.
LOCK = ".atomplete.lock"


class RunFolder:
    """A folder that a run writes into; use :func:`run_folder`."""

    def __init__(self, path: Path, verb: str) -> None:
        self.place, self.verb = _place(path), verb
        self._path, self._record = path, path / RECORD
        known = self._record.read_text(errors="replace") if self._record.is_file() else ""
        self._known = set(known.splitlines())

    def claim(self, name: str) -> None:
        """Refuse to write over a file that this verb did not write; else note that it does."""
        self.check(name)
        entry = f"{self.verb} {name}"
        if entry not in self._known:
            self._known.add(entry)
            with self._record.open("a") as record:
                record.write(f"{entry}\n")

    def forget(self) -> None:
        """Leave no record where there are no files."""
        names = [entry.partition(" ")[2] for entry in self._known]
        if not any((self._path / name).exists() for name in names):
            self._record.unlink(missing_ok=True)

    def check(self, name: str) -> None:
        """Refuse to write over a file that this verb did not write."""
        path = self._path / name
        own = f"{self.verb} {name}" in self._known
        if not own and path.is_file() and path.stat().st_size > 0:
            raise InputError(
                f"{path}: it is there already, and not from an earlier `atomplete {self.verb}`; "
                "move it away, or write into another folder"
            )


#: Folders that this thread writes into, the innermost first.
_OPEN: ContextVar[tuple[RunFolder, ...]] = ContextVar("open", default=())


@contextmanager
def run_folder(path: Path, verb: str, *names: str, alone: bool = True) -> Iterator[None]:
    """Write into a folder, alone; a run within a run of the same folder is part of it.

    Files that are there already are replaced only if the same verb wrote them, be it in a run
    that was killed. If nothing is written, no new folder is left.

    Parameters
    ----------
    path
        The folder; made if it does not exist.
    verb
        Name of what writes.
    *names
        Files that will be written at the end, to refuse others of the same name before the work
        begins.
    alone
        Whether other processes are kept out meanwhile.

    Raises
    ------
    InputError
        If another process writes into the folder, or files are in the way.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "run.json").write_text("mine")
    >>> with run_folder(folder, "train", "run.json"):
    ...     pass
    Traceback (most recent call last):
    atomplete.errors.InputError: ...run.json: it is there already, and not from an earlier \
`atomplete train`; move it away, or write into another folder
    """
    folder = RunFolder(Path(path), verb)
    outer = [other.verb for other in _OPEN.get() if other.place == folder.place]
    if verb in outer:
        yield
        return
    with _made(Path(path)), ExitStack() as stack:
        if alone and not outer:
            stack.callback(Lock(folder.place / LOCK, Path(path)).release)
        for name in names:
            folder.check(name)
        stack.callback(folder.forget)
        stack.callback(_OPEN.reset, _OPEN.set((folder, *_OPEN.get())))
        yield


@contextmanager
def _made(path: Path) -> Iterator[None]:
    """Make a folder; at the end, remove it and those above it if they are new and empty."""
    if path.exists() and not path.is_dir():
        raise InputError(f"{path}: a file, not a folder")
    new = [place for place in (path, *path.parents) if not place.exists()]
    path.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        with suppress(OSError):  # the first that is not empty
            for place in new:
                place.rmdir()


def _place(path: Path) -> Path:
    return Path(os.path.realpath(path))  # unlike resolve(), it bears links that lead in a circle


def claim(path: Path) -> None:
    """Refuse to write over a file of a run's folder that the run's verb did not write."""
    place = _place(path.parent) / path.name
    for folder in _OPEN.get():
        if place.is_relative_to(folder.place):
            folder.claim(place.relative_to(folder.place).as_posix())
            return


def in_run_folder(verb: str, *names: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Let a function that has a parameter ``folder`` do its work within :func:`run_folder`.

    Examples
    --------
    >>> import tempfile
    >>> @in_run_folder("count", "count.txt")
    ... def count(number: int, folder: Path) -> None:
    ...     claim(folder / "count.txt")
    ...     _ = (folder / "count.txt").write_text(str(number))
    >>> folder = Path(tempfile.mkdtemp())
    >>> count(1, folder)
    >>> sorted(path.name for path in folder.iterdir())
    ['.atomplete', 'count.txt']
    """

    def decorated(function: Callable[P, T]) -> Callable[P, T]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def run(*arguments: P.args, **options: P.kwargs) -> T:
            folder = signature.bind(*arguments, **options).arguments["folder"]
            with run_folder(Path(folder), verb, *names):
                return function(*arguments, **options)

        return run

    return decorated
