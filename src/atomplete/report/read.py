"""Reading of what runs have written: plain data in JSON, lists of records, training logs."""

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from atomplete.errors import InputError


def read_json(path: Path) -> Any:
    """Content of a file of JSON; one sentence if it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: damaged, not JSON ({error})") from error


def read_options(path: Path) -> dict[str, Any]:
    """Values by name, none if there is no such file."""
    content = read_json(path) if path.is_file() else {}
    if not isinstance(content, dict):
        raise InputError(f"{path}: values by name are expected, not {type(content).__name__}")
    return content


def read_records(path: Path, kind: Any) -> list[Any]:
    """Records of a list in JSON, none if there is no such file.

    Parameters
    ----------
    path
        The file.
    kind
        A pydantic model, a dataclass, or a union of them.

    Raises
    ------
    InputError
        Names the file, the record and the field, if a record is not of this kind.

    Examples
    --------
    >>> read_records(Path("nowhere.json"), int)
    []
    """
    content = read_json(path) if path.is_file() else []
    if not isinstance(content, list):
        raise InputError(f"{path}: a list is expected, not {type(content).__name__}")
    try:
        records: list[Any] = TypeAdapter(list[kind]).validate_python(content)
    except ValidationError as error:
        problem = error.errors()[0]
        number, *place = problem["loc"]
        where = ".".join(map(str, place)) or "entry"
        message = f"{path}, entry {number}: {where}: {problem['msg'].lower()}"
        raise InputError(message) from error
    return records


def read_log(path: Path) -> list[dict[str, float]]:
    """Epochs of a training, none if there is no such file; the last line may be half written."""
    epochs = []
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    for number, line in enumerate(lines):
        try:
            epochs.append(json.loads(line))
        except ValueError as error:
            if number < len(lines) - 1:
                raise InputError(f"{path}, line {number + 1}: damaged, not JSON") from error
    return epochs
