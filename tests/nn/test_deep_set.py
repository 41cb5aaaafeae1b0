"""Symmetries and continuity of the energy, for every descriptor."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms
from small_models import (
    CUTOFF,
    DESCRIPTORS,
    SMALL_DEEP_SET,
    energies_at,
    energy_model,
    molecule,
)

from atomplete.degenerate.families.registry import generate
from atomplete.descriptors import (
    DensityCorrelationsSpec,
    ExpansionSpec,
    ThreeCenterSpec,
    build,
)
from atomplete.nn import DeepSetSpec
from atomplete.potentials import DescriptorPotential, DescriptorPotentialSpec
from atomplete.system import System

SO3 = SMALL_DEEP_SET.model_copy(update={"group": "SO3"})
NORMALISED = DeepSetSpec(hidden=(16, 12), head=(8,), group_norm=4)


@pytest.fixture(params=DESCRIPTORS)
def model(request):
    return energy_model(DESCRIPTORS[request.param])


def reflected(atoms):
    mirror = atoms.copy()
    mirror.positions[:, 0] *= -1
    return mirror


def test_energies_differ_between_molecules(model):
    # without this, invariance would be cheap
    energies = model.predict([molecule(seed) for seed in range(6)]).energy
    assert torch.pdist(energies[:, None]).min() > 1e-5


def test_order_of_rows_does_not_matter(model):
    features = model.descriptor(System.from_atoms([molecule(0), molecule(1)], CUTOFF))
    order = torch.randperm(len(features.values), generator=torch.Generator().manual_seed(0))
    shuffled = replace(
        features,
        values=features.values[order],
        rows={name: column[order] for name, column in features.rows.items()},
        center_of_row=features.center_of_row[order],
        weight=features.weight[order],
    )
    torch.testing.assert_close(
        model.energies_of(shuffled, 2), model.energies_of(features, 2), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("form", [SMALL_DEEP_SET, SO3, NORMALISED], ids=["O3", "SO3", "norm"])
@pytest.mark.parametrize("name", DESCRIPTORS)
def test_rotations_permutations_and_translations_change_no_energy(name, form):
    model = energy_model(DESCRIPTORS[name], form)
    plain = [molecule(seed) for seed in range(3)]
    moved = []
    for seed, atoms in enumerate(plain):
        copy = atoms[np.random.default_rng(seed).permutation(len(atoms))]
        copy.rotate(40 + seed, (1, 2, 3))
        copy.translate((3.0, -1.0, 0.5))
        moved.append(copy)
    torch.testing.assert_close(
        model.predict(moved).energy, model.predict(plain).energy, rtol=0, atol=1e-10
    )


@pytest.mark.parametrize("form", [SMALL_DEEP_SET, NORMALISED], ids=["plain", "norm"])
@pytest.mark.parametrize("name", DESCRIPTORS)
def test_a_mirror_image_has_the_same_energy(name, form):
    model = energy_model(DESCRIPTORS[name], form)
    plain = [molecule(seed) for seed in range(5)]
    mirrored = model.predict([reflected(atoms) for atoms in plain]).energy
    torch.testing.assert_close(mirrored, model.predict(plain).energy, rtol=0, atol=1e-10)


def test_pseudoscalars_enter_the_energy(model):
    """Invariance under reflection is not had by leaving the odd features out."""
    features = model.descriptor(System.from_atoms(molecule(0), CUTOFF))
    without = replace(features, values=features.values * (features.parity > 0))
    assert (features.parity < 0).any()
    assert (model.energies_of(features, 1) - model.energies_of(without, 1)).abs() > 1e-6


def chiral_pair(descriptor, form):
    """Energies of the two mirror images that are alike to all correlations up to ν = 3."""
    pair = generate("chiral", 1)
    species = tuple(sorted(set(pair[0].numbers.tolist())))
    cutoff = 1.2 * max(np.linalg.norm(a.positions - a.positions[0], axis=1).max() for a in pair)
    basis = ExpansionSpec(max_radial=3, max_angular=3, cutoff=cutoff, species=species)
    spec = descriptor(expansion=basis)
    # plain random weights see features of the size that normalisation would give
    model = DescriptorPotential(
        DescriptorPotentialSpec(descriptor=spec, readout=form, species=species)
    )
    system = System.from_atoms(pair, cutoff)
    features = build(spec)(system)
    model.normalise(features, torch.arange(2))
    return model.predict(pair).energy


def test_a_chiral_pair_is_told_apart_under_so3_only():
    same = chiral_pair(ThreeCenterSpec, SMALL_DEEP_SET)
    assert (same[0] - same[1]).abs() < 1e-10
    different = chiral_pair(ThreeCenterSpec, SO3)
    assert (different[0] - different[1]).abs() > 1e-5


def test_density_correlations_miss_the_chiral_pair_even_under_so3():
    energies = chiral_pair(DensityCorrelationsSpec, SO3)
    assert (energies[0] - energies[1]).abs() < 1e-10


def test_energies_do_not_depend_on_the_batch(model):
    structures = [molecule(0), Atoms("C"), molecule(1, n=3), molecule(2, n=8)]
    together = model.predict(structures).energy
    alone = torch.cat([model.predict([atoms]).energy for atoms in structures])
    torch.testing.assert_close(together, alone, rtol=1e-12, atol=1e-12)


def test_no_gradient_leaks_between_structures(model):
    system = System.from_atoms([molecule(0), molecule(1)], CUTOFF)
    positions = system.positions.clone().requires_grad_()
    energies = energies_at(model, system, positions)
    for own in (0, 1):
        gradient = torch.autograd.grad(energies[own], positions, retain_graph=True)[0]
        assert (gradient[system.structure != own] == 0).all()
        assert gradient[system.structure == own].abs().max() > 1e-6


def test_energies_of_distant_fragments_add(model):
    a, b = molecule(0), molecule(1)
    b.translate((50.0, 0, 0))
    together, alone = model.predict([a + b]).energy, model.predict([a, b]).energy
    torch.testing.assert_close(together[0], alone.sum(), rtol=1e-12, atol=1e-12)


def test_forces_are_the_derivative_of_the_energy(model):
    system = System.from_atoms([molecule(3, n=4), molecule(4, n=5)], CUTOFF)
    positions = system.positions.clone().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda p: energies_at(model, system, p), (positions,), eps=1e-6, atol=1e-6, rtol=1e-5
    )


def environment(distance):
    """A centre with two fixed neighbours, and a third one at the given distance."""
    third = distance * np.array([0.48, -0.6, 0.64])
    atoms = Atoms("COHH", [(0, 0, 0), (0, 0, 1.2), (1.1, 0.3, 0.2), third])
    return System.from_atoms(atoms, CUTOFF, centers=[0])


def energy_and_force(model, distance):
    system = environment(distance)
    positions = system.positions.clone().requires_grad_()
    energy = energies_at(model, system, positions)[0]
    return energy.item(), torch.autograd.grad(energy, positions)[0]


def test_a_neighbor_leaves_without_a_jump_in_energy_or_force(model):
    assert len(environment(CUTOFF - 1e-6).i) == len(environment(CUTOFF + 1e-6).i) + 1
    outside, force_outside = energy_and_force(model, CUTOFF + 1e-6)
    assert (force_outside[3] == 0).all()
    # the cutoff function ends like (1 − r/cutoff)²: so must energy, and forces like its root
    deviations = []
    for distance in (1e-3, 1e-4):
        energy, force = energy_and_force(model, CUTOFF - distance)
        deviations.append((abs(energy - outside), (force - force_outside).abs().max().item()))
    (energy_far, force_far), (energy_near, force_near) = deviations
    assert energy_far / energy_near == pytest.approx(100, rel=0.1)
    assert force_far / force_near == pytest.approx(10, rel=0.1)
    energy_inside, force_inside = energy_and_force(model, CUTOFF - 1e-8)
    assert energy_inside == pytest.approx(outside, abs=1e-11)
    torch.testing.assert_close(force_inside, force_outside, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ["three_center", "contracted"])
def test_without_the_weights_of_rows_there_would_be_a_jump(name):
    model = energy_model(DESCRIPTORS[name])
    inside, outside = (model.descriptor(environment(CUTOFF + shift)) for shift in (-1e-8, 1e-8))

    def unweighted(features):
        return model.energies_of(replace(features, weight=torch.ones_like(features.weight)), 1)

    assert (unweighted(inside) - unweighted(outside)).abs() > 1e-4
    assert (model.energies_of(inside, 1) - model.energies_of(outside, 1)).abs() < 1e-11


def test_a_center_without_neighbors_has_a_finite_energy(model):
    alone, far = model.predict([Atoms("C"), Atoms("CC", [(0, 0, 0), (0, 0, 9)])]).energy
    assert torch.isfinite(alone)
    torch.testing.assert_close(far, 2 * alone)
    system = System.from_atoms([Atoms("C")], CUTOFF)
    positions = system.positions.clone().requires_grad_()
    gradient = torch.autograd.grad(
        energies_at(model, system, positions), positions, allow_unused=True
    )[0]
    assert gradient is None or (gradient == 0).all()


@pytest.mark.parametrize("form", [SMALL_DEEP_SET, SO3, NORMALISED], ids=["O3", "SO3", "norm"])
@pytest.mark.parametrize("nu", [(1, 2), (1, 2, 3)], ids=["even", "odd"])
def test_the_first_layer_may_be_computed_elsewhere(form, nu):
    spec = DensityCorrelationsSpec(nu=nu, expansion=DESCRIPTORS["contracted"].expansion)
    model = energy_model(spec, form)
    features = model.descriptor(System.from_atoms([molecule(0), Atoms("C")], CUTOFF))
    projected = features.project(*model.readout.first_layer)
    torch.testing.assert_close(
        model.readout.after_first_layer(projected), model.readout(features), rtol=1e-12, atol=1e-12
    )


def test_initial_weights_depend_on_the_seed_alone():
    spec = DESCRIPTORS["three_center"]
    torch.manual_seed(1)
    first = energy_model(spec, seed=3).state_dict()
    torch.manual_seed(2)
    again, other = energy_model(spec, seed=3).state_dict(), energy_model(spec, seed=4).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["readout.even.weight"], other["readout.even.weight"])


def test_a_representation_without_pseudoscalars():
    spec = DensityCorrelationsSpec(nu=(1, 2), expansion=DESCRIPTORS["contracted"].expansion)
    model = energy_model(spec)
    assert model.readout.n_odd == 0
    energies = model.predict([molecule(0), reflected(molecule(0)), molecule(1)]).energy
    assert (energies[0] - energies[1]).abs() < 1e-10
    assert (energies[0] - energies[2]).abs() > 1e-5
