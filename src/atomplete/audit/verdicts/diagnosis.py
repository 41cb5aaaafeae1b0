"""Diagnosis of a subject before an audit, on congruent copies of random structures."""

from itertools import product
from typing import Literal

import numpy as np
from ase import Atoms
from numpy.random import Generator
from pydantic import BaseModel, Field, computed_field

from atomplete.audit.subjects.subject import (
    FLOAT32_BITS,
    CannotDescribe,
    Rows,
    Scope,
    Subject,
    significant_bits,
)
from atomplete.audit.verdicts.copies import KINDS, Kind, copies
from atomplete.audit.verdicts.distance import feature_distance, in_units
from atomplete.degenerate.congruence.congruence import Group
from atomplete.degenerate.random_structures import random_environment
from atomplete.errors import InputError

Fault = Literal[
    "frame-dependent",
    "order-dependent",
    "position-dependent",
    "not reproducible",
    "not finite",
    "constant",
    "precision-limited",
]

#: Faults that leave no verdict standing. A coarse subject is judged above its own rounding, and
#: one that is not finite now and then where it is finite.
BREAKING: tuple[Fault, ...] = (
    "frame-dependent",
    "order-dependent",
    "position-dependent",
    "not reproducible",
    "constant",
)

#: A difference between copies above this part of a typical difference is no rounding.
INVARIANT = 1e-3

# Elements to try, for subjects that know some only; environments, and atoms in each.
_ELEMENTS = ((1, 6, 8), (6,), (5,), (14,), (29,))
_N_ENVIRONMENTS, _N_ATOMS, _RADIUS = 8, 6, 2.5

_TEXTS: dict[Fault, str] = {
    "frame-dependent": "rotated copies differ by {size:.0e} of a typical difference",
    "order-dependent": "permuted copies differ by {size:.0e} of a typical difference",
    "position-dependent": "translated copies differ by {size:.0e} of a typical difference",
    "not reproducible": "the same structure twice differs by {size:.0e} of a typical difference",
    "not finite": "{count} of {total} descriptions hold NaN or infinity",
    "constant": "random structures do not differ",
    "precision-limited": "its numbers have no more than {bits} significant bits{like}",
}
_FAULT_OF: dict[Kind, Fault] = {
    "repeated": "not reproducible",
    "rotated": "frame-dependent",
    "permuted": "order-dependent",
    "translated": "position-dependent",
}


class Diagnosis(BaseModel):
    """Behaviour of a subject on congruent copies of random structures: a part of ``run.json``.

    Attributes
    ----------
    group
        The group under which the subject was found to be invariant.
    significant_bits
        Most significant bits of its numbers; 53 in float64.
    faults
        Its faults, with a sentence each.
    noise
        Largest difference from copies of each kind, in units of a typical difference.
    descriptions, not_finite
        How many structures were described, also later on, and how many of them badly.
    claimed_group
        The group that it claims; None if it claims nothing.

    Examples
    --------
    >>> Diagnosis(group="O3").summary
    'invariant under O(3)'
    """

    group: Group
    significant_bits: int = 53
    faults: dict[Fault, str] = Field(default_factory=dict)
    noise: dict[Kind, float] = Field(default_factory=dict)
    descriptions: int = 0
    not_finite: int = 0
    claimed_group: Group | None = None

    @property
    def broken(self) -> str | None:
        """The fault that leaves no verdict standing, if there is one."""
        return next((f"{f}: {text}" for f, text in self.faults.items() if f in BREAKING), None)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def summary(self) -> str:
        """One line."""
        if self.faults:
            return "; ".join(f"{fault}: {text}" for fault, text in self.faults.items())
        text = f"invariant under {self.group[:-1]}(3)"
        if self.claimed_group not in (None, self.group):
            text += f", though {str(self.claimed_group)[:-1]}(3) was claimed"
        return text if self.significant_bits > FLOAT32_BITS else f"{text}, in single precision"

    def count(self, described: int, not_finite: int) -> None:
        """Take note of descriptions, and of those that are not finite."""
        self.descriptions += described
        self.not_finite += not_finite
        if self.not_finite:
            self.faults["not finite"] = _TEXTS["not finite"].format(
                count=self.not_finite, total=self.descriptions
            )


