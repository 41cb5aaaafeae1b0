"""Pairs of the user: read, checked, and named where they cannot be audited."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from atomplete.audit.precision import precision_of
from atomplete.audit.verdicts.pairs import Pair
from atomplete.data import read_structures
from atomplete.data.pairs import pair_structures
from atomplete.degenerate.congruence.congruence import Level
from atomplete.degenerate.families.registry import FAMILIES
from atomplete.errors import InputError
from atomplete.runs.fingerprint import STATE_ARRAYS, essentials


@dataclass(frozen=True)
class UserPairs:
    """Pairs of a file, and those that were refused.

    Attributes
    ----------
    source
        The file.
    pairs
        Those that can be audited.
    remarks
        Sentences on the others, and on congruent pairs, by ``pair_id``.
    refused
        The ``pair_id`` of those that cannot be audited.

    Examples
    --------
    >>> UserPairs(Path("mine.xyz"), [], {3: "it has only one of its two members"}, (3,)).refused
    (3,)
    """

    source: Path
    pairs: list[Pair]
    remarks: dict[int, str]
    refused: tuple[int, ...]


def user_pairs(path: str | os.PathLike[str], precision: float | None = None) -> UserPairs:
    """Read pairs: two structures each, with ``pair_id`` and ``sign`` in ``info``.

    A pair with a ``center`` is one of environments, one without of structures.

    Parameters
    ----------
    path
        File of structures.
    precision
        Largest error of the coordinates, Å; by default what their digits leave open.

    Raises
    ------
    InputError
        If the file cannot be read or none of its pairs can be audited.

    Examples
    --------
    >>> user_pairs("absent.xyz")
    Traceback (most recent call last):
    atomplete.errors.InputError: absent.xyz: there is no such file
    """
    structures = read_structures(path)
    # not to be taken for the family of that name
    family = f"own_{Path(path).stem}" if Path(path).stem in FAMILIES else Path(path).stem
    found = pair_structures(structures, path)
    pairs, remarks = [], dict.fromkeys(found.dropped, "it has only one of its two members")
    for pair_id, indices in zip(found.ids.tolist(), found.indices, strict=True):
        plus, minus = (structures[index] for index in indices)
        problem = _problem(plus, minus)
        if problem is not None:
            remarks[pair_id] = problem
            continue
        pairs.append(own_pair(family, pair_id, plus, minus, precision))
    refused = tuple(sorted(remarks))
    for pair in pairs:
        distance = pair.distance("O3")
        if distance <= pair.tolerance:
            remarks[pair.number] = _congruence(pair, distance)
    if not pairs:
        first = refused[0]
        raise InputError(f"{path}: no pair can be audited (pair {first}: {remarks[first]})")
    return UserPairs(Path(path), pairs, dict(sorted(remarks.items())), refused)


def own_pair(
    family: str, number: int, plus: Atoms, minus: Atoms, precision: float | None = None
) -> Pair:
    """Make a pair of structures that were read: of environments, if they name a center.

    Parameters
    ----------
    family, number, plus, minus
        As in `Pair`.
    precision
        Largest error of the coordinates, Å; by default what the digits leave open, of the member
        that has fewer of them.

    Examples
    --------
    >>> bonds = (Atoms("OH", [(0, 0, 0), (0, 0, r)]) for r in (0.95718, 1.1))
    >>> own_pair("mine", 0, *bonds).precision
    5e-06
    """
    precision = max(precision_of(atoms, precision) for atoms in (plus, minus))
    level: Level = "environment" if "center" in plus.info else "structure"
    return Pair(family, number, level, plus, minus, own=True, precision=precision)


def _congruence(pair: Pair, distance: float) -> str:
    """Explain that the members are congruent under O(3)."""
    if pair.distance("SO3") > pair.tolerance:
        return "its members are mirror images: a control for what is invariant under O(3)"
    within = f" within {pair.radius:g} Å" if pair.plus.pbc.any() else ""
    to = f"to {distance:.0e} Å"
    if pair.precision:
        to += f", where coordinates are worth {pair.precision:.0e} Å"
    return f"its members are congruent{within} ({to}), which makes it a control"


def _problem(plus: Atoms, minus: Atoms) -> str | None:
    """Reason why a pair cannot be audited, if there is one."""
    formulas = [atoms.get_chemical_formula() for atoms in (plus, minus)]
    if formulas[0] != formulas[1]:
        return f"its members have different compositions ({formulas[0]}, {formulas[1]})"
    if len(plus) == 1 and not plus.pbc.any():
        return "a single atom has nothing around it"
    if (plus.pbc != minus.pbc).any():
        return f"its members have different periodicity ({plus.pbc.tolist()}, {minus.pbc.tolist()})"
    states = [_state(atoms) for atoms in (plus, minus)]
    if states[0] != states[1]:
        return f"its members have different electrons ({states[0]}, {states[1]})"
    cutoffs = [atoms.info.get("cutoff") for atoms in (plus, minus)]
    for cutoff in cutoffs:
        if cutoff is not None and not _is_length(cutoff):
            return f"the cutoff in its info is {cutoff!r}, no length in Å"
    if cutoffs[0] != cutoffs[1]:
        return f"its members have different cutoffs ({cutoffs[0]}, {cutoffs[1]})"
    centers = [atoms.info.get("center") for atoms in (plus, minus)]
    if (centers[0] is None) != (centers[1] is None):
        return "one of its members has a center, the other has none"
    if centers[0] is None:
        return None
    for center in centers:
        whole = isinstance(center, int | np.integer) and not isinstance(center, bool)
        if not whole or not 0 <= center < len(plus):
            return f"its center {center} is no atom of {len(plus)}"
    species = [a.symbols[c] for a, c in zip((plus, minus), centers, strict=True)]
    if species[0] != species[1]:
        return f"its centers are of different species ({species[0]}, {species[1]})"
    return None


def _state(atoms: Atoms) -> dict[str, Any]:
    """Charges and spins that calculators see, of atoms in any order."""
    bare = essentials(atoms)
    columns = {name: bare.arrays[name] for name in STATE_ARRAYS if name in bare.arrays}
    told = {name: np.asarray(value).tolist() for name, value in bare.info.items()}
    return told | {name: np.sort(values, axis=0).tolist() for name, values in columns.items()}


def _is_length(value: Any) -> bool:
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    return number and 0 < value < np.inf
