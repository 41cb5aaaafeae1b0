"""The same numbers from each engine that is installed."""

import numpy as np
import pytest
import torch
from ase import Atoms
from engine_runs import BOXES, ENGINES, NEEDED, by_torch, deviations, structure

from atomplete.errors import InputError

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.mark.parametrize("engine", ENGINES)
def test_energy_forces_and_stress_are_those_of_torch(engine, potential, tmp_path):
    for package in NEEDED.get(engine, ()):
        pytest.importorskip(package)
    for name in BOXES:
        (tmp_path / name).mkdir()
        atoms = structure(name)
        found = ENGINES[engine](potential, atoms, tmp_path / name)
        for value in deviations(found, by_torch(potential, atoms, tmp_path)):
            assert value is None or value < 1e-9
    if engine == "pt2":
        check_program(torch._inductor.aoti_load_package(str(tmp_path / "model.pt2")), potential)


def check_program(program, potential):
    """Lone atoms and pairs beyond the cutoff, and an element that it does not know."""
    metadata = program.get_metadata()
    assert metadata["species"] == " ".join(map(str, sorted(potential.species)))
    assert (metadata["energy"], metadata["length"]) == ("eV", "angstrom")
    lone, none = torch.zeros(1, 3).double(), torch.zeros(0).long()
    cell, no_shift = torch.zeros(3, 3).double(), torch.zeros(0, 3).long()
    energy = program(lone, cell, torch.tensor([6]), none, none, no_shift)[0]
    torch.testing.assert_close(energy, potential.predict(Atoms("C")).energy)
    two = torch.tensor([[0.0, 0, 0], [0, 0, 2.6]]).double()
    pairs = torch.tensor([0, 1]), torch.tensor([1, 0]), torch.zeros(2, 3).long()
    energies, forces = program(two, cell, torch.tensor([6, 6]), *pairs)[1:3]
    torch.testing.assert_close(energies, energy.expand(2))
    assert not forces.any()
    energies = program(two, cell, torch.tensor([6, 79]), *pairs)[1]
    assert energies.isnan().tolist() == [False, True]


def test_other_numbers_of_particles_are_refused(potential):
    openmm = pytest.importorskip("openmm")
    from atomplete.engines.openmm import openmm_force

    system = openmm.System()
    for _ in range(3):
        system.addParticle(1.0)
    system.addForce(openmm_force(potential.calculator(), [1, 6]))
    context = openmm.Context(system, openmm.VerletIntegrator(0.001))
    context.setPositions(np.eye(3))
    with pytest.raises((InputError, openmm.OpenMMException), match="2 atomic numbers, but 3"):
        context.getState(energy=True)


def test_states_of_another_type_are_refused(potential):
    torch_sim = pytest.importorskip("torch_sim")
    from atomplete.engines.torch_sim import torch_sim_model

    state = torch_sim.io.atoms_to_state([structure("slab")], torch.device("cpu"), torch.float32)
    with pytest.raises(InputError, match=r"a state in torch\.float32 on cpu"):
        torch_sim_model(potential)(state)


def test_torch_sim_moves_many_structures_at_once(potential):
    torch_sim = pytest.importorskip("torch_sim")
    from atomplete.engines.torch_sim import torch_sim_model

    model = torch_sim_model(potential)
    structures = [structure("triclinic"), structure("60 atoms")]
    state = torch_sim.integrate(
        system=structures,
        model=model,
        integrator=torch_sim.nve,
        n_steps=3,
        temperature=100,
        timestep=0.0002,
    )
    final = state.to_atoms()
    torch.testing.assert_close(
        model(state)["energy"], potential.predict(final).energy, rtol=1e-10, atol=0
    )
