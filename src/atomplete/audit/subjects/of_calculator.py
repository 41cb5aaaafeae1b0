"""Energies of calculators and of our models as subjects."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from ase import Atoms

from atomplete.audit.subjects.subject import CannotDescribe, Describe, Rows, Scope, Subject
from atomplete.data.calculators import CalculatorSource
from atomplete.degenerate.congruence.congruence import Level
from atomplete.errors import InputError


def calculator_subject(name: str, options: dict[str, Any]) -> Subject:
    """Return the energy of an ASE calculator: ``ase:emt``, ``ase:package.module:Class``, ….

    Parameters
    ----------
    name
        After ``ase:``, as the verb ``label`` takes it.
    options
        Keyword arguments of the calculator.

    Examples
    --------
    >>> calculator_subject("ase:emt", {})
    Subject('ase:emt', levels=('structure',), group='O3')
    """
    source = CalculatorSource.named(name.partition(":")[2], options)

    def energy(atoms: Atoms) -> Rows:
        return source.results(atoms, ())["energy"][None, None]

    return one_by_one(name, ("structure",), lambda scope: energy, "ase")


def model_subject(name: str) -> Subject:
    """Return a model of ours that was fitted: ``model.pt``, by its energy.

    Parameters
    ----------
    name
        The file. A model of given centres is audited at the environment level, with the energy
        of one centre; a model of all atoms at the structure level; else both.

    Examples
    --------
    >>> model_subject("absent.pt")
    Traceback (most recent call last):
    atomplete.errors.InputError: absent.pt: no such file
    """
    from atomplete.checkpoint import load
    from atomplete.potentials.base import Potential

    model: Any = load(name, Potential)
    levels: dict[str, tuple[Level, ...]] = {"info": ("environment",), "all": ("structure",)}

    def prepare(scope: Scope) -> Describe:
        def describe(structures: Sequence[Atoms]) -> list[Rows]:
            copies = [atoms.copy() for atoms in structures]
            for atoms in copies if scope.level == "structure" else ():
                atoms.info.pop("center", None)
            try:
                energies = model.predict(copies).numpy()
            except InputError as error:
                raise CannotDescribe(str(error)) from error
            return [np.array([[energy]]) for energy in energies]

        return describe

    centers = getattr(model.spec, "centers", "all")  # tight binding knows only whole structures
    own = levels.get(str(centers), ("environment", "structure"))
    return Subject(name, own, "O3", prepare, "atomplete")


def one_by_one(
    name: str,
    levels: tuple[Level, ...],
    rows_of: Callable[[Scope], Callable[[Atoms], Rows]],
    package: str,
) -> Subject:
    """Return a subject that describes one structure after the other.

    Parameters
    ----------
    name, levels, package
        As those of a ``Subject``.
    rows_of
        The function of a structure for a scope. What it raises, but for ``InputError``, leaves
        a pair undecided.

    Examples
    --------
    >>> one_by_one("count", ("structure",), lambda scope: lambda atoms: [[len(atoms)]], "ase")
    Subject('count', levels=('structure',), group='O3')
    """

    def prepare(scope: Scope) -> Describe:
        function = rows_of(scope)

        def rows(atoms: Atoms) -> Rows:
            try:
                return function(atoms.copy())
            except (InputError, CannotDescribe):
                raise
            except Exception as error:  # of any calculator: an element it lacks, a bad geometry
                reason = " ".join(f"{type(error).__name__}: {error}".split())
                raise CannotDescribe(
                    f"{name} on {atoms.get_chemical_formula()}: {reason}"
                ) from error

        return lambda structures: [rows(atoms) for atoms in structures]

    return Subject(name, levels, "O3", prepare, package)
