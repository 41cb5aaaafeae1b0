"""Energies of calculators and of our own potentials as subjects."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ase import Atoms

from atomplete.audit.subjects.subject import CannotDescribe, OneByOne, Rows, Scope, Subject
from atomplete.data.calculators import CalculatorSource
from atomplete.degenerate.congruence.congruence import Level
from atomplete.errors import InputError


class CalculatorSubject(OneByOne):
    """Energy of an ASE calculator: ``ase:emt``, ``ase:package.module:Class``, ….

    Parameters
    ----------
    name
        After ``ase:``, as the verb ``label`` takes it.
    options
        Keyword arguments of the calculator.

    Examples
    --------
    >>> CalculatorSubject("ase:emt", {})
    Subject('ase:emt', levels=('structure',), group='O3')
    """

    levels: tuple[Level, ...] = ("structure",)
    package = "ase"

    def __init__(self, name: str, options: dict[str, Any]) -> None:
        self.name = name
        self._source = CalculatorSource.named(name.partition(":")[2], options)

    def rows(self, atoms: Atoms, scope: Scope) -> Rows:
        """The energy, eV."""
        energy: Rows = self._source.results(atoms, ())["energy"][None, None]
        return energy


class PotentialSubject(Subject):
    """Energy of a potential of this package.

    One whose centres are those of the info is described at the environment level, by the energy
    of one centre; all others at the structure level.

    Parameters
    ----------
    name
        Of the subject.
    potential
        The potential.
    options
        None: it is taken as it is.

    Examples
    --------
    >>> PotentialSubject("model.pt", None, {"dtype": "float32"})
    Traceback (most recent call last):
    atomplete.errors.InputError: model.pt: a fitted model has no options
    """

    def __init__(self, name: str, potential: Any, options: Mapping[str, Any]) -> None:
        if options:
            raise InputError(f"{name}: a fitted model has no options")
        self.name, self.potential = name, potential
        levels: dict[str, tuple[Level, ...]] = {"info": ("environment",), "all": ("structure",)}
        centers = potential.centers
        self.levels = levels.get(str(centers), ("environment", "structure"))

    def describe(self, structures: Sequence[Atoms], scope: Scope) -> list[Rows]:
        """The energy of each structure, eV."""
        copies = [atoms.copy() for atoms in structures]
        for atoms in copies if scope.level == "structure" else ():
            atoms.info.pop("center", None)
        try:
            energies = self.potential.predict(copies).energy.numpy()
        except InputError as error:
            raise CannotDescribe(str(error)) from error
        return [np.array([[energy]]) for energy in energies]
