"""Energies of atoms by the operations that engines get, beside the potential itself."""

import pytest
import torch
from ase import Atoms
from ase.build import bulk
from environments import crystal, molecule
from linear_potentials import CUTOFF, TAG_CUTOFF, linear_potential

from atomplete.descriptors.random_fourier.spec import LevelSpec
from atomplete.engines.energies import Energies
from atomplete.engines.parts import EnergiesInParts

STRUCTURES = {
    "molecules": [molecule(seed, n, radius=1.6) for seed, n in enumerate((2, 5, 9, 12))],
    "crystals": [crystal(pbc) for pbc in (True, (True, False, True))],
    "repelled": [Atoms("CH", [(0, 0, 0), (0, 0, r)]) for r in (0.3, 0.55, 0.8)],
    "lone": [Atoms("C"), Atoms("OC", [(0, 0, 0), (0, 0, 50.0)])],
    "at the cutoffs": [
        Atoms("CH", [(0, 0, 0), (0, 0, r + step)])
        for r in (TAG_CUTOFF, CUTOFF)
        for step in (-1e-9, 0, 1e-9)
    ],
}


def compare(potential, structures, module=None, dtype=torch.float64, tolerance=1e-12):
    module = module or Energies(potential, dtype)
    system = potential.system(structures)
    expected = potential(system, ("atom_energies", "forces"))
    number = (system.species[:, None] == torch.tensor(sorted(potential.species))).int().argmax(1)
    vectors = system.r_ij.to(dtype).clone().requires_grad_()
    # pairs in another order than the library lists them
    order = torch.randperm(len(system.i), generator=torch.Generator().manual_seed(1))
    energies = module(vectors[order], system.i[order], number[system.j][order], number)[0]
    torch.testing.assert_close(
        energies.double(), expected.atom_energies, rtol=tolerance, atol=tolerance
    )
    if not len(vectors):
        return
    slopes = torch.autograd.grad(energies.sum(), vectors)[0].double()
    forces = torch.zeros_like(system.positions).index_add(0, system.i, slopes)
    forces = forces.index_add(0, system.j, -slopes)
    scale = expected.forces.abs().max().item() + 1e-3
    torch.testing.assert_close(forces, expected.forces, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("name", STRUCTURES)
def test_energies_and_forces_are_those_of_the_potential(potential, name):
    compare(potential, STRUCTURES[name])


@pytest.mark.parametrize("name", ["molecules", "lone"])
def test_single_precision(potential, name):
    compare(potential, STRUCTURES[name], dtype=torch.float32, tolerance=1e-4)


@pytest.mark.parametrize("max_angular", [0, 1, 4])
def test_each_angular_order(max_angular):
    compare(linear_potential(max_angular=max_angular), STRUCTURES["molecules"])


@pytest.mark.parametrize("left_out", ["center", "neighbor", "pair"])
def test_levels_without_channels(left_out):
    sizes = {left_out: LevelSpec(channels=0, features=0)}
    compare(linear_potential(**sizes), STRUCTURES["molecules"])


def test_a_metal_with_tags_up_to_the_cutoff():
    copper = bulk("Cu", cubic=True) * (2, 1, 1)
    copper.rattle(0.1, seed=2)
    compare(linear_potential((29,), [copper], cutoff=4.0, tag_cutoff=None), [copper])


def energies_only(parts):
    return lambda *given: parts(*given, False)


@pytest.mark.parametrize("centers", [1, 5, 1000])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_parts_of_any_size_as_torchscript(potential, centers):
    parts = EnergiesInParts(potential, torch.float64)
    parts.centers = centers
    for structures in STRUCTURES.values():
        compare(potential, structures, energies_only(torch.jit.script(parts)))


def test_deviations_of_members_are_the_uncertainty(potential):
    parts = EnergiesInParts(potential, torch.float64)
    for atoms in STRUCTURES["molecules"]:
        system = potential.system(atoms)
        number = parts.energies.number_of[system.species]
        _, changes = parts(system.r_ij, system.i, number[system.j], number, True)
        found = parts.calibration * changes.sum(0).square().mean().sqrt()
        expected = potential.predict(atoms, ("energy_uncertainty",)).energy_uncertainty
        torch.testing.assert_close(found, expected[0], rtol=1e-11, atol=0)


def test_species_in_any_order():
    potential = linear_potential((8, 1, 6))
    compare(potential, STRUCTURES["molecules"])
