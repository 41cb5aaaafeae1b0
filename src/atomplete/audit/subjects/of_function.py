"""A user's function as a subject."""

import importlib
import inspect
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
from ase import Atoms

from atomplete.audit.subjects.subject import Describe, Rows, Scope, Subject
from atomplete.degenerate.congruence.congruence import Group, Level
from atomplete.degenerate.random_structures import random_environment
from atomplete.errors import InputError

# What may come out of a user's own code.
_OF_USERS = (Exception, SystemExit)

# What a function may ask for by the names of its parameters.
_OFFERED = ("center", "cutoff", "species")


def function_subject(name: str, options: dict[str, Any]) -> Subject:
    """Return ``module:function`` or ``file.py:function`` as a subject.

    The function takes ASE atoms and, if it has parameters of these names, ``center`` (an index),
    ``cutoff`` (Å) and ``species`` (a list of atomic numbers). One with a ``center`` describes an
    environment, by a vector. One without returns a number or a vector for the structure, or a
    matrix of one row an atom, which describes environments and structures.

    Parameters
    ----------
    name
        Where it is.
    options
        ``level`` and ``group`` (which it claims); all others are handed to the function.

    Raises
    ------
    InputError
        If it is not found, or, also later, raises or returns what is no finite list of numbers.

    Examples
    --------
    >>> function_subject("math:cosine", {})
    Traceback (most recent call last):
    atomplete.errors.InputError: math:cosine: module math has no function cosine
    """
    options = dict(options)
    level, group = options.pop("level", None), options.pop("group", None)
    for key, value, known in (("level", level, Level), ("group", group, Group)):
        if value is not None and value not in get_args(known):
            raise InputError(f"{name}: {key} {value!r} is none of {', '.join(get_args(known))}")
    function = _load(name)
    wanted = [key for key in _parameters(function, name) if key not in options]

    def prepare(scope: Scope) -> Describe:
        offered = {"cutoff": scope.cutoff, "species": list(scope.species)}

        def describe(structures: Sequence[Atoms]) -> list[Rows]:
            rows = [_call(atoms) for atoms in structures]
            _refuse_other_lengths(name, rows)
            return rows

        def _call(atoms: Atoms) -> Rows:
            given = {key: offered[key] for key in wanted if key != "center"}
            if "center" in wanted:
                given["center"] = int(atoms.info["center"])
            try:
                values = function(atoms.copy(), **given, **options)
                # a copy: the function may fill the same array again
                array = values if isinstance(values, str) else np.array(values)
            except _OF_USERS as error:
                raise InputError(
                    f"{name} raises on {atoms.get_chemical_formula()} ({_reason(error)})"
                ) from error
            if isinstance(array, str) or array.dtype.kind not in "fiub":
                kind = type(values).__name__
                kind += f" of {array.dtype}" if isinstance(array, np.ndarray) else ""
                raise InputError(f"{name} returns {kind}, not an array of real numbers")
            return _rows(name, array, atoms, scope.level)

        return describe

    levels = _levels(prepare, "center" in wanted, level)
    return Subject(name, levels, group, prepare, "ase")


def _load(name: str) -> Callable[..., Any]:
    place, _, attribute = name.rpartition(":")
    if not attribute.isidentifier():
        raise InputError(f"{name}: no name of a function after the colon")
    if place.endswith(".py"):
        try:
            source = Path(place).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{name}: {place} cannot be read ({error})") from error
        content: dict[str, Any] = {"__name__": Path(place).stem, "__file__": place}
        beside = str(Path(place).resolve().parent)
        sys.path.insert(0, beside)  # as where Python runs the file
        try:
            exec(compile(source, place, "exec"), content)
        except _OF_USERS as error:
            raise InputError(f"{name}: {place} cannot be run ({_reason(error)})") from error
        finally:
            sys.path.remove(beside)
        function, kind = content.get(attribute), f"file {place}"
    else:
        try:
            function = getattr(importlib.import_module(place), attribute, None)
        except ModuleNotFoundError as error:
            raise InputError(f"{name}: not found ({error})") from error
        except _OF_USERS as error:
            raise InputError(f"{name}: {place} cannot be run ({_reason(error)})") from error
        kind = f"module {place}"
    if not callable(function):
        raise InputError(f"{name}: {kind} has no function {attribute}")
    return function


def _parameters(function: Callable[..., Any], name: str) -> list[str]:
    """What the function asks for beside the atoms."""
    try:
        parameters = list(inspect.signature(function).parameters)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: its parameters cannot be read ({error})") from error
    if not parameters:
        raise InputError(f"{name}: it takes no parameter, where the atoms would go")
    return [key for key in parameters[1:] if key in _OFFERED]


def _levels(
    prepare: Callable[[Scope], Describe], of_center: bool, level: Level | None
) -> tuple[Level, ...]:
    """What the function describes: as told, or as it shows on a random environment."""
    if level is not None:
        return (level,)
    if of_center:
        return ("environment",)
    probe = random_environment((6,) * 5, 2.0, np.random.default_rng(0))
    (rows,) = prepare(Scope("structure", 5.0, (6,)))([probe])
    return ("structure",) if len(rows) == 1 else ("environment", "structure")


def _reason(error: BaseException) -> str:
    """An error in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def _rows(name: str, array: np.ndarray, atoms: Atoms, level: Level) -> Rows:
    """What the function returned, as rows."""
    array = array if array.dtype.kind == "f" else array.astype(np.float64)
    if array.size and array.ndim < 2:
        return array.reshape(1, -1)
    if array.size and array.ndim == 2 and len(array) in (1, len(atoms)):
        if level == "environment" and len(array) == len(atoms):
            return array[[int(atoms.info["center"])]]
        return array
    raise InputError(
        f"{name} returns shape {array.shape} for {len(atoms)} atoms: a vector or one row an atom "
        "is needed"
    )


def _refuse_other_lengths(name: str, rows: list[Rows]) -> None:
    lengths = sorted({row.shape[1] for row in rows})
    if len(lengths) > 1:
        raise InputError(
            f"{name} returns {lengths[0]} numbers for one structure and {lengths[-1]} for another "
            "of the same atoms"
        )
