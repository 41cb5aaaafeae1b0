"""Molecular dynamics of one structure: what the verb ``md`` does."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator
from ase.calculators.singlepoint import SinglePointCalculator

from atomplete.data import write_structures
from atomplete.dynamics.integrators import Integrator
from atomplete.dynamics.limits import Limits
from atomplete.dynamics.options import FREE, DynamicsOptions
from atomplete.dynamics.record import STOPPED, Record
from atomplete.dynamics.start import start, temperature_of
from atomplete.errors import InputError
from atomplete.runs.files import write_json
from atomplete.runs.fingerprint import content_hash, essentials
from atomplete.runs.folder import in_run_folder
from atomplete.runs.progress import progress_of
from atomplete.runs.provenance import versions


@in_run_folder("md")
def run_dynamics(
    atoms: Atoms,
    calculator: Calculator,
    folder: Path,
    options: DynamicsOptions,
    *,
    model: str = "",
    shortest: Mapping[tuple[int, int], float] | None = None,
    progress: bool = True,
) -> list[dict[str, Any]]:
    """Run dynamics, or go on with those that a folder holds.

    Writes ``trajectory.xyz`` (frames with momenta, energy, forces, and stress in a cell),
    ``log.jsonl``, ``state.pt``, from which the same call goes on, and ``run.json``. A longer
    ``time`` makes a run longer that had ended.

    Parameters
    ----------
    atoms
        Structure, with momenta or without; constraints of ASE are heeded.
    calculator
        Gives energies and forces, and stresses for npt; grades where it has ``extrapolation``.
    folder
        Where to write.
    options
        Ensemble, time and so on.
    model
        Tells the calculator from others, as the hash of its file: a run goes on with the same.
    shortest
        Distances below which the run is stopped, as in :class:`Limits`.
    progress
        Whether to show how far it is.

    Returns
    -------
    list of dict
        Lines of the log: ``step``, ``time`` (ps), ``potential``, ``kinetic``, ``total`` (eV),
        ``drift`` (of what the ensemble conserves, eV an atom; None where nothing is),
        ``temperature`` (K), ``volume`` (Å³) and ``pressure`` (GPa) of a cell,
        ``extrapolation`` (the largest grade) where there are grades.

    Raises
    ------
    InputError
        If a limit is passed, with the frame in ``stopped.xyz``; if the calculator refuses the
        structure, the ensemble does not suit it, or the folder holds another run.

    Examples
    --------
    >>> import tempfile
    >>> from ase.build import bulk
    >>> from ase.calculators.emt import EMT
    >>> options = DynamicsOptions(time=0.01, log_every=20)
    >>> with tempfile.TemporaryDirectory() as out:
    ...     log = run_dynamics(
    ...         bulk("Cu", cubic=True), EMT(), Path(out), options, progress=False
    ...     )
    >>> [line["step"] for line in log], abs(log[-1]["drift"]) < 1e-3
    ([0, 20], True)
    """
    if options.ensemble == "npt" and not (atoms.pbc.all() and atoms.cell.rank == 3):
        raise InputError("structure 0: npt needs a cell that is periodic in three directions")
    if options.ensemble == "npt" and atoms.constraints:
        raise InputError("structure 0: npt cannot hold atoms in place")
    identity = {"structure": _hash(atoms), "model": model}
    identity |= options.model_dump(mode="json", exclude=FREE)
    moved = essentials(atoms)
    moved.set_masses(atoms.get_masses())
    moved.set_constraint(atoms.constraints)
    if atoms.has("momenta"):
        moved.set_momenta(atoms.get_momenta())
    moved.calc = calculator
    generator = np.random.default_rng(options.seed)
    n = start(moved, options, generator)
    kelvin = max(options.temperature, temperature_of(moved, n))
    moved.get_forces()  # what the calculator refuses is refused before anything is written
    run = _Run(
        moved,
        options,
        n,
        Integrator(moved, options, n, generator),
        Limits.of_run(kelvin, n, options.stop_extrapolation, shortest),
        Record(folder, identity),
    )
    write_json(folder / "run.json", identity | {"time": options.time, "versions": versions()})
    try:
        run.go(progress)
    finally:
        run.record.end(run.whole)
    return run.record.entries()


def _hash(atoms: Atoms) -> str:
    masses = atoms.get_masses()
    fixed = [] if not atoms.constraints else [str(c.todict()) for c in atoms.constraints]
    return content_hash([atoms], [atoms.get_momenta(), masses, *map(_number, fixed)])


def _number(text: str) -> list[int]:
    return list(text.encode())


class _Run:
    """Dynamics under way."""

    def __init__(
        self,
        atoms: Atoms,
        options: DynamicsOptions,
        n: int,
        integrator: Integrator,
        limits: Limits,
        record: Record,
    ) -> None:
        self.atoms, self.options, self.n = atoms, options, n
        self.integrator, self.limits, self.record = integrator, limits, record
        #: The state after the last whole step.
        self.whole = record.state
        self.conserved: float | None = None
        self.has_grades = "extrapolation" in atoms.calc.implemented_properties
        is_cell = bool(atoms.pbc.all() and atoms.cell.rank == 3)
        self.has_stress = is_cell and "stress" in atoms.calc.implemented_properties

    def go(self, progress: bool) -> None:
        """Take the steps that are left."""
        done = -1
        if self.whole:
            done, self.conserved = self.whole["step"], self.whole["conserved"]
            self.integrator.restore(self.whole)
        total = self.options.steps
        with progress_of(f"{self.record.folder.name} steps", total - done, progress) as shown:
            for step in range(done + 1, total + 1):
                self.take(step)
                shown()

    def take(self, step: int) -> None:
        """Take a step, the first of which moves nothing, and write what is due."""
        try:
            if step:
                self.integrator.step()
        except InputError as error:
            self.stop(step, str(error))
        self.stop(step, self.limits.of_numbers(self.atoms))
        self.stop(step, self.limits.of_temperature(temperature_of(self.atoms, self.n)))
        if step == 0:
            self.conserved = self.integrator.conserved()
        found = dict(self.atoms.calc.results)
        if step % self.options.log_every == 0:
            self.stop(step, self.limits.of_distances(self.atoms))
            self.record.line(self.line(step))
        if step % self.options.every == 0:
            if self.has_stress:
                self.atoms.get_stress()
            self.record.frame(self.frame(step))
        # forces that were computed along with the stress may differ in the last digit
        self.atoms.calc.results = found
        state = self.integrator.state() | {"step": step, "conserved": self.conserved}
        self.whole = self.record.taken(state)
        if self.record.due():
            self.record.keep(self.whole)

    def line(self, step: int) -> dict[str, Any]:
        """Line of the log; grades are looked at as well."""
        atoms, conserved = self.atoms, self.integrator.conserved()
        potential, kinetic = atoms.get_potential_energy(), atoms.get_kinetic_energy()
        drift = None
        if conserved is not None and self.conserved is not None:
            drift = (conserved - self.conserved) / len(atoms)
        line: dict[str, Any] = {
            "step": step,
            "time": step * self.options.timestep / 1000,
            "potential": float(potential),
            "kinetic": float(kinetic),
            "total": float(potential + kinetic),
            "drift": drift,
            "temperature": temperature_of(atoms, self.n),
        }
        if self.has_stress:
            stress = atoms.get_stress(voigt=False, include_ideal_gas=True)
            line["volume"] = float(atoms.get_volume())
            line["pressure"] = float(-np.trace(stress) / 3 / units.GPa)
        if self.has_grades:
            grades = atoms.calc.get_property("extrapolation", atoms)
            self.stop(step, self.limits.of_grades(grades))
            line["extrapolation"] = float(grades.max())
        return line

    def frame(self, step: int) -> Atoms:
        """The structure with its results, none of which is not finite."""
        atoms = self.atoms
        results = {name: atoms.calc.results.get(name) for name in ("energy", "forces", "stress")}
        finite = {k: v for k, v in results.items() if v is not None and np.isfinite(v).all()}
        frame = atoms.copy()
        frame.info |= {"step": step, "time": step * self.options.timestep / 1000}
        frame.calc = SinglePointCalculator(frame, **finite)
        return frame

    def stop(self, step: int, reason: str | None) -> None:
        """End the run for a reason, if there is one, with the frame in a file."""
        if reason is None:
            return
        folder, time = self.record.folder, step * self.options.timestep / 1000
        write_structures(folder / STOPPED, [self.frame(step)])
        raise InputError(
            f"{folder}: stopped at step {step}, {time:g} ps: {reason}; the frame is in {STOPPED} "
            "there"
        )
