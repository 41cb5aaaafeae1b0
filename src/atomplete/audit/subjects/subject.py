"""What is audited: anything that maps structures to rows of numbers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from atomplete.degenerate.congruence.congruence import Group, Level
from atomplete.runs.provenance import versions_of

Rows = NDArray[np.floating]

#: Structures to rows (row, feature): one row for a centre or a whole structure, or one an atom.
Describe = Callable[[Sequence[Atoms]], list[Rows]]


class CannotDescribe(Exception):
    """A subject does not treat a structure, such as one of elements that a model has not seen."""


@dataclass(frozen=True)
class Scope:
    """What a subject is set up for.

    Attributes
    ----------
    level
        "environment": each description is one row, of the centre that ``info["center"]`` names.
        "structure": rows of all atoms, compared as a set, or one row of the whole.
    cutoff
        Radius in Å that contains the environments at hand.
    species
        Atomic numbers of all atoms that may be neighbours, increasing.

    Examples
    --------
    >>> Scope("environment", 3.0, (1, 6)).cutoff
    3.0
    """

    level: Level
    cutoff: float
    species: tuple[int, ...]


@dataclass(frozen=True)
class Resolution:
    """The truncation of a basis: a step of a sweep.

    Attributes
    ----------
    max_radial, max_angular
        Number of radial functions, and largest l.
    width
        Of the smeared density in Å; None for the subject's own.
    dtype
        Of the computation, "float64" or "float32".

    Examples
    --------
    >>> print(Resolution(4, 3))
    n=4, l≤3
    """

    max_radial: int
    max_angular: int
    width: float | None = None
    dtype: str = "float64"

    def __str__(self) -> str:
        text = f"n={self.max_radial}, l≤{self.max_angular}"
        text += "" if self.width is None else f", width {self.width:g} Å"
        return text + ("" if self.dtype == "float64" else f", {self.dtype}")


@dataclass(frozen=True)
class Subject:
    """A descriptor or model under audit.

    Attributes
    ----------
    name
        As the user named it.
    levels
        What it describes.
    group
        The group under which it claims to be invariant; None if it claims nothing.
    prepare
        Sets it up for a scope.
    package
        Distribution whose version the numbers depend on.
    at
        The same subject in another resolution, if it has one to choose.

    Examples
    --------
    >>> def count(structures):
    ...     return [np.array([[float(len(atoms))]]) for atoms in structures]
    >>> Subject("count", ("structure",), "O3", lambda scope: count, "ase")
    Subject('count', levels=('structure',), group='O3')
    """

    name: str
    levels: tuple[Level, ...]
    group: Group | None
    prepare: Callable[[Scope], Describe]
    package: str
    at: Callable[[Resolution], "Subject"] | None = None

    def __repr__(self) -> str:
        return f"Subject({self.name!r}, levels={self.levels}, group={self.group!r})"


def packages(subjects: Sequence[Subject]) -> dict[str, str]:
    """Return the versions of the packages that subjects belong to.

    Examples
    --------
    >>> packages([])
    {}
    """
    return versions_of({subject.package for subject in subjects})
