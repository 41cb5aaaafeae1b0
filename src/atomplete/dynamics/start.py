"""Velocities at the start, and how many degrees of freedom they have."""

import numpy as np
from ase import Atoms, units
from ase.md.velocitydistribution import Stationary

from atomplete.dynamics.options import DynamicsOptions
from atomplete.errors import InputError

#: Moments of inertia below this part of the largest belong to the axis of a linear molecule.
LINEAR = 1e-6


def start(atoms: Atoms, options: DynamicsOptions, generator: np.random.Generator) -> int:
    """Give atoms without velocities some of the temperature; take out what is conserved.

    The centre of mass comes to rest. Where the ensemble conserves it, so does the rotation of a
    molecule in vacuum: a thermostat could not bring it to the temperature.

    Parameters
    ----------
    atoms
        Structure; its momenta are changed.
    options
        Ensemble and temperature.
    generator
        Draws the velocities.

    Returns
    -------
    int
        Degrees of freedom that kinetic energy goes into, for the temperature.

    Raises
    ------
    InputError
        If there is none.

    Examples
    --------
    >>> water = Atoms("OH2", [(0, 0, 0), (0, 0.76, 0.59), (0, -0.76, 0.59)])
    >>> start(water, DynamicsOptions(), np.random.default_rng(0))
    3
    >>> bool(abs(water.get_momenta().sum(0)).max() < 1e-12)
    True
    """
    fixed = bool(atoms.constraints)
    if not atoms.has("momenta") or not atoms.get_momenta().any():
        scale = np.sqrt(units.kB * options.temperature * atoms.get_masses()[:, None])
        atoms.set_momenta(scale * generator.standard_normal((len(atoms), 3)))
        drawn = True
    else:
        drawn = False
    rotations = 0
    if not fixed:
        Stationary(atoms, preserve_temperature=False)
    if not (fixed or atoms.pbc.any()) and (drawn or not options.stochastic):
        rotations = _stop_rotation(atoms)
    n = int(atoms.get_number_of_degrees_of_freedom())
    if not (options.stochastic or fixed):
        n -= 3 + rotations
    if n <= 0:
        raise InputError(
            "structure 0: no atom can move against another, so that there are no dynamics"
        )
    return n


def _stop_rotation(atoms: Atoms) -> int:
    """Take out the rotation of a molecule as a whole; returns how many axes it can rotate about."""
    r = atoms.positions - atoms.get_center_of_mass()
    masses = atoms.get_masses()
    inertia = np.einsum("a,ax,ax->", masses, r, r) * np.eye(3) - (masses * r.T) @ r
    # ASE divides by zero for molecules on a line
    omega = np.linalg.pinv(inertia, LINEAR, hermitian=True) @ atoms.get_angular_momentum()
    atoms.set_velocities(atoms.get_velocities() - np.cross(omega, r))
    return int(np.linalg.matrix_rank(inertia, LINEAR * np.abs(inertia).max(), hermitian=True))


def temperature_of(atoms: Atoms, n: int) -> float:
    """Temperature of the kinetic energy of ``n`` degrees of freedom, K."""
    return float(2 * atoms.get_kinetic_energy() / (n * units.kB))
