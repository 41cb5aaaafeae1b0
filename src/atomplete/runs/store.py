"""Results of long work, kept in a folder and found again by what they depend on."""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import BaseModel, TypeAdapter, ValidationError

from atomplete.runs.files import atomic_write

Record = TypeVar("Record")


def identity_of(*depends_on: Any) -> str:
    """Hash all that a result depends on, and nothing else.

    Parameters
    ----------
    *depends_on
        Plain data, paths, pydantic models, dataclasses, arrays and tensors, also inside lists and
        mappings. Versions belong here only of the packages that make the numbers.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    TypeError
        If a part is none of these.

    Examples
    --------
    >>> identity_of({"seed": 0}, np.zeros(3)) == identity_of({"seed": 0}, np.zeros(4))
    False
    """
    return sha256(json.dumps(depends_on, sort_keys=True, default=_plain).encode()).hexdigest()


def _plain(part: Any) -> Any:
    """Plain data for what JSON does not know; of an array its type, shape and a hash."""
    if isinstance(part, BaseModel):
        return part.model_dump(mode="json", serialize_as_any=True)
    if is_dataclass(part) and not isinstance(part, type):
        return asdict(part)
    if isinstance(part, Path):
        return str(part)
    array = np.ascontiguousarray(part)
    if array.dtype.kind not in "biufc":
        raise TypeError(f"an identity cannot depend on a {type(part).__name__}")
    return [array.dtype.str, array.shape, sha256(array.tobytes()).hexdigest()]


class Store:
    """Results in a folder, a file of JSON each, that are made once.

    Parameters
    ----------
    folder
        Where the files are; made when there is a first result.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     store = Store(Path(folder))
    ...     made = store.get("squares", identity_of(3), list[int], lambda: [0, 1, 4])
    ...     found = store.get("squares", identity_of(3), list[int], lambda: [])
    ...     other = store.get("squares", identity_of(4), list[int], lambda: [0, 1, 4, 9])
    >>> found, other
    ([0, 1, 4], [0, 1, 4, 9])
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(
        self, name: str, identity: str, record: type[Record], make: Callable[[], Record]
    ) -> Record:
        """Return what was made under this name and identity, or make it and keep it.

        Parameters
        ----------
        name
            Of the file, without ``.json``.
        identity
            From `identity_of`. A result of another identity, or one that cannot be read, is made
            anew and written over.
        record
            Type of the result: a pydantic model, a dataclass, or a container of these.
        make
            Called without arguments if there is no such result. The file is written whole, and
            only after it returns.

        Returns
        -------
        record
            Equal to what ``make`` returned, numbers to the last bit.
        """
        path = self.folder / f"{name}.json"
        kind = TypeAdapter(record)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content["identity"] == identity:
                return kind.validate_python(content["result"])
        except (OSError, ValueError, KeyError, TypeError, ValidationError, RecursionError):
            pass  # none, or none that can be read
        result = make()
        content = {"identity": identity, "result": kind.dump_python(result, mode="json")}
        self.folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        return result

    def clear(self) -> None:
        """Remove the folder with all that is in it."""
        shutil.rmtree(self.folder, ignore_errors=True)
