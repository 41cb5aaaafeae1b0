"""Labelled properties of structures: under which keys they stand, and which keys were not read."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from ase import Atoms
from ase.stress import full_3x3_to_voigt_6_stress
from pydantic import BaseModel, ConfigDict, Field

from atomplete.errors import InputError

Property = Literal["energy", "forces", "stress"]

#: Names of keys that are likely to hold energies, forces, stresses or virials.
_LOOKS_LIKE_A_LABEL = re.compile(r"energ|force|grad|stress|viri", re.IGNORECASE)


class LabelKeys(BaseModel):
    """Keys under which labels stand: calculator results, ``info`` entries or per-atom arrays.

    Energies are in eV, forces in eV/Å, stresses in eV/Å³ with ASE's sign (tension is positive),
    virials in eV with stress = −virial / volume. The first key that a structure has is read.

    Examples
    --------
    >>> LabelKeys(energy=("REF_energy",)).forces
    ('forces',)
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    energy: tuple[str, ...] = Field(default=("energy",), description="energy of a structure, eV")
    forces: tuple[str, ...] = Field(default=("forces",), description="forces on atoms, eV/Å")
    stress: tuple[str, ...] = Field(
        default=("stress",), description="stress, eV/Å³, nine numbers or six in Voigt's order"
    )
    virial: tuple[str, ...] = Field(
        default=("virial", "virials"), description="virial, eV: −stress times volume"
    )

    def all(self) -> set[str]:
        """All keys that are read."""
        return {*self.energy, *self.forces, *self.stress, *self.virial}


def label(
    atoms: Atoms, property: Property, keys: LabelKeys | None = None, name: str = "structure"
) -> np.ndarray | None:
    """Labelled property of a structure, or None if it has none.

    Parameters
    ----------
    atoms
        The structure. Calculator results win over ``info``, and these over arrays.
    property
        ``"energy"``, ``"forces"`` or ``"stress"``.
    keys
        Where it stands.
    name
        The structure, for error messages.

    Returns
    -------
    ndarray or None
        (), eV; (atom, xyz), eV/Å; or (6,), eV/Å³, in the order xx, yy, zz, yz, xz, xy. There is
        no stress where a direction is not periodic.

    Raises
    ------
    InputError
        For a label of another shape, or one that is not finite.

    Examples
    --------
    >>> cell = Atoms("Si", cell=[2, 2, 2], pbc=True, info={"virial": -8 * np.eye(3)})
    >>> label(cell, "stress")
    array([1., 1., 1., 0., 0., 0.])
    >>> label(cell, "energy") is None
    True
    """
    keys = keys or LabelKeys()
    if property == "stress" and not atoms.pbc.all():
        return None
    for key in getattr(keys, property):
        if key in (found := _entries(atoms)):
            return _shaped(found[key], property, len(atoms), f"{name}: its {key}")
    if property == "stress":
        for key in keys.virial:
            if key in (found := _entries(atoms)):
                virial = _shaped(found[key], "stress", len(atoms), f"{name}: its {key}")
                return -virial / atoms.get_volume() + 0.0
    return None


def labels(
    structures: Sequence[Atoms], property: Property, keys: LabelKeys | None = None
) -> list[np.ndarray | None]:
    """Labelled property of each structure; errors name its number.

    Examples
    --------
    >>> labels([Atoms("H", info={"energy": -13.6}), Atoms("H")], "energy")
    [array(-13.6), None]
    """
    return [
        label(atoms, property, keys, f"structure {index}") for index, atoms in enumerate(structures)
    ]


def keys_found(structures: Sequence[Atoms], keys: LabelKeys, property: Property) -> list[str]:
    """Keys under which at least one structure has the property, in the order that is tried."""
    names = getattr(keys, property) + (keys.virial if property == "stress" else ())
    return [name for name in names if any(name in _entries(atoms) for atoms in structures)]


def look_alikes(structures: Sequence[Atoms], keys: LabelKeys) -> dict[str, int]:
    """Keys that look like labels and are not read, with the number of structures that have them.

    Examples
    --------
    >>> look_alikes([Atoms("H", info={"DFT_energy": -13.6, "config_type": "x"})], LabelKeys())
    {'DFT_energy': 1}
    """
    read = keys.all()
    counts = Counter(
        name
        for atoms in structures
        for name, value in _entries(atoms).items()
        if name not in read and _LOOKS_LIKE_A_LABEL.search(name) and _is_numeric(value)
    )
    return dict(counts)


def _entries(atoms: Atoms) -> Mapping[str, Any]:
    """All that a structure carries; calculator results come first."""
    results = getattr(atoms.calc, "results", {})
    return {**atoms.arrays, **atoms.info, **results}


def _is_numeric(value: Any) -> bool:
    return np.asarray(value).dtype.kind in "if"


def _shaped(value: Any, property: Property, n_atoms: int, name: str) -> np.ndarray:
    try:
        array = np.array(value, dtype=float)
    except (TypeError, ValueError):
        raise InputError(f"{name} is {value!r}, not a number") from None
    shape = {"energy": (), "forces": (n_atoms, 3), "stress": (6,)}[property]
    if property == "stress" and array.size == 9:
        array = full_3x3_to_voigt_6_stress(array.reshape(3, 3))
    if property == "energy" and array.size == 1:
        array = array.reshape(())
    if array.shape != shape:
        raise InputError(f"{name} has the shape {array.shape}, not {shape}")
    if not np.isfinite(array).all():
        found = array if property == "energy" else "not finite"
        raise InputError(f"{name} is {found}")
    return array
