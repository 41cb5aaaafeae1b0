"""The fingerprint of structures: all of them that a label may depend on, and nothing else."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from ase import Atoms

#: Entries of ``info`` and arrays that state electrons, spins or kinds of atoms. Calculators are
#: given these beside species, positions, cell and periodicity, and all of them are hashed.
STATE_INFO = ("charge", "multiplicity", "spin")
STATE_ARRAYS = ("initial_charges", "initial_magmoms", "tags")


def essentials(atoms: Atoms) -> Atoms:
    """Copy of a structure with what a label may depend on, and nothing else.

    Parameters
    ----------
    atoms
        The structure.

    Returns
    -------
    Atoms
        With species, positions, cell and periodicity, and where they are stated the entries of
        ``info`` and the arrays of ``STATE_INFO`` and ``STATE_ARRAYS``. A charge of zero, and
        arrays of zeros, state nothing.

    Examples
    --------
    >>> atoms = Atoms("OH", positions=[[0, 0, 0], [0, 0, 1]], info={"charge": -1, "step": 7})
    >>> essentials(atoms).info
    {'charge': -1}
    """
    info = {key: atoms.info[key] for key in STATE_INFO if atoms.info.get(key) is not None}
    if "charge" in info and _told(info["charge"]) == _told(0):
        del info["charge"]
    copy = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc, info=info)
    for name in STATE_ARRAYS:
        if name in atoms.arrays and np.any(atoms.arrays[name]):
            copy.set_array(name, atoms.arrays[name])
    return copy


def states_electrons(atoms: Atoms) -> bool:
    """Whether a structure states a charge, a spin or magnetic moments.

    Examples
    --------
    >>> states_electrons(Atoms("H")), states_electrons(Atoms("H", info={"charge": 1}))
    (False, True)
    """
    bare = essentials(atoms)
    return bool(bare.info) or any(name in bare.arrays for name in STATE_ARRAYS[:2])


def content_hash(
    structures: Sequence[Atoms], labels: Iterable[npt.ArrayLike | None] | None = None
) -> str:
    """SHA-256 of the :func:`essentials` of structures, and of labels, to the last bit.

    Other ``info`` and arrays do not enter: the hash answers whether two sets are the same
    structures, with the same labels, in the same order.

    Parameters
    ----------
    structures
        The structures, in order.
    labels
        Numbers that belong to the structures, such as energies and forces, in order.

    Returns
    -------
    str
        64 hexadecimal digits.

    Examples
    --------
    >>> h2 = Atoms("H2", positions=[[0.0, 0.0, 0.0], [0.0, 0.0, 0.74]])
    >>> content_hash([h2])[:12]
    'e06758fe1e54'
    >>> labelled = h2.copy()
    >>> labelled.info["energy"] = -31.7
    >>> content_hash([labelled]) == content_hash([h2])
    True
    >>> content_hash([h2], [-31.7]) == content_hash([h2], [-31.8])
    False
    """
    digest = hashlib.sha256()
    for atoms in structures:
        for part in _parts(essentials(atoms)):
            digest.update(part)
    if labels is not None:
        digest = hashlib.sha256(digest.hexdigest().encode())
        for value in labels:
            digest.update(b"none" if value is None else np.asarray(value, "<f8").tobytes())
    return digest.hexdigest()


def _parts(atoms: Atoms) -> Iterator[bytes]:
    yield len(atoms).to_bytes(8, "little")
    yield atoms.numbers.astype("<i8").tobytes()
    # adding 0.0 turns -0.0 into 0.0: the same place, the same hash
    yield (atoms.positions + 0.0).astype("<f8").tobytes()
    yield (np.asarray(atoms.cell) + 0.0).astype("<f8").tobytes()
    yield atoms.pbc.astype("u1").tobytes()
    for name in STATE_INFO:
        if name in atoms.info:
            yield f"{name}={_told(atoms.info[name])};".encode()
    for name in STATE_ARRAYS:
        if name in atoms.arrays:
            yield f"{name}={_told(atoms.arrays[name])};".encode()


def _told(value: Any) -> str:
    """A value as text, the same for 1, 1.0 and ``np.int64(1)``."""
    try:
        array = np.asarray(value)
    except ValueError:  # lists of several lengths
        return repr(value)
    return repr((array + 0.0 if array.dtype.kind in "iuf" else array).tolist())
