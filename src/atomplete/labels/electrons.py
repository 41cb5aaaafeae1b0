"""Electrons of a molecule: total charge and unpaired electrons, as a structure states them."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms

from atomplete.errors import InputError
from atomplete.runs.fingerprint import STATE_INFO

#: Entries of ``info`` that seem to state electrons, but are not read.
_LOOKS_LIKE_ELECTRONS = re.compile(
    r"charge|spin|multiplicity|unpaired|mag_?mom|(^|_)(uhf|mult)($|_)", re.IGNORECASE
)

#: Sums of initial charges and moments are numbers of electrons up to this.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Electrons:
    """Total charge and number of unpaired electrons.

    Attributes
    ----------
    charge : int
        In elementary charges.
    unpaired : int or None
        Electrons of one spin less those of the other, 2S; None where the structure does not say.
    """

    charge: int
    unpaired: int | None

    @classmethod
    def of(cls, atoms: Atoms, name: str) -> "Electrons":
        """Read what a structure states, and refuse what is no state of a molecule.

        Parameters
        ----------
        atoms
            The structure. Its charge stands in ``info["charge"]``, or is the sum of
            ``initial_charges``; its spin in ``info["multiplicity"]`` or ``info["spin"]``, both
            2S + 1, or is the sum of ``initial_magmoms``, 2S.
        name
            The structure, for error messages.

        Raises
        ------
        InputError
            For values that are no whole numbers, that contradict each other or the number of
            electrons, moments of both signs, and entries that look like a charge or a spin under
            another name.

        Examples
        --------
        >>> Electrons.of(Atoms("O2", info={"charge": -1, "multiplicity": 2}), "o2.xyz")
        Electrons(charge=-1, unpaired=1)
        >>> Electrons.of(Atoms("O", info={"spin": 2}), "o.xyz, structure 0")
        Traceback (most recent call last):
        atomplete.errors.InputError: o.xyz, structure 0: 8 electrons cannot have 1 unpaired, ...
        """
        refuse_look_alikes(atoms, name)
        charge = _agreed(name, "charge", {
            "charge": atoms.info.get("charge"),
            "the sum of initial_charges": _sum(atoms, "initial_charges", name),
        })  # fmt: skip
        spins = {key: atoms.info.get(key) for key in ("multiplicity", "spin")}
        for key, value in spins.items():
            if value is not None and _whole(value, f"{name}: its {key}") < 1:
                raise InputError(f"{name}: its {key} is 2S + 1, which cannot be {value}")
        told = {f"{key} - 1": value - 1 for key, value in spins.items() if value is not None}
        moment = _moment(atoms, name)
        told["the sum of initial_magmoms"] = moment
        unpaired = _agreed(name, "number of unpaired electrons", told)
        number = int(atoms.numbers.sum()) - (charge or 0)
        if number < 1:
            raise InputError(f"{name}: a charge of {charge} leaves {number} electrons")
        if unpaired is not None and (unpaired > number or (number - unpaired) % 2):
            raise InputError(
                f"{name}: {number} electrons cannot have {unpaired} unpaired, as its "
                f"{', '.join(key for key, value in told.items() if value is not None)} says"
            )
        return cls(charge or 0, unpaired)


def _sum(atoms: Atoms, column: str, name: str) -> float | None:
    values = atoms.arrays.get(column)
    if values is None or not np.any(values):
        return None
    if values.shape != (len(atoms),) or values.dtype.kind not in "iuf":
        raise InputError(
            f"{name}: its {column} are {len(atoms)} numbers, not {values.shape} of {values.dtype}"
        )
    return float(values.sum())


def _moment(atoms: Atoms, name: str) -> float | None:
    total = _sum(atoms, "initial_magmoms", name)
    if total is None:
        return None
    moments = atoms.arrays["initial_magmoms"]
    if moments.min() < 0 < moments.max():
        raise InputError(
            f"{name}: its initial_magmoms point both ways, of which xtb and pbe would know no "
            "more than the sum"
        )
    return abs(total)


def _agreed(name: str, quantity: str, told: dict[str, Any]) -> int | None:
    """The whole number that all sources tell; None if none of them tells any."""
    found = {
        key: _whole(value, f"{name}: its {quantity} by {key}")
        for key, value in told.items()
        if value is not None
    }
    if len(set(found.values())) > 1:
        both = " and ".join(f"{value} by {key}" for key, value in found.items())
        raise InputError(f"{name}: its {quantity} is {both}")
    return next(iter(found.values()), None)


def _whole(value: Any, what: str) -> int:
    number = _number(value)
    if number is not None and np.isfinite(number) and abs(number - round(number)) < _ROUNDING:
        return round(number)
    raise InputError(f"{what} is {' '.join(repr(value).split()):.60}, not a whole number")


def _number(value: Any) -> float | None:
    """A single real number, whatever its type; None for anything else."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    is_number = isinstance(value, int | float | np.integer | np.floating)
    return float(value) if is_number and not isinstance(value, bool) else None


def refuse_look_alikes(atoms: Atoms, name: str) -> None:
    """Refuse entries of ``info`` that look like a charge or a spin and would not be read.

    Raises
    ------
    InputError
        For a number other than zero under such a name.

    Examples
    --------
    >>> refuse_look_alikes(Atoms("H", info={"total_charge": 1}), "h.xyz, structure 0")
    Traceback (most recent call last):
    atomplete.errors.InputError: h.xyz, structure 0: its total_charge = 1 is not read; ...
    """
    for key, value in atoms.info.items():
        if key in STATE_INFO or not _LOOKS_LIKE_ELECTRONS.search(str(key)):
            continue
        if _number(value):
            raise InputError(
                f"{name}: its {key} = {value} is not read; a charge stands under charge, "
                "2S + 1 under multiplicity"
            )
