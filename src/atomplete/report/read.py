"""Reading of what verbs have left in a folder: what is damaged is named, the rest is shown."""

import json
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from atomplete.errors import InputError

#: Characters that no text of a page can hold: control characters, and halves of others.
_NO_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def printable(text: str) -> str:
    """The text with a mark in place of each character that XML does not know.

    Examples
    --------
    >>> printable("a\\x00b")
    'a\ufffdb'
    """
    return _NO_TEXT.sub("\ufffd", text)


class ResultFolder:
    """Files of a folder, none of which may be trusted to be whole, or what its name says.

    Parameters
    ----------
    path
        The folder.

    Attributes
    ----------
    problems : list of str
        A sentence on each file that could not be read.

    Examples
    --------
    >>> import tempfile
    >>> folder = ResultFolder(Path(tempfile.mkdtemp()))
    >>> _ = (folder.path / "table.json").write_text('[1, "two"]')
    >>> folder.records("table.json", int), folder.records("other.json", int)
    ([1], [])
    >>> folder.problems[0].partition(", ")[2]
    'entry 1: input should be a valid integer, unable to parse string as an integer'
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[str] = []

    def find(self, name: str) -> Path | None:
        """The file, or folder, of this name, unless there is none or it lies elsewhere."""
        path = self.path / name
        try:
            if path.resolve().is_relative_to(self.path.resolve()):
                return path if path.exists() else None
            reason = "it does not lie in the folder"
        except (OSError, ValueError) as error:
            reason = str(error)
        except RuntimeError:  # as Python 3.11 and 3.12 say it
            reason = "links lead in a circle"
        self.problems.append(printable(f"{path}: {reason}"))
        return None

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Go on after an `InputError` inside the block, which joins the problems."""
        try:
            yield
        except InputError as error:
            self.problems.append(printable(str(error)))

    def values(self, name: str, kind: Any = dict[str, Any]) -> Any:
        """Values by name of a JSON file, none if there is no such file.

        Parameters
        ----------
        name
            Of the file.
        kind
            Type of all of them, a mapping.
        """
        found: Any = {}
        with self.noting():
            content = self._content(name, {})
            try:
                found = TypeAdapter(kind).validate_python(content)
            except ValidationError as error:
                raise InputError(f"{self.path / name}: {_problem(error)}") from error
        return found

    def records(self, name: str, kind: Any) -> list[Any]:
        """Records of a list in JSON, none if there is no such file.

        Parameters
        ----------
        name
            Of the file.
        kind
            A pydantic model, a dataclass, or a union of them; other entries are named.
        """
        content: Any = []
        with self.noting():
            content = self._content(name, [])
            if not isinstance(content, list):
                kind_found = type(content).__name__
                raise InputError(f"{self.path / name}: a list is expected, not {kind_found}")
        adapter, found, wrong = TypeAdapter(kind), [], []
        for number, entry in enumerate(content if isinstance(content, list) else ()):
            try:
                found.append(adapter.validate_python(entry))
            except ValidationError as error:
                wrong.append(f"{self.path / name}, entry {number}: {_problem(error)}")
        self._note_first(wrong)
        return found

    def log(self, name: str) -> list[dict[str, float]]:
        """Epochs of a training, none if there is no such file; the last line may be half written.

        Of each line the numbers are kept, ``epoch`` among them.
        """
        lines = (self._text(name) or "").splitlines()
        epochs, wrong = [], []
        for number, line in enumerate(lines, 1):
            try:
                epoch = mapping(_cleaned(json.loads(line)))
            except (ValueError, RecursionError):
                epoch = {}
            numbers = {key: float(x) for key, x in epoch.items() if _is_number(x)}
            if "epoch" in numbers:
                epochs.append(numbers)
            elif number < len(lines):
                wrong.append(f"{self.path / name}, line {number}: damaged, not an epoch")
        self._note_first(wrong)
        return epochs

    def _note_first(self, wrong: list[str]) -> None:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        self.problems += [printable(text) + more for text in wrong[:1]]

    def _content(self, name: str, nothing: Any) -> Any:
        """Content of a file of JSON."""
        text = self._text(name)
        try:
            return nothing if text is None else _cleaned(json.loads(text))
        except (ValueError, RecursionError) as error:
            raise InputError(f"{self.path / name}: damaged, not JSON ({error})") from error

    def _text(self, name: str) -> str | None:
        """Text of a file, if there is one that can be read."""
        path = self.find(name)
        if path is None:
            return None
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            self.problems.append(f"{path}: it cannot be read ({error})")
            return None


def mapping(value: Any) -> dict[str, Any]:
    """The value if it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _problem(error: ValidationError) -> str:
    """First place that is wrong, and why."""
    problem = error.errors()[0]
    where = ".".join(map(str, problem["loc"]))
    return f"{where}: {problem['msg'].lower()}" if where else str(problem["msg"]).lower()


def _cleaned(content: Any) -> Any:
    """The same with printable texts only."""
    if isinstance(content, str):
        return printable(content)
    if isinstance(content, list):
        return [_cleaned(entry) for entry in content]
    if isinstance(content, dict):
        return {printable(key): _cleaned(value) for key, value in content.items()}
    return content
