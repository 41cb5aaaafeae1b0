"""Any ASE calculator as a force of OpenMM."""

from collections.abc import Sequence
from typing import Any

import ase
import numpy as np
from ase.calculators.calculator import Calculator
from ase.units import kJ, mol, nm

from atomplete.errors import InputError, MissingExtraError


def openmm_force(
    calculator: Calculator, numbers: Sequence[int], periodic: bool | Sequence[bool] = False
) -> Any:
    """Force of OpenMM that a calculator of ASE computes.

    Parameters
    ----------
    calculator
        Such as that of ``Potential.calculator``.
    numbers
        Atomic numbers of the particles, or of those that ``setParticles`` of the force chooses.
    periodic
        Along all vectors of the box, or along each.

    Returns
    -------
    openmm.PythonForce
        To be added to a system.

    Raises
    ------
    InputError
        In a run, for another number of particles, and as the calculator.
    MissingExtraError
        If OpenMM is not installed.

    Examples
    --------
    >>> from ase.calculators.emt import EMT
    >>> system.addForce(openmm_force(EMT(), [29] * 4, periodic=True))  # doctest: +SKIP
    0
    """
    try:
        from openmm import PythonForce, unit
    except ImportError as error:
        raise MissingExtraError("openmm", "engines") from error

    def compute(state: Any) -> tuple[float, np.ndarray]:
        positions = state.getPositions(asNumpy=True).value_in_unit(unit.angstrom)
        if len(positions) != len(numbers):
            raise InputError(f"{len(numbers)} atomic numbers, but {len(positions)} particles")
        atoms = ase.Atoms(numbers, positions, pbc=periodic)
        if atoms.pbc.any():
            atoms.cell = state.getPeriodicBoxVectors(asNumpy=True).value_in_unit(unit.angstrom)
        atoms.calc = calculator
        energy = atoms.get_potential_energy() / (kJ / mol)
        return energy, atoms.get_forces() / (kJ / mol / nm)

    force = PythonForce(compute)
    force.setUsesPeriodicBoundaryConditions(bool(np.any(periodic)))
    return force
