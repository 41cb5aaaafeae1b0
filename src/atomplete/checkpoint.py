"""Checkpoints: the one file format of everything fitted, read without executing anything."""

import json
import pickle
import zipfile
from pathlib import Path
from typing import Any, TypeVar

import torch
from pydantic import ValidationError

from atomplete.errors import InputError
from atomplete.registry import Registered, kind_named, registered
from atomplete.runs.disk import open_tolerant
from atomplete.runs.files import atomic_write
from atomplete.runs.provenance import versions

FORMAT = "atomplete 2"

T = TypeVar("T", bound=Registered)


def save(path: Path | str, module: Registered) -> None:
    """Write a fitted module to one file; an older one stays until the new one is complete.

    The file says which kind and type it holds, its spec, its state dict and the versions of all
    packages that wrote it.

    Examples
    --------
    >>> import tempfile
    >>> from atomplete.descriptors import NAMED, Descriptor, build
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(f"{folder}/descriptor.pt", build(NAMED["power_spectrum"]))
    ...     load(f"{folder}/descriptor.pt", Descriptor).spec == NAMED["power_spectrum"]
    True
    """
    write_tensors(path, content_of(module))


def content_of(module: Registered) -> dict[str, Any]:
    """Plain data and tensors that a module is made of again, by ``from_content``.

    Examples
    --------
    >>> from atomplete.descriptors import NAMED, build
    >>> content_of(build(NAMED["power_spectrum"]))["type"]
    'density_correlations'
    """
    return {
        "format": FORMAT,
        "kind": module.kind,
        "type": module.spec.type,
        "spec": module.spec.model_dump_json(),
        "state": module.state_dict(),
        "versions": versions(),
    }


def load(path: Path | str, base: type[T] = Registered) -> T:  # type: ignore[assignment]
    """Read what ``save`` wrote; nothing that the file might hold is executed.

    Parameters
    ----------
    path
        The file.
    base
        What it must hold: a kind (``Descriptor``, ``Potential``) or one class.

    Raises
    ------
    InputError
        If the file is missing, is no checkpoint, holds something else than ``base`` or a spec
        that is not understood.

    Examples
    --------
    >>> load("absent.pt")
    Traceback (most recent call last):
    atomplete.errors.InputError: absent.pt: no such file
    """
    return from_content(read_tensors(path), base, path)


def from_content(
    content: dict[str, Any],
    base: type[T] = Registered,  # type: ignore[assignment]
    path: Path | str = "content",
) -> T:
    """Module of what ``content_of`` gave; ``path`` is what errors are said of.

    Raises
    ------
    InputError
        As ``load``.

    Examples
    --------
    >>> from_content({}, path="model.pt")
    Traceback (most recent call last):
    atomplete.errors.InputError: model.pt: not an atomplete checkpoint
    """
    if content.get("format") != FORMAT:
        raise InputError(f"{path}: not an atomplete checkpoint")
    kind, type_ = str(content.get("kind")), str(content.get("type"))
    try:
        spec_type, found = registered(kind_named(kind), type_)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    if not issubclass(found, base):
        raise InputError(f"{path}: holds a {kind} ({type_}), not a {base.__name__.lower()}")
    try:
        spec = spec_type.model_validate(json.loads(content["spec"]))
        return found.from_state(spec, content["state"])
    except (KeyError, TypeError, RuntimeError, ValueError, AttributeError) as error:
        reason = _reason(error)
        raise InputError(f"{path}: a {kind} that this version cannot read ({reason})") from error


def _reason(error: Exception) -> str:
    """One line on an error; of a spec, the first option that is wrong and why."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        option = ".".join(map(str, first["loc"]))
        return f"{option}: {first['msg']}".removeprefix(": ").replace("Value error, ", "")
    return (str(error).splitlines() or [type(error).__name__])[0]


def write_tensors(path: Path | str, content: dict[str, Any]) -> None:
    """Write plain data and tensors, under a temporary name first."""
    with atomic_write(path) as temporary, open_tolerant(temporary) as file:
        torch.save(content, file)


def read_tensors(path: Path | str) -> dict[str, Any]:
    """Read what ``write_tensors`` wrote; nothing but plain data and tensors is accepted."""
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file")
    try:
        # torch would take anything else for a format of its past, and does not look at checksums
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:
                raise zipfile.BadZipFile
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (zipfile.BadZipFile, OSError, ValueError, pickle.UnpicklingError, RuntimeError) as error:
        raise InputError(f"{path}: not a checkpoint, or a damaged one") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: not an atomplete checkpoint")
    return content
