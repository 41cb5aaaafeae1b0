"""A user's function as a subject."""

import importlib
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
from ase import Atoms

from atomplete.audit.subjects.subject import Rows, Scope, Subject, in_one_line
from atomplete.degenerate.congruence.congruence import Group, Level
from atomplete.degenerate.random_structures import random_environment
from atomplete.errors import InputError
from atomplete.system import center_of

# What may come out of a user's own code.
_OF_USERS = (Exception, SystemExit)

# What a function may ask for by the names of its parameters.
_OFFERED = ("center", "cutoff", "species")


class FunctionSubject(Subject):
    """A user's function, such as ``module:function`` or ``file.py:function``.

    The function takes ASE atoms and, if it has parameters of these names, ``center`` (an index),
    ``cutoff`` (Å) and ``species`` (a list of atomic numbers). One with a ``center`` describes an
    environment, by a vector. One without returns a number or a vector for the structure, or a
    matrix of one row an atom, which describes environments and structures.

    Parameters
    ----------
    name
        Of the subject.
    function
        The function.
    options
        ``level`` and ``group`` (which it claims); all others are handed to the function.

    Raises
    ------
    InputError
        If, also later, the function raises or returns no finite list of numbers.

    Examples
    --------
    >>> FunctionSubject("nearest", lambda atoms, center: [1.0], {"group": "O3"})
    Subject('nearest', levels=('environment',), group='O3')
    """

    package = "ase"

    def __init__(
        self, name: str, function: Callable[..., Any], options: Mapping[str, Any] | None = None
    ) -> None:
        handed = dict(options or {})
        level, group = handed.pop("level", None), handed.pop("group", None)
        for key, value, known in (("level", level, Level), ("group", group, Group)):
            if value is not None and value not in get_args(known):
                raise InputError(f"{name}: {key} {value!r} is none of {', '.join(get_args(known))}")
        self.name, self.group, self._function, self._handed = name, group, function, handed
        self._wanted = [key for key in _parameters(function, name) if key not in handed]
        self.levels = (level,) if level is not None else self._shown_levels()

    def describe(self, structures: Sequence[Atoms], scope: Scope) -> list[Rows]:
        """Rows of each structure."""
        rows = [self._rows(atoms, scope) for atoms in structures]
        lengths = sorted({row.shape[1] for row in rows})
        if len(lengths) > 1:
            raise InputError(
                f"{self.name} returns {lengths[0]} numbers for one structure and {lengths[-1]} for "
                "another of the same atoms"
            )
        return rows

    def _shown_levels(self) -> tuple[Level, ...]:
        """Levels that the function describes, as it shows on a random environment."""
        if "center" in self._wanted:
            return ("environment",)
        probe = random_environment((6,) * 5, 2.0, np.random.default_rng(0))
        (rows,) = self.describe([probe], Scope("structure", 5.0, (6,)))
        return ("structure",) if len(rows) == 1 else ("environment", "structure")

    def _rows(self, atoms: Atoms, scope: Scope) -> Rows:
        center = center_of(atoms, default=0)
        offered = {"center": center, "cutoff": scope.cutoff, "species": list(scope.species)}
        given = {key: offered[key] for key in self._wanted}
        try:
            values = self._function(atoms.copy(), **given, **self._handed)
            # a copy: the function may fill the same array again
            array = values if isinstance(values, str) else np.array(values)
        except _OF_USERS as error:
            formula = atoms.get_chemical_formula()
            raise InputError(f"{self.name} raises on {formula} ({in_one_line(error)})") from error
        if isinstance(array, str) or array.dtype.kind not in "fiub":
            kind = type(values).__name__
            kind += f" of {array.dtype}" if isinstance(array, np.ndarray) else ""
            raise InputError(f"{self.name} returns {kind}, not an array of real numbers")
        array = array if array.dtype.kind == "f" else array.astype(np.float64)
        if array.size and array.ndim < 2:
            return array.reshape(1, -1)
        if array.size and array.ndim == 2 and len(array) in (1, len(atoms)):
            if scope.level == "environment" and len(array) == len(atoms):
                return array[[center]]
            return array
        raise InputError(
            f"{self.name} returns shape {array.shape} for {len(atoms)} atoms: a vector or one row "
            "an atom is needed"
        )


def loaded(name: str) -> Any:
    """Function or class that ``module:name`` or ``file.py:name`` stands for.

    Raises
    ------
    InputError
        If it is not found, or its file or module cannot be run.

    Examples
    --------
    >>> loaded("math:cosine")
    Traceback (most recent call last):
    atomplete.errors.InputError: math:cosine: module math has no function cosine
    """
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
            raise InputError(f"{name}: {place} cannot be run ({in_one_line(error)})") from error
        finally:
            sys.path.remove(beside)
        function, kind = content.get(attribute), f"file {place}"
    else:
        try:
            function = getattr(importlib.import_module(place), attribute, None)
        except ModuleNotFoundError as error:
            raise InputError(f"{name}: not found ({error})") from error
        except _OF_USERS as error:
            raise InputError(f"{name}: {place} cannot be run ({in_one_line(error)})") from error
        kind = f"module {place}"
    if not callable(function):
        raise InputError(f"{name}: {kind} has no function {attribute}")
    return function


def _parameters(function: Callable[..., Any], name: str) -> list[str]:
    """Parameters of the function beside the atoms."""
    try:
        parameters = list(inspect.signature(function).parameters)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: its parameters cannot be read ({error})") from error
    if not parameters:
        raise InputError(f"{name}: it takes no parameter, where the atoms would go")
    return [key for key in parameters[1:] if key in _OFFERED]
