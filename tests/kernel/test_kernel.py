"""The kernel against torch, and against finite differences of its own energies."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, fcc111
from environments import crystal, molecule
from linear_potentials import CUTOFF, SMALL, TAG_CUTOFF, linear_potential

from atomplete.descriptors.random_fourier.spec import LevelSpec
from atomplete.kernel.file import content_of
from atomplete.kernel.library import Kernel

PROPERTIES = ("energy", "forces", "stress", "atom_energies", "atom_virials")

pytestmark = pytest.mark.usefixtures("built")


def chain(*distances):
    """A carbon atom with a hydrogen atom at each distance, in directions of their own."""
    rng = np.random.default_rng(3)
    directions = rng.normal(size=(len(distances), 3))
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    return Atoms(f"CH{len(distances)}", [(0, 0, 0), *(directions * np.array(distances)[:, None])])


def slab():
    atoms = fcc111("Cu", (2, 2, 3), a=3.6, vacuum=4.0)
    atoms.pbc = (True, True, False)
    atoms.numbers[::3] = 28
    atoms.rattle(0.1, seed=1)
    return atoms


STRUCTURES = {
    "molecules": [molecule(seed, n, radius=1.6) for seed, n in enumerate((2, 5, 9, 12))],
    "crystals": [crystal(pbc) for pbc in (True, (True, False, True), (False, True, False))],
    "repelled": [chain(0.3), chain(0.55, 1.4), chain(0.7, 0.75, 2.1)],
    "lone": [Atoms("C"), Atoms("H"), Atoms("OC", [(0, 0, 0), (0, 0, 50.0)])],
    "one neighbor": [chain(1.1), chain(TAG_CUTOFF + 0.1), chain(CUTOFF - 0.05)],
    "at the cutoffs": [
        chain(*(r + step for r in (TAG_CUTOFF, CUTOFF))) for step in (-1e-3, -1e-9, 0, 1e-9, 1e-3)
    ],
}


def compare(potential, structures):
    system = potential.system(structures)
    expected = potential(system, PROPERTIES)
    found = Kernel(content_of(potential))(system, PROPERTIES)
    for name in PROPERTIES:
        one, two = getattr(expected, name), getattr(found, name)
        scale = one.nan_to_num().abs().max().item()
        torch.testing.assert_close(two, one, rtol=0, atol=1e-11 * scale, equal_nan=True)
    return expected


@pytest.fixture(scope="module")
def potential():
    return linear_potential()


@pytest.mark.parametrize("name", STRUCTURES)
def test_all_properties_are_those_of_torch(potential, name):
    expected = compare(potential, STRUCTURES[name])
    assert name == "lone" or expected.forces.abs().max() > 1e-3


@pytest.mark.parametrize("max_angular", [0, 1, 2, 4, 7])
def test_each_angular_order(max_angular):
    compare(linear_potential(max_angular=max_angular), STRUCTURES["molecules"])


def test_tags_up_to_the_cutoff():
    compare(linear_potential(tag_cutoff=None), STRUCTURES["crystals"])


def test_many_rows_of_a_metal():
    copper = bulk("Cu", cubic=True) * (2, 2, 2)
    copper.rattle(0.1, seed=2)
    compare(
        linear_potential((29,), [copper], cutoff=5.0, tag_cutoff=4.0, repulsion=None),
        [copper, slab()[[1, 2, 4, 5]]],
    )


def test_a_slab_of_two_elements_in_any_order():
    compare(linear_potential((29, 28), [slab()], cutoff=4.0, tag_cutoff=3.0), [slab()])


@pytest.mark.parametrize("left_out", ["center", "neighbor", "pair", "cosines"])
def test_levels_without_channels_or_cosines(left_out):
    if left_out == "cosines":
        sizes = {
            name: level.model_copy(update={"features": 0})
            for name, level in SMALL.items()
            if name in ("center", "neighbor", "pair")
        }
    else:
        sizes = {left_out: LevelSpec(channels=0, features=0)}
    compare(linear_potential(**sizes), STRUCTURES["molecules"])


def test_distances_within_the_data_are_not_repelled():
    potential = linear_potential()
    potential.keep_off([chain(0.9), *STRUCTURES["molecules"]])
    compare(potential, [chain(0.4), chain(0.85, 1.1), molecule(5)])


def test_arguments_of_cosines_far_from_zero():
    potential = linear_potential()
    potential.descriptor.frequencies_1.mul_(1e6)
    system = potential.system([molecule(3)])
    found = Kernel(content_of(potential))(system, ("energy",))
    # the rounding of arguments of about 1e7 is what is left
    torch.testing.assert_close(found.energy, potential(system).energy, rtol=0, atol=1e-6)


def test_forces_are_derivatives_of_the_energy(potential):
    kernel, atoms, step = Kernel(content_of(potential)), molecule(1, 6, radius=1.3), 1e-4
    found = kernel(potential.system(atoms), ("forces",)).forces.numpy()
    for atom in range(3):
        for axis in range(3):
            energies = []
            for sign in (1, -1):
                moved = atoms.copy()
                moved.positions[atom, axis] += sign * step
                energies.append(kernel(potential.system(moved), ("energy",)).energy.item())
            slope = (energies[0] - energies[1]) / (2 * step)
            assert found[atom, axis] == pytest.approx(-slope, rel=1e-5, abs=1e-6)


def test_threads_and_repetition_change_no_bit(potential, monkeypatch):
    kernel = Kernel(content_of(potential))
    system = potential.system([molecule(seed) for seed in range(20)])
    one = kernel(system, PROPERTIES)
    for threads in (1, 2, 3):
        monkeypatch.setattr(torch, "get_num_threads", lambda n=threads: n)
        again = kernel(system, PROPERTIES)
        for name in PROPERTIES:
            torch.testing.assert_close(
                getattr(again, name), getattr(one, name), rtol=0, atol=0, equal_nan=True
            )


def test_nothing_at_all(potential):
    found = Kernel(content_of(potential))(potential.system([]), PROPERTIES)
    assert len(found) == 0
    assert found.forces.shape == (0, 3)
