"""Integrators of ASE for each ensemble, and the variables that a run goes on from."""

from operator import attrgetter
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.md.langevin import Langevin
from ase.md.nose_hoover_chain import (
    IsotropicMTKNPT,
    NoseHooverChainNVT,
    NoseHooverChainThermostat,
)
from ase.md.verlet import VelocityVerlet

from atomplete.dynamics.options import DynamicsOptions

#: Time in which the barostat acts over that of the thermostat.
SLOWER = 10

#: Variables of ASE's integrators beside positions and momenta of atoms.
VARIABLES = {
    "nose-hoover": ("_q", "_p", "_thermostat._eta", "_thermostat._p_eta"),
    "npt": (
        *("_q", "_p", "_thermostat._eta", "_thermostat._p_eta"),
        *("_eps", "_p_eps", "_barostat._xi", "_barostat._p_xi"),
    ),
}


class Integrator:
    """An integrator of ASE with a state that can be kept.

    Parameters
    ----------
    atoms
        Structure at the start of the run, with a calculator and momenta; it is moved.
    options
        Ensemble, time step, temperature and pressure.
    n
        Degrees of freedom that kinetic energy goes into.
    generator
        Draws the noise of Langevin dynamics.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase.calculators.emt import EMT
    >>> atoms = bulk("Cu", cubic=True)
    >>> atoms.calc = EMT()
    >>> atoms.set_momenta(np.eye(4, 3) - 0.25)
    >>> integrator = Integrator(atoms, DynamicsOptions(), 9, np.random.default_rng(0))
    >>> integrator.step()
    >>> before = integrator.state()
    >>> integrator.step()
    >>> integrator.restore(before)
    >>> bool((atoms.positions == before["positions"]).all())
    True
    """

    def __init__(
        self, atoms: Atoms, options: DynamicsOptions, n: int, generator: np.random.Generator
    ) -> None:
        self._atoms, self._generator = atoms, generator
        self._dynamics: Any = _dynamics(atoms, options, n, generator)
        kind = options.thermostat if options.ensemble == "nvt" else options.ensemble
        self._variables = VARIABLES.get(kind, ())
        self._has_noise = options.stochastic

    def step(self) -> None:
        """Move the atoms by one time step; their forces are known afterwards."""
        self._dynamics.step()
        self._atoms.get_forces()

    def conserved(self) -> float | None:
        """Energy that stays the same, eV; None where noise acts."""
        if self._has_noise:
            return None
        if self._variables:
            return float(self._dynamics.get_conserved_energy())
        return float(self._atoms.get_total_energy())

    def state(self) -> dict[str, Any]:
        """All that the next steps depend on, copied."""
        found: dict[str, Any] = {
            "positions": self._atoms.get_positions(),
            "momenta": self._atoms.get_momenta(),
            "cell": self._atoms.cell.array.copy(),
        }
        for name in self._variables:
            found[name] = np.array(attrgetter(name)(self._dynamics))
        if self._has_noise:
            found["noise"] = self._generator.bit_generator.state
        return found

    def restore(self, state: dict[str, Any]) -> None:
        """Go back, or forth, to a state."""
        self._atoms.set_cell(state["cell"])
        self._atoms.set_positions(state["positions"], apply_constraint=False)
        self._atoms.set_momenta(state["momenta"], apply_constraint=False)
        for name in self._variables:
            owner, _, own = name.rpartition(".")
            value = np.array(state[name])
            target = attrgetter(owner)(self._dynamics) if owner else self._dynamics
            setattr(target, own, value if value.ndim else float(value))
        if self._has_noise:
            self._generator.bit_generator.state = state["noise"]


class _AtPressure(IsotropicMTKNPT):
    """ASE's integrator, but forces come with the pressure, which is asked for next: at once."""

    def _get_forces(self) -> np.ndarray:
        self._get_pressure()
        forces: np.ndarray = super()._get_forces()
        return forces


def _dynamics(
    atoms: Atoms, options: DynamicsOptions, n: int, generator: np.random.Generator
) -> Any:
    step, damping = options.timestep * units.fs, options.damping * units.fs
    if options.ensemble == "nve":
        return VelocityVerlet(atoms, step)
    kelvin = options.temperature
    if options.stochastic:
        # ASE's own way to fix the centre of mass does not sample the ensemble
        return Langevin(
            atoms, step, temperature_K=kelvin, friction=1 / damping, fixcm=False, rng=generator
        )
    dynamics: Any  # of attributes that ASE does not document
    if options.ensemble == "nvt":
        dynamics = NoseHooverChainNVT(atoms, step, kelvin, damping)
    else:
        dynamics = _AtPressure(
            atoms, step, kelvin, options.pressure * units.GPa, damping, SLOWER * damping
        )
        dynamics._num_atoms_global = n / 3
    # ASE counts 3 for each atom; a centre of mass that rests has no part in the temperature
    atoms_that_move: Any = n / 3
    dynamics._thermostat = NoseHooverChainThermostat(
        atoms_that_move, dynamics.masses, kelvin, damping
    )
    return dynamics
