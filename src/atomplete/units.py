"""Unit factors, the distance at which atoms coincide, and lengths that are cutoffs.

Energies are in eV and lengths in Å everywhere else. The values are CODATA 2018, as in PySCF's own
conversion of Å to Bohr to within 1e-10.
"""

from typing import Annotated

from pydantic import AfterValidator, Field

from atomplete.errors import InputError

#: One Hartree in eV.
HARTREE = 27.211386245988

#: One Bohr radius in Å.
BOHR = 0.529177210903

#: Energy of two electrons times their distance, eV Å.
COULOMB = HARTREE * BOHR

#: One Hartree per Bohr in eV/Å.
HARTREE_PER_BOHR = HARTREE / BOHR

#: Atoms nearer than this coincide: no direction can be told between them, Å.
COINCIDENCE = 1e-3

#: Nobody means an environment that is larger, Å.
LARGEST_CUTOFF = 1e4


def check_cutoff(cutoff: float) -> float:
    """Radius of an environment as a number, Å.

    Raises
    ------
    InputError
        If it is none: not finite, no larger than the distance of atoms that coincide, or absurd.

    Examples
    --------
    >>> check_cutoff(-1.0)
    Traceback (most recent call last):
    atomplete.errors.InputError: the cutoff -1 Å is not a length from 0.001 to 10000 Å
    """
    if not COINCIDENCE < cutoff <= LARGEST_CUTOFF:
        raise InputError(
            f"the cutoff {cutoff:g} Å is not a length from {COINCIDENCE:g} to {LARGEST_CUTOFF:g} Å"
        )
    return float(cutoff)


#: Field for the radius of an environment, Å.
Cutoff = Annotated[float, Field(allow_inf_nan=True), AfterValidator(check_cutoff)]
