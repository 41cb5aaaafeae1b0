"""Precision of positions: what their digits are worth, and other positions with the same digits."""

import numpy as np
from ase import Atoms
from jaxtyping import Float
from numpy.random import Generator

# Numbers of fewer decimals are meant as they are, like 1.5; those of more have all digits of a
# double. Of parts of a cell, 0.125 is meant as it is too.
_FEWEST, _FEWEST_SCALED, _MOST, _MOST_SCALED = 3, 4, 13, 10

# What arithmetic makes of a number, relative to its size: other units, parts of a cell.
_ROUNDING, _ROUNDING_SCALED = 1e-15, 1e-13

#: Features that differ by no more than so many times what other digits make do not differ.
WITHIN = 5.0


def position_precision(atoms: Atoms) -> float:
    """Return the largest error that the digits of positions leave open, Å.

    It is half of the last decimal that any coordinate has, in Å or in parts of the cell, or half
    of the last bit of single precision. Positions with all digits of a double count as exact, and
    so do those of less than three decimals, which are written by people.

    Parameters
    ----------
    atoms
        The structure.

    Examples
    --------
    >>> x = np.array([[0.0, 0.0, 0.0], [2**0.5, 3**0.5, 0.5]])
    >>> position_precision(Atoms("CO", x)), position_precision(Atoms("CO", x.round(8)))
    (0.0, 5e-09)
    >>> position_precision(Atoms("CO", x.round(1)))
    0.0
    """
    x = atoms.positions
    decimals = _decimals(x, _ROUNDING)
    if decimals < _FEWEST:
        return 0.0
    written = 0.5 * 10.0**-decimals if decimals <= _MOST else 0.0
    if not written and atoms.cell.rank == 3:
        scaled = _decimals(atoms.cell.scaled_positions(x), _ROUNDING_SCALED)
        if _FEWEST_SCALED <= scaled <= _MOST_SCALED:
            written = 0.5 * 10.0**-scaled * float(atoms.cell.lengths().max())
    if np.abs(x - x.astype(np.float32)).max() <= written:
        return max(written, 2.0**-24 * float(np.abs(x).max()))
    return written


def _decimals(x: Float[np.ndarray, "atom xyz"], rounding: float) -> int:
    """Least number of decimals to which all numbers are rounded; one too many for all digits."""
    slack = rounding * np.maximum(np.abs(x), 1.0)
    for decimals in range(_MOST + 1):
        if (np.abs(x - np.round(x, decimals)) <= slack).all():
            return decimals
    return _MOST + 1


def precision_of(atoms: Atoms, stated: float | None) -> float:
    """Return what a user states of the precision, Å, or what the digits say."""
    return position_precision(atoms) if stated is None else stated


def resampled(atoms: Atoms, precision: float, rng: Generator, n: int = 6) -> list[Atoms]:
    """Return structures whose coordinates differ from those given by no more than the precision.

    Parameters
    ----------
    atoms
        The structure.
    precision
        Largest error of a coordinate, Å.
    rng
        Source of random numbers.
    n
        How many; none for exact positions.

    Examples
    --------
    >>> (other,) = resampled(Atoms("B"), 1e-3, np.random.default_rng(0), 1)
    >>> bool(np.abs(other.positions).max() <= 1e-3)
    True
    """
    found = []
    for _ in range(n if precision else 0):
        copy = atoms.copy()
        copy.positions = atoms.positions + rng.uniform(-precision, precision, (len(atoms), 3))
        found.append(copy)
    return found
