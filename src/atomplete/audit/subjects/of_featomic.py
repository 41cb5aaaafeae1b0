"""Calculators of featomic as subjects."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations_with_replacement
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
)
from atomplete.audit.subjects.vacuum import with_vacuum
from atomplete.errors import InputError, MissingExtraError

#: Calculators of centres, and the basis of those that have one.
CALCULATORS = ("SoapPowerSpectrum", "SoapRadialSpectrum", "SphericalExpansion", "SortedDistances")

#: Radial functions and largest l, unless they are given.
DEFAULT_BASIS = {"max_radial": 6, "max_angular": 4}

# Those that featomic differentiates to rows without equivariant components.
_WITH_GRADIENTS = ("SoapPowerSpectrum", "SoapRadialSpectrum")

# Attributes that are not pickled.
_REMADE = ("_maker", "_made")

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
        kind = name.partition(":")[2].partition("?")[0]
        if kind not in CALCULATORS:
            raise InputError(f"{name}: none of {', '.join(CALCULATORS)}")
        self.name, self.kind, self.arguments = name, kind, options
        cutoff = options.get("cutoff")
        radius = cutoff.get("radius") if isinstance(cutoff, dict) else cutoff
        self.cutoff = given_cutoff(name, radius)
        self._load()

    def _load(self) -> None:
        try:
            import featomic
        except ImportError as error:
            raise MissingExtraError("featomic", "peers") from error
        self._maker = getattr(featomic, self.kind)
        self._made = lru_cache(maxsize=8)(self._make)

    def __getstate__(self) -> dict[str, Any]:
        # calculators may not pass between processes: they are made anew
        return {key: value for key, value in vars(self).items() if key not in _REMADE}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._load()

    def describe(self, structures: Sequence[Atoms], scope: Scope) -> list[Rows]:
        """Rows of the centre, or of all atoms, of each structure."""
        block, places = _compute(self._made(scope), structures, scope)
        return [block.values[chosen] for chosen in places]

    def jacobian(
        self, structures: Sequence[Atoms], scope: Scope
    ) -> list[tuple[Rows, Float[np.ndarray, "row feature atom xyz"]]]:
        """Rows of each structure and featomic's derivatives by positions, 1/Å."""
        if self.kind not in _WITH_GRADIENTS:
            return super().jacobian(structures, scope)
        block, places = _compute(self._made(scope), structures, scope, gradients=["positions"])
        gradient = block.gradient("positions")
        sample, _, atom = gradient.samples.values.T
        found = []
        for atoms, chosen in zip(structures, places, strict=True):
            row_of = np.full(len(block.values), -1)
            row_of[chosen] = np.arange(len(chosen))
            mine = row_of[sample] >= 0
            slopes = np.zeros((len(chosen), len(atoms), 3, block.values.shape[-1]))
            np.add.at(slopes, (row_of[sample[mine]], atom[mine]), gradient.values[mine])
            found.append((block.values[chosen], slopes.transpose(0, 3, 1, 2)))
        return found

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


def _compute(
    calculator: Any, structures: Sequence[Atoms], scope: Scope, **options: Any
) -> tuple[Any, list[np.ndarray]]:
    """One block of all centres, or of those that structures name, and the places of these."""
    from metatensor import Labels

    centers = [described_centers(atoms, scope) for atoms in structures]
    chosen = [(k, atom) for k, of_structure in enumerate(centers) for atom in of_structure]
    samples = Labels(["system", "atom"], np.array(chosen, dtype=np.int32))
    padded = [with_vacuum(atoms, scope.cutoff) for atoms in structures]
    found = calculator.compute(padded, selected_samples=samples, **options)
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
    places = np.array([order[sample] for sample in chosen])
    return block, np.split(places, np.cumsum([len(one) for one in centers])[:-1])


def _neighbor_names(found: Any) -> list[str]:
    return [name for name in found.keys.names if name.startswith("neighbor")]


def _all_species(names: list[str], species: tuple[int, ...]) -> Any:
    """Keys of all neighbours, lest the features depend on which are present."""
    from metatensor import Labels

    keys = combinations_with_replacement(sorted(species), len(names))
    return Labels(names, np.array(list(keys), dtype=np.int32))
