"""Subjects of an audit: anything that maps structures to rows of numbers."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from ase import Atoms
from jaxtyping import Float
from numpy.typing import NDArray

from atomplete.degenerate.congruence.congruence import Group, Level
from atomplete.errors import InputError
from atomplete.system import center_of
from atomplete.units import check_cutoff

#: (row, feature): one row of a centre or of a whole structure, or one for each atom.
Rows = NDArray[np.floating]

#: Significant bits of a float32; a subject with fewer is precision-limited.
FLOAT32_BITS = 24

# Steps of central differences in double and in single precision, Å: errors are of the order of
# the square, or of the rounding over it.
_STEP, _SINGLE_STEP = 2e-5, 5e-3


class CannotDescribe(InputError):
    """A subject does not treat a structure, such as one of elements that a model has not seen."""


@dataclass(frozen=True)
class Scope:
    """Structures that a subject is set up for.

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
class Basis:
    """Truncation of a basis, its density and its precision: a step of a sweep.

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
    >>> print(Basis(4, 3))
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


class Subject(ABC):
    """Descriptor or model under audit; ``describe`` is all that it owes.

    Attributes
    ----------
    name
        As the user named it.
    levels
        Levels that it describes.
    group
        The group under which it claims to be invariant; None if it claims nothing.
    package
        Distribution whose version the numbers depend on.
    cutoff
        Its own reach, Å; None if it takes that of the scope.
    options
        Given by the user beside the name.

    Examples
    --------
    >>> class Count(Subject):
    ...     name, package = "count", "ase"
    ...     def describe(self, structures, scope):
    ...         return [np.array([[float(len(atoms))]]) for atoms in structures]
    >>> Count()
    Subject('count', levels=('environment', 'structure'), group='O3')
    """

    name: str
    levels: tuple[Level, ...] = ("environment", "structure")
    group: Group | None = "O3"
    package: str = "atomplete"
    cutoff: float | None = None
    options: Mapping[str, Any] = MappingProxyType({})

    def __repr__(self) -> str:
        return f"Subject({self.name!r}, levels={self.levels}, group={self.group!r})"

    @abstractmethod
    def describe(self, structures: Sequence[Atoms], scope: Scope) -> list[Rows]:
        """Rows of each structure, of the centre or of all atoms in their order.

        Raises
        ------
        CannotDescribe
            If it does not treat one of the structures.
        InputError
            If it fails on one that it should treat.
        """

    def jacobian(
        self, structures: Sequence[Atoms], scope: Scope
    ) -> list[tuple[Rows, Float[np.ndarray, "row feature atom xyz"]]]:
        """Rows of each structure and their derivatives by positions, 1/Å.

        By central differences, of a step that suits the precision of the rows.
        """
        rows = self.describe(structures, scope)
        step = _STEP if significant_bits(rows) > FLOAT32_BITS else _SINGLE_STEP
        moved = []
        for atoms in structures:
            for coordinate in range(3 * len(atoms)):
                for sign in (1, -1):
                    copy = atoms.copy()
                    copy.positions.flat[coordinate] += sign * step
                    moved.append(copy)
        described = iter(self.describe(moved, scope))
        found = []
        for atoms, own in zip(structures, rows, strict=True):
            slopes = np.zeros((*own.shape, 3 * len(atoms)))
            for coordinate in range(3 * len(atoms)):
                slopes[..., coordinate] = (next(described) - next(described)) / (2 * step)
            found.append((own, slopes.reshape(*own.shape, len(atoms), 3)))
        return found

    def basis(self, scope: Scope) -> Basis | None:
        """Truncation of its basis in a scope; None if it has none to choose."""
        return None

    def n_features(self, scope: Scope) -> int | None:
        """Number of features of a row, before any readout; None if only a description tells."""
        return None

    def at(self, basis: Basis) -> "Subject":
        """Return the same subject in another basis."""
        raise InputError(f"{self.name} has no basis to choose")


class OneByOne(Subject):
    """Subject that describes one structure after the other, by a package's own means.

    Whatever ``rows`` raises, but for ``InputError``, is a reason not to describe the structure.
    """

    @abstractmethod
    def rows(self, atoms: Atoms, scope: Scope) -> Rows:
        """Rows of one structure, which is a copy."""

    def describe(self, structures: Sequence[Atoms], scope: Scope) -> list[Rows]:
        """Rows of each structure."""
        return [self._rows(atoms, scope) for atoms in structures]

    def _rows(self, atoms: Atoms, scope: Scope) -> Rows:
        try:
            return self.rows(atoms.copy(), scope)
        except InputError:
            raise
        except Exception as error:  # of any calculator: an element it lacks, a bad geometry
            formula = atoms.get_chemical_formula()
            raise CannotDescribe(f"{self.name} on {formula}: {in_one_line(error)}") from error


def described_centers(atoms: Atoms, scope: Scope) -> list[int]:
    """Centres that have a row each: all atoms of a structure, or the one of an environment.

    Examples
    --------
    >>> water = Atoms("H2O", [(0, 0, 1), (0, 1, 0), (0, 0, 0)], info={"center": 2})
    >>> described_centers(water, Scope("environment", 2.0, (1, 8)))
    [2]
    >>> described_centers(water, Scope("structure", 2.0, (1, 8)))
    [0, 1, 2]
    """
    return list(range(len(atoms))) if scope.level == "structure" else [int(center_of(atoms))]


def given_cutoff(name: str, value: Any) -> float | None:
    """Cutoff among the options of a subject, Å; None if there is none.

    Examples
    --------
    >>> given_cutoff("dscribe:SOAP", "near")
    Traceback (most recent call last):
    atomplete.errors.InputError: dscribe:SOAP: the cutoff is 'near', no number
    """
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: the cutoff is {value!r}, no number") from error
    return check_cutoff(number)


def in_one_line(error: BaseException) -> str:
    """Kind and text of an error, in one line.

    Examples
    --------
    >>> in_one_line(KeyError("B"))
    "KeyError: 'B'"
    """
    return " ".join(f"{type(error).__name__}: {error}".split())


def significant_bits(rows: Sequence[Rows]) -> int:
    """Return how many bits the most finely resolved number needs; integers count as exact.

    Examples
    --------
    >>> x = np.linspace(0, 1, 50)[None]
    >>> significant_bits([x]) > 45, significant_bits([x.astype("f4")])
    (True, 24)
    """
    values = np.concatenate([row[np.isfinite(row)].ravel() for row in rows]).astype(np.float64)
    if (values == np.round(values)).all():
        return 53
    mantissas = np.abs(np.frexp(values)[0])
    for bits in range(1, 53):
        scaled = mantissas * 2.0**bits
        if (scaled == np.round(scaled)).all():
            return bits
    return 53
