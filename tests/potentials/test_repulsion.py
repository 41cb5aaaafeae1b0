"""Repulsion at short distances: its numbers, its reach, and fits that do not count it twice."""

import json
from itertools import combinations_with_replacement

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import atomic_numbers, covalent_radii
from small_models import DESCRIPTORS, SMALL_DEEP_SET

from atomplete.checkpoint import load
from atomplete.errors import InputError
from atomplete.nn import LinearSpec
from atomplete.potentials import ZBL, DescriptorPotential, DescriptorPotentialSpec, Potential
from atomplete.training.options import TrainOptions
from atomplete.training.train import train

#: e² / 4πε0 in eV Å, the length in Å, and the terms of φ as the manual of LAMMPS prints them.
COULOMB, LENGTH = 14.399645, 0.46850
TERMS = ((0.02817, 0.20162), (0.28022, 0.40290), (0.50986, 0.94229), (0.18175, 3.19980))

ELEMENTS = ("H", "C", "O", "Si", "Cu", "U")


def published(first, second, r):
    one, two = atomic_numbers[first], atomic_numbers[second]
    x = r * (one**0.23 + two**0.23) / LENGTH
    screening = sum(share * np.exp(-decay * x) for share, decay in TERMS)
    return COULOMB * one * two / r * screening


def dimer(first, second, r):
    return Atoms([first, second], [(0, 0, 0), (0, 0, r)])


@pytest.mark.parametrize("pair", list(combinations_with_replacement(ELEMENTS, 2)), ids="".join)
def test_energies_are_those_of_the_literature(pair):
    numbers = [atomic_numbers[symbol] for symbol in pair]
    radius = covalent_radii[numbers].sum()
    repulsion = ZBL(9.0, sorted(set(numbers)))
    inside = np.linspace(0.1, 0.499, 5) * radius
    found = repulsion.predict([dimer(*pair, r) for r in inside]).energy
    np.testing.assert_allclose(found, published(*pair, inside), rtol=1e-3)
    # the switch, counted from the reach, is 10 u³ − 15 u⁴ + 6 u⁵
    u = np.array([0.9, 0.5, 0.1])
    between = radius * (1 - u / 2)
    switch = 10 * u**3 - 15 * u**4 + 6 * u**5
    found = repulsion.predict([dimer(*pair, r) for r in between]).energy
    np.testing.assert_allclose(found, switch * published(*pair, between), rtol=1e-3)
    outside = [dimer(*pair, r) for r in (1.0001 * radius, 1.1 * radius)]
    found = repulsion.predict(outside, ("forces",))
    assert not found.energy.any()
    assert not found.forces.any()


def test_single_and_double_precision_agree():
    atoms = Atoms("HCO", [(0, 0, 0), (0.5, 0.2, 0), (0.1, 0.6, 0.4)])
    repulsion = ZBL(5.0, (1, 6, 8))
    double = repulsion.predict(atoms, ("forces",))
    single = repulsion.predict(atoms, ("forces",), dtype=torch.float32)
    torch.testing.assert_close(single.energy, double.energy, rtol=1e-5, atol=0)
    torch.testing.assert_close(single.forces.double(), double.forces, rtol=1e-4, atol=1e-3)


def test_each_atom_has_half_of_its_pairs():
    atoms = Atoms("COC", [(0, 0, 0), (0, 0, 0.9), (0, 0, 1.7)])
    of_atoms = ZBL(5.0, (6, 8)).predict(atoms, ("atom_energies",)).atom_energies
    pair = {r: ZBL(5.0, (6, 8)).predict(dimer("C", "O", r)).energy.item() for r in (0.9, 0.8)}
    expected = [pair[0.9] / 2, (pair[0.9] + pair[0.8]) / 2, pair[0.8] / 2]
    np.testing.assert_allclose(of_atoms, expected, rtol=1e-12)


def test_images_of_a_cell_are_pairs():
    """A chain of one atom a cell has one pair a cell, which ends at both of its sides."""
    chain = Atoms("C", cell=[9, 9, 1.0], pbc=(False, False, True))
    energy = ZBL(5.0, (6,)).predict(chain).energy.item()
    assert energy == pytest.approx(ZBL(5.0, (6,)).predict(dimer("C", "C", 1.0)).energy.item())


def test_no_pair_beyond_the_cutoff():
    repulsion = ZBL(1.2, (29,))
    assert repulsion.cutoff == 1.2
    assert repulsion.predict(dimer("Cu", "Cu", 1.21)).energy == 0
    near = repulsion.predict([dimer("Cu", "Cu", r) for r in (1.199, 1.1)]).energy
    assert 0 < near[0] < 1e-3 < near[1]


def test_structures_of_a_fit_are_out_of_reach():
    repulsion = ZBL(5.0, (1, 6, 8))
    kept = [dimer("C", "O", 1.1), dimer("C", "O", 1.3), dimer("H", "C", 2.0)]
    repulsion.keep_off(kept)
    repulsion.keep_off([dimer("O", "C", 1.2)])  # which is no reason to reach further again
    assert not repulsion.predict(kept, ("forces",)).forces.any()
    expected = covalent_radii[[1, 6, 8]][:, None] + covalent_radii[[1, 6, 8]]
    expected[1, 2] = expected[2, 1] = 0.9 * 1.1
    np.testing.assert_allclose(repulsion.reach, expected, rtol=1e-12)
    assert repulsion.predict(dimer("C", "O", 0.9)).energy > 1e-2


