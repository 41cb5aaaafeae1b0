"""Labelled properties of structures: under which keys they stand, and which keys were not read."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from ase import Atoms
from ase.stress import full_3x3_to_voigt_6_stress
from pydantic import BaseModel, ConfigDict, Field

from atomplete.errors import InputError
from atomplete.runs.fingerprint import STATE_ARRAYS, essentials

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
    key = _key_read(atoms, property, keys or LabelKeys())
    if key is None:
        return None
    found = _shaped(_entries(atoms)[key], property, len(atoms), f"{name}: its {key}")
    is_virial = property == "stress" and key in (keys or LabelKeys()).virial
    return -found / atoms.get_volume() + 0.0 if is_virial else found


def labels(
    structures: Sequence[Atoms],
    property: Property,
    keys: LabelKeys | None = None,
    names: Sequence[str] | None = None,
) -> list[np.ndarray | None]:
    """Labelled property of each structure; errors name it, by default by its number.

    Examples
    --------
    >>> labels([Atoms("H", info={"energy": -13.6}), Atoms("H")], "energy")
    [array(-13.6), None]
    """
    names = names or [f"structure {index}" for index in range(len(structures))]
    return [
        label(atoms, property, keys, name) for atoms, name in zip(structures, names, strict=True)
    ]


def keys_found(structures: Sequence[Atoms], keys: LabelKeys, property: Property) -> list[str]:
    """Keys under which the property of any structure is read, in the order that is tried."""
    read = [_key_read(atoms, property, keys) for atoms in structures]
    names = getattr(keys, property) + (keys.virial if property == "stress" else ())
    return [name for name in names if name in read]


def unread(structures: Sequence[Atoms], keys: LabelKeys) -> list[str]:
    """Lines on what structures carry and is not read: labels, and states that energies depend on.

    Examples
    --------
    >>> unread([Atoms("H", info={"DFT_energy": -13.6, "config_type": "x"})], LabelKeys())
    ['NOT READ, though it looks like a label: DFT_energy (1 structures)']
    """
    counts = Counter(found for atoms in structures for found in _unread(atoms, keys))
    return [f"{why}: {key} ({count} structures)" for (why, key), count in counts.items()]


def _unread(atoms: Atoms, keys: LabelKeys) -> Iterator[tuple[str, str]]:
    """Reason and key of what one structure carries and is not read."""
    read: dict[Property, str | None] = {
        name: _key_read(atoms, name, keys) for name in ("energy", "forces", "stress")
    }
    for key, value in _entries(atoms).items():
        if key in read.values() or not _is_numeric(value):
            continue
        if key in (*keys.stress, *keys.virial) and not atoms.pbc.all():
            yield "NOT READ, as a direction is not periodic", key
        elif key in keys.all():
            yield "NOT READ, as another key is", key
        elif _LOOKS_LIKE_A_LABEL.search(key):
            yield "NOT READ, though it looks like a label", key
    state = essentials(atoms)
    for key in (*state.info, *(name for name in STATE_ARRAYS if name in state.arrays)):
        if key != "tags":
            yield "NOT SEEN by potentials, though energies depend on it", key


def _key_read(atoms: Atoms, property: Property, keys: LabelKeys) -> str | None:
    """The first of the keys of a property that a structure has."""
    if property == "stress" and not atoms.pbc.all():
        return None
    names = getattr(keys, property) + (keys.virial if property == "stress" else ())
    found = _entries(atoms)
    return next((name for name in names if name in found), None)


def _entries(atoms: Atoms) -> Mapping[str, Any]:
    """All that a structure carries; calculator results come first."""
    results = getattr(atoms.calc, "results", {})
    return {**atoms.arrays, **atoms.info, **results}


def _is_numeric(value: Any) -> bool:
    try:
        return np.asarray(value).dtype.kind in "iuf"
    except ValueError:  # lists of several lengths
        return False


def _shaped(value: Any, property: Property, n_atoms: int, name: str) -> np.ndarray:
    if not _is_numeric(value):
        raise InputError(f"{name} is {' '.join(str(value).split()):.60}, not a number")
    array = np.array(value, dtype=float)
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
