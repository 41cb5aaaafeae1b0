"""Calculators of featomic as subjects."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
from ase import Atoms

from atomplete.audit.subjects.subject import Basis, CannotDescribe, Rows, Scope, Subject
from atomplete.audit.subjects.vacuum import with_vacuum
from atomplete.errors import InputError, MissingExtraError
from atomplete.system import center_of

#: Calculators of centres, and the basis of those that have one.
CALCULATORS = ("SoapPowerSpectrum", "SoapRadialSpectrum", "SphericalExpansion", "SortedDistances")

#: Radial functions and largest l, unless they are given.
DEFAULT_BASIS = {"max_radial": 6, "max_angular": 4}

# Width of the density, Å: at least, and as a part of the cutoff.
_WIDTH, _WIDTH_OF_RADIUS = 0.3, 0.04


class FeatomicSubject(Subject):
    """Calculator of featomic: ``featomic:SoapPowerSpectrum``, SoapRadialSpectrum, ….

    Parameters
    ----------
    name
        After ``featomic:``, the class.
    options
        Its hyperparameters, as featomic names them; or ``max_radial``, ``max_angular``,
        ``width`` and ``cutoff`` in short. The cutoff comes from what is audited, unless given.

    Raises
    ------
    MissingExtraError
        If featomic is not installed.
    InputError
        If there is no such calculator.

    Examples
    --------
    >>> FeatomicSubject("featomic:Soap", {})
    Traceback (most recent call last):
    atomplete.errors.InputError: featomic:Soap: none of SoapPowerSpectrum, SoapRadialSpectrum, ...
    """

    package = "featomic"

    def __init__(self, name: str, options: dict[str, Any]) -> None:
        try:
            import featomic
        except ImportError as error:
            raise MissingExtraError("featomic", "peers") from error
        kind = name.partition(":")[2]
        if kind not in CALCULATORS:
            raise InputError(f"{name}: none of {', '.join(CALCULATORS)}")
        self.name, self.kind, self.arguments = name, kind, options
        self._maker = getattr(featomic, kind)
        self._made = lru_cache(maxsize=8)(self._make)

    def describe(self, structures: Sequence[Atoms], scope: Scope) -> list[Rows]:
        """Rows of the centre, or of all atoms, of each structure."""
        return _compute(self._made(scope), structures, scope)

    def basis(self, scope: Scope) -> Basis | None:
        """Truncation of the basis of a power spectrum."""
        if self.kind != "SoapPowerSpectrum":
            return None
        return Basis(*(self.arguments.get(key, n) for key, n in DEFAULT_BASIS.items()))

    def at(self, basis: Basis) -> "FeatomicSubject":
        """Return a power spectrum in another basis."""
        chosen = {"max_radial": basis.max_radial, "max_angular": basis.max_angular}
        width = {} if basis.width is None else {"width": basis.width}
        return FeatomicSubject(self.name, {**self.arguments, **chosen, **width})

    def _make(self, scope: Scope) -> Any:
        try:
            return self._maker(**_hyperparameters(self.kind, self.arguments, scope))
        except Exception as error:  # of featomic's own checks
            reason = " ".join(str(error).split())
            raise CannotDescribe(f"{self.name} cannot be made ({reason})") from error


def _hyperparameters(kind: str, options: dict[str, Any], scope: Scope) -> dict[str, Any]:
    options = {**DEFAULT_BASIS, **options}
    max_radial, max_angular = (options.pop(key) for key in DEFAULT_BASIS)
    cutoff = options.pop("cutoff", scope.cutoff)
    if kind == "SortedDistances":
        defaults = {"cutoff": cutoff, "max_neighbors": 40, "separate_neighbor_types": True}
        return {**defaults, **options}
    # featomic counts radial functions from 0 to max_radial, inclusive
    radial = {"type": "Gto", "max_radial": max_radial - 1}
    basis: dict[str, Any] = {"type": "TensorProduct", "radial": radial}
    if kind == "SoapRadialSpectrum":
        basis = {"radial": radial}
    else:
        basis["max_angular"] = max_angular
    if not isinstance(cutoff, dict):
        cutoff = {"radius": cutoff, "smoothing": {"type": "ShiftedCosine", "width": 0.3}}
    radius = cutoff["radius"]
    # far atoms have narrow Gaussians in the radial integrals, which then fail
    width = options.pop("width", max(_WIDTH, _WIDTH_OF_RADIUS * radius))
    density = {"type": "Gaussian", "width": width}
    return {"cutoff": cutoff, "density": density, "basis": basis, **options}


def _compute(calculator: Any, structures: Sequence[Atoms], scope: Scope) -> list[Rows]:
    """Rows of all centres, or of the one that each structure names."""
    from metatensor import Labels

    if scope.level == "environment":
        chosen = [(k, center_of(atoms)) for k, atoms in enumerate(structures)]
    else:
        chosen = [(k, atom) for k, atoms in enumerate(structures) for atom in range(len(atoms))]
    samples = Labels(["system", "atom"], np.array(chosen, dtype=np.int32))
    padded = [with_vacuum(atoms, scope.cutoff) for atoms in structures]
    found = calculator.compute(padded, selected_samples=samples)
    # equivariant components are numbers like any others: whether they turn is to be found out
    found = found.components_to_properties(["o3_mu"]) if "o3_lambda" in found.keys.names else found
    for names in (["o3_lambda", "o3_sigma"], _neighbor_names(found)):
        present = [name for name in names if name in found.keys.names]
        if present and names[0] == "o3_lambda":
            found = found.keys_to_properties(present)
        elif present:
            found = found.keys_to_properties(_all_species(present, scope.species))
    if "center_type" in found.keys.names:
        found = found.keys_to_samples("center_type")
    block = found.block()
    order = {(int(k), int(atom)): row for row, (k, atom, *_) in enumerate(block.samples.values)}
    values = np.zeros((len(chosen), block.values.shape[-1]))
    for row, sample in enumerate(chosen):
        values[row] = block.values[order[sample]]
    sizes = [1 if scope.level == "environment" else len(atoms) for atoms in structures]
    return np.split(values, np.cumsum(sizes)[:-1])


def _neighbor_names(found: Any) -> list[str]:
    return [name for name in found.keys.names if name.startswith("neighbor")]


def _all_species(names: list[str], species: tuple[int, ...]) -> Any:
    """Keys of all neighbours, lest the features depend on which are present."""
    from metatensor import Labels

    keys = combinations_with_replacement(sorted(species), len(names))
    return Labels(names, np.array(list(keys), dtype=np.int32))