def potential(form=SMALL_DEEP_SET, repulsion="zbl"):
    spec = DescriptorPotentialSpec(
        descriptor=DESCRIPTORS["density_correlations"],
        readout=form,
        species=(1, 6, 8),
        repulsion=repulsion,
    )
    return DescriptorPotential(spec)


def test_energies_add_up():
    properties = ("energy", "forces", "stress", "atom_energies", "atom_virials")
    atoms = Atoms("COH", [(0, 0, 0), (0.6, 0, 0), (0.3, 0.6, 0.1)], cell=[3, 3, 3], pbc=True)
    repelled, bare = potential(), potential(repulsion=None)
    parts = repelled.repulsion.predict(atoms, properties) + bare.predict(atoms, properties)
    found = repelled.predict(atoms, properties)
    for name in properties:
        expected = getattr(parts, name)
        assert getattr(repelled.repulsion.predict(atoms, properties), name).abs().max() > 1e-2
        torch.testing.assert_close(getattr(found, name), expected, rtol=1e-10, atol=1e-10)


def test_forces_are_slopes():
    atoms, step = Atoms("COH", [(0, 0, 0), (0.8, 0, 0), (0.3, 0.6, 0.1)]), 1e-5
    moved = []
    for atom, axis, sign in np.ndindex(3, 3, 2):
        moved.append(atoms.copy())
        moved[-1].positions[atom, axis] += step * (1 - 2 * sign)
    repulsion = ZBL(5.0, (1, 6, 8))
    plus, minus = repulsion.predict(moved).energy.view(9, 2).T
    forces = repulsion.predict(atoms, ("forces",)).forces.flatten()
    torch.testing.assert_close(forces, (minus - plus) / (2 * step), rtol=1e-6, atol=1e-5)


def test_halves_of_pairs_need_all_atoms():
    with pytest.raises(ValueError, match="all atoms must be centers"):
        DescriptorPotentialSpec(
            descriptor=DESCRIPTORS["three_center"], readout=LinearSpec(), species=(1,),
            centers="info", repulsion="zbl",
        )  # fmt: skip


@pytest.fixture(scope="module")
def ethanol():
    rng, found = np.random.default_rng(0), []
    for _ in range(40):
        atoms = molecule("CH3CH2OH")
        atoms.positions += rng.normal(scale=0.06, size=atoms.positions.shape)
        atoms.calc = EMT()
        labels = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
        atoms.calc = SinglePointCalculator(atoms, **labels)
        found.append(atoms)
    return found


DESCRIPTOR = {
    "type": "density_correlations",
    "nu": [1, 2],
    "expansion": {"max_radial": 4, "max_angular": 2},
}


def fitted(structures, folder, **options):
    given = TrainOptions(descriptor=DESCRIPTOR, cutoff=4.0, **options)
    return train(structures, folder, given, progress=False, say=lambda _: None)


def test_atoms_that_are_pushed_together_repel_each_other(ethanol, tmp_path):
    fitted(ethanol, tmp_path)
    model = load(tmp_path / "model.pt", Potential)
    for one, two in combinations_with_replacement("HCO", 2):
        reach = model.repulsion.reach[[1, 6, 8].index(atomic_numbers[one])]
        outer = min(0.8, 0.95 * float(reach[[1, 6, 8].index(atomic_numbers[two])]))
        distances = np.arange(0.5, outer, 0.01)[::-1]
        energies = model.predict([dimer(one, two, r) for r in distances]).energy
        assert (energies.diff() > 0).all(), (one, two)
        nearest = model.predict(dimer(one, two, 0.5), ("forces",))
        assert nearest.forces[0, 2] < -5 < 5 < nearest.forces[1, 2], (one, two)


@pytest.mark.parametrize("readout", [{}, {"readout": "deep_set", "epochs": 2}])
def test_a_fit_does_not_learn_the_repulsion(ethanol, tmp_path, readout):
    with_it = fitted(ethanol, tmp_path / "zbl", **readout)
    without = fitted(ethanol, tmp_path / "none", repulsion="none", **readout)
    properties = ("energy", "forces")
    assert not with_it.repulsion.predict(ethanol, properties).forces.any()
    state, expected = with_it.state_dict(), without.state_dict()
    assert state.keys() - expected.keys() == {"repulsion.reach"}
    for name, value in expected.items():
        assert torch.equal(state[name], value), name
    errors = [
        json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("zbl", "none")
    ]
    assert errors[0] == errors[1]
    assert (
        with_it.predict(dimer("C", "C", 0.5)).energy
        > without.predict(dimer("C", "C", 0.5)).energy + 100
    )


def test_energies_of_one_center_have_no_repulsion_unless_asked(tmp_path):
    dimers = [dimer("B", "B", 1.5 + 0.1 * k) for k in range(6)]
    for k, atoms in enumerate(dimers):
        atoms.info.update(center=0, energy=0.1 * k * k)
    options = {"forces_weight": 0.0}
    assert fitted(dimers, tmp_path / "one", **options).repulsion is None
    with pytest.raises(InputError, match="all atoms must be centers"):
        fitted(dimers, tmp_path / "two", repulsion="zbl", **options)
