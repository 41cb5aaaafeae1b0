"""Descriptors of DScribe as subjects."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numpy as np
from ase import Atoms
from jaxtyping import Float

from atomplete.audit.subjects.subject import (
    Basis,
    CannotDescribe,
    Rows,
    Scope,
    Subject,
    described_centers,
    given_cutoff,
    in_one_line,
)
from atomplete.audit.subjects.vacuum import with_vacuum
from atomplete.errors import InputError, MissingExtraError

#: Descriptors of centres, with what they are made with unless the user says otherwise.
LOCAL: dict[str, dict[str, Any]] = {
    "SOAP": {"n_max": 6, "l_max": 4, "sigma": 0.3},
    "ACSF": {
        "g2_params": [[0.5, 0.5], [1.0, 1.5], [1.0, 2.5], [2.0, 3.5]],
        "g4_params": [[0.1, zeta, sign] for zeta in (1, 2, 4) for sign in (1, -1)],
    },
    "LMBTR": {},
}

#: Descriptors of structures.
GLOBAL = ("MBTR", "CoulombMatrix", "SineMatrix", "EwaldSumMatrix", "ValleOganov")

# Attributes that are not pickled.
_REMADE = ("_maker", "_made")

# MBTR of the distances and of the angles, one after the other.
_GRIDS = (
    {
        "geometry": {"function": "distance"},
        "grid": {"min": 0, "max": 9, "n": 90, "sigma": 0.1},
    },
    {
        "geometry": {"function": "cosine"},
        "grid": {"min": -1, "max": 1, "n": 60, "sigma": 0.05},
    },
)


class DscribeSubject(Subject):
    """Descriptor of DScribe: ``dscribe:SOAP``, ACSF, LMBTR, MBTR, CoulombMatrix, ….

    Species, cutoff and periodicity come from what is audited, unless they are given. MBTR and
    LMBTR are those of distances and of angles together, unless a geometry is given.

    Parameters
    ----------
    name
        After ``dscribe:``, the class.
    options
        Its arguments.

    Raises
    ------
    MissingExtraError
        If DScribe is not installed.
    InputError
        If there is no such descriptor.

    Examples
    --------
    >>> DscribeSubject("dscribe:SOUP", {})
    Traceback (most recent call last):
    atomplete.errors.InputError: dscribe:SOUP: none of SOAP, ACSF, LMBTR, MBTR, CoulombMatrix, ...
    """

    package = "dscribe"

    def __init__(self, name: str, options: dict[str, Any]) -> None:
        kind = name.partition(":")[2].partition("?")[0]
        if kind not in (*LOCAL, *GLOBAL):
            raise InputError(f"{name}: none of {', '.join((*LOCAL, *GLOBAL))}")
        self.name, self.kind, self.arguments = name, kind, options
        self.levels = ("environment", "structure") if kind in LOCAL else ("structure",)
        self.cutoff = given_cutoff(name, options.get("r_cut"))
        self._load()

    def _load(self) -> None:
        try:
            import dscribe.descriptors
        except ImportError as error:
            raise MissingExtraError("dscribe", "peers") from error
        self._maker = getattr(dscribe.descriptors, self.kind)
        self._made = lru_cache(maxsize=16)(self._make)

    def __getstate__(self) -> dict[str, Any]:
        # descriptors of a package may not pass between processes: they are made anew
        return {key: value for key, value in vars(self).items() if key not in _REMADE}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._load()

    def describe(self, structures: Sequence[Atoms], scope: Scope) -> list[Rows]:
        """Rows of the centre, of all atoms or of the whole of each structure."""
        _refuse_periodicity(self.kind, structures)
        return [self._rows(atoms, scope) for atoms in structures]

    def jacobian(
        self, structures: Sequence[Atoms], scope: Scope
    ) -> list[tuple[Rows, Float[np.ndarray, "row feature atom xyz"]]]:
        """Rows and derivatives by positions, 1/Å; those of DScribe where it has exact ones."""
        if self.kind != "SOAP" or any(atoms.pbc.any() for atoms in structures):
            return super().jacobian(structures, scope)
        (soap,) = self._made(scope, False, 0)
        try:
            soap.validate_derivatives_method("analytical", attach=True)
        except ValueError:  # such as of weighted densities
            return super().jacobian(structures, scope)
        found = []
        for atoms in structures:
            with _positional_arguments():
                slopes, rows = soap.derivatives(
                    atoms, described_centers(atoms, scope), method="analytical", attach=True
                )
            found.append((rows, slopes.transpose(0, 3, 1, 2)))
        return found

    def basis(self, scope: Scope) -> Basis | None:
        """Truncation of the basis of SOAP."""
        chosen = {**LOCAL.get(self.kind, {}), **self.arguments}
        return Basis(chosen["n_max"], chosen["l_max"]) if self.kind == "SOAP" else None

    def at(self, basis: Basis) -> "DscribeSubject":
        """Return SOAP in another basis."""
        chosen = {"n_max": basis.max_radial, "l_max": basis.max_angular, "dtype": basis.dtype}
        width = {} if basis.width is None else {"sigma": basis.width}
        return DscribeSubject(self.name, {**self.arguments, **chosen, **width})

    def _make(self, scope: Scope, periodic: bool, size: int) -> list[Any]:
        found = _arguments(self.kind, self.arguments, scope, periodic, size)
        try:
            return [self._maker(**keys) for keys in found]
        except Exception as error:  # each descriptor checks its arguments in its own way
            reason = " ".join(str(error).split())
            raise CannotDescribe(f"{self.name} cannot be made ({reason})") from error

    def _rows(self, atoms: Atoms, scope: Scope) -> Rows:
        where = {"centers": described_centers(atoms, scope)} if self.kind in LOCAL else {}
        padded = with_vacuum(atoms, scope.cutoff)
        if padded.pbc.any():
            padded = padded.copy()
            padded.wrap()  # DScribe misses neighbours of atoms outside the cell
        # matrices alone have a size that depends on the number of atoms
        size = 0 if self.kind in LOCAL else len(atoms)
        descriptors = self._made(scope, bool(atoms.pbc.any()), size)
        try:
            with _positional_arguments():
                parts = [np.atleast_2d(d.create(padded, **where)) for d in descriptors]
        except ValueError as error:  # such as of species that were not named
            formula = atoms.get_chemical_formula()
            raise CannotDescribe(f"{self.name} on {formula}: {in_one_line(error)}") from error
        return np.concatenate(parts, axis=1)


def _refuse_periodicity(kind: str, structures: Sequence[Atoms]) -> None:
    """Matrices are for molecules or for crystals."""
    for atoms in structures:
        periodic = bool(atoms.pbc.any())
        if periodic and kind == "CoulombMatrix":
            raise CannotDescribe("it does not know periodic structures")
        if not atoms.pbc.all() and kind in ("SineMatrix", "EwaldSumMatrix", "ValleOganov"):
            raise CannotDescribe("it knows structures only that are periodic in all directions")


@contextmanager
def _positional_arguments() -> Iterator[None]:
    """Let DScribe 2.1 make structures with ASE 3.29, which dropped one positional argument."""
    from dscribe.core.system import System

    original = System.__init__

    def by_name(self: Any, symbols: Any = None, *others: Any, **named: Any) -> None:
        Atoms.__init__(self, symbols, *others, **named)
        for attribute in (
            "wyckoff_positions",
            "equivalent_atoms",
            "_cell_inverse",
            "_displacement_tensor",
            "_distance_matrix",
            "_inverse_distance_matrix",
        ):
            setattr(self, attribute, None)

    System.__init__ = by_name
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of ASE, about calculators
            yield
    finally:
        System.__init__ = original


def _arguments(
    kind: str, options: dict[str, Any], scope: Scope, periodic: bool, size: int
) -> list[dict[str, Any]]:
    """Arguments of the descriptors that make up the subject."""
    species = list(scope.species)
    if kind.endswith("Matrix"):
        # sorting by norms jumps where two norms cross; eigenvalues do not
        return [{"n_atoms_max": size, "permutation": "eigenspectrum", **options}]
    common: dict[str, Any] = {"species": species, "periodic": periodic}
    if kind == "ValleOganov":
        defaults = {"function": "angle", "n": 60, "sigma": 0.1, "r_cut": scope.cutoff}
        return [{"species": species, **defaults, **options}]
    if kind in ("SOAP", "ACSF"):
        return [{**common, "r_cut": scope.cutoff, **LOCAL[kind], **options}]
    grids = ({},) if "geometry" in options else _GRIDS
    # cells have to be cut shorter: the cost grows with the third power of the reach
    reach = {"scale": 1.0, "threshold": 1e-3} if periodic else {"scale": 0.3, "threshold": 1e-8}
    common |= {"weighting": {"function": "exp", **reach}, "normalize_gaussians": False}
    return [{**common, **grid, **options} for grid in grids]