def diagnose(subject: Subject, seed: int = 0) -> Diagnosis:
    """Find out what a subject is invariant to, and how finely it is computed.

    Parameters
    ----------
    subject
        The subject; looked at on the first of its levels.
    seed
        Of the random structures and of their copies.

    Raises
    ------
    InputError
        If it can describe no random structure at all.

    Examples
    --------
    >>> from atomplete.audit.subjects.named import subject_of
    >>> diagnose(subject_of("power_spectrum")).summary
    'invariant under O(3)'
    """
    rng = np.random.default_rng(seed)
    structures, described = _described(subject, rng)
    rows, _ = in_units(described)
    per_structure = 1 + sum(KINDS.values())
    all_rows = iter(rows)
    groups = [[(atoms, next(all_rows)) for atoms in group] for group in structures]
    assert all(len(group) == per_structure for group in groups)
    firsts = [group[0] for group in groups]
    differences = [
        feature_distance(x, y, a, b)
        for k, (a, x) in enumerate(firsts)
        for b, y in firsts[:k]
        if len(a) == len(b)
    ]
    known = [difference for difference in differences if np.isfinite(difference)]
    typical = float(np.median(known or [np.nan]))
    size = float(np.median([np.linalg.norm(row[np.isfinite(row)]) for row in rows]))
    kinds = [kind for kind, count in KINDS.items() for _ in range(count)]
    noise: dict[Kind, float] = dict.fromkeys(KINDS, 0.0)
    for (atoms, row), *rest in groups:
        for kind, (copy, other) in zip(kinds, rest, strict=True):
            distance = feature_distance(row, other, atoms, copy)
            noise[kind] = max(noise[kind], 0.0 if np.isnan(distance) else distance)
    bits = significant_bits(described)
    diagnosis = Diagnosis(group="O3", significant_bits=bits, claimed_group=subject.group)
    diagnosis.count(len(rows), sum(not np.isfinite(row).all() for row in rows))
    if not known:  # which has been counted
        return diagnosis
    if not typical > 1e-12 * size:
        diagnosis.faults["constant"] = _TEXTS["constant"]
        return diagnosis
    diagnosis.noise = {kind: distance / typical for kind, distance in noise.items()}
    _name_faults(diagnosis, rounding=10 * size * 2.0**-bits / typical)
    return diagnosis


def _described(subject: Subject, rng: Generator) -> tuple[list[list[Atoms]], list[Rows]]:
    """Random structures with their copies, of elements that the subject knows."""
    reason = ""
    for numbers, periodic in product(_ELEMENTS, (False, True)):
        scope = Scope(subject.levels[0], 2 * _RADIUS, numbers)
        species = (numbers * _N_ATOMS)[:_N_ATOMS]
        environments = [random_environment(species, _RADIUS, rng) for _ in range(_N_ENVIRONMENTS)]
        for atoms in environments if periodic else ():
            atoms.set_cell(3 * _RADIUS * np.eye(3))
            atoms.pbc = True
        structures = [[a, *(copy for _, copy in copies(a, rng))] for a in environments]
        try:
            return structures, subject.describe([a for group in structures for a in group], scope)
        except CannotDescribe as error:
            reason = str(error)
    raise InputError(f"{subject.name} describes no random structure ({reason})")


def _name_faults(diagnosis: Diagnosis, rounding: float) -> None:
    """Say what is wrong, the simplest reason first; reasons that include it are left out."""
    noise, bits = diagnosis.noise, diagnosis.significant_bits
    limit = max(INVARIANT, rounding)
    for kind, fault in _FAULT_OF.items():
        if noise[kind] > limit:
            diagnosis.faults[fault] = _TEXTS[fault].format(size=noise[kind])
            if kind == "repeated":  # which makes all copies differ
                break
    if noise["reflected"] > max(100 * noise["rotated"], rounding, 1e-9):
        diagnosis.group = "SO3"
    if bits < FLOAT32_BITS:
        like = {11: ", as float16", 8: ", as bfloat16"}.get(bits, "")
        text = _TEXTS["precision-limited"].format(bits=bits, like=like)
        diagnosis.faults["precision-limited"] = text
