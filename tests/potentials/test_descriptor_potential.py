"""References, scales and refusals of the energy model."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from ase import Atoms
from small_models import CUTOFF, DESCRIPTORS, SMALL_DEEP_SET, energy_model, molecule

from atomplete.descriptors import ExpansionSpec, ThreeCenter
from atomplete.errors import InputError
from atomplete.nn import DeepSetSpec, LinearSpec
from atomplete.potentials import DescriptorPotential, DescriptorPotentialSpec
from atomplete.system import System


@pytest.fixture
def model():
    return energy_model(DESCRIPTORS["density_correlations"])


def test_a_center_of_unknown_species_is_named(model):
    with pytest.raises(InputError, match=r"structure 1: .*atomic number 7, but .*1, 6, 8"):
        model.predict([molecule(0), Atoms("N")])


def test_a_neighbor_of_unknown_species_is_named():
    model = energy_model(DESCRIPTORS["density_correlations"], centers="info")
    structures = [Atoms("CO", [(0, 0, 0), (0, 0, 1.1)]), Atoms("CN", [(0, 0, 0), (0, 0, 1.1)])]
    for atoms in structures:
        atoms.info["center"] = 0
    with pytest.raises(InputError, match=r"structure 1: atom of atomic number 7, but .*1, 6, 8"):
        model.predict(structures)


def test_positions_that_are_not_finite_are_named(model):
    bad = molecule(1)
    bad.positions[2, 0] = np.nan
    with pytest.raises(InputError, match="structure 1: position of atom 2 is not finite"):
        model.predict([molecule(0), bad])


def test_normalisation_by_hand(model):
    structures = [molecule(seed, n=3 + seed % 3) for seed in range(12)]
    features = model.descriptor(System.from_atoms(structures, CUTOFF))
    train = torch.tensor([0, 1, 2, 3, 5, 6, 8, 9])
    model.normalise(features, train)
    rows = np.isin(features.rows["structure"].numpy(), train.numpy())
    squares = features.values.numpy()[rows] ** 2
    assert model.feature_scale.item() == pytest.approx(squares.mean() ** -0.5)


def test_other_structures_do_not_enter_the_normalisation(model):
    structures = [molecule(seed) for seed in range(6)]
    features = model.descriptor(System.from_atoms(structures, CUTOFF))
    model.normalise(features, torch.arange(4))
    expected = {name: value.clone() for name, value in model.named_buffers()}
    factor = torch.where(features.center_structure[features.center_of_row] < 4, 1.0, 50.0)
    spoiled = replace(features, values=features.values * factor.double()[:, None])
    model.normalise(spoiled, torch.arange(4))
    for name, value in model.named_buffers():
        assert torch.equal(value, expected[name]), name


def test_no_structures():
    model = energy_model(DESCRIPTORS["three_center"])
    assert model.predict([]).energy.shape == (0,)


def test_chosen_centers_carry_the_energy():
    atoms = molecule(0)
    atoms.info["center"] = 2
    everywhere = energy_model(DESCRIPTORS["contracted"], centers="all")
    one = energy_model(DESCRIPTORS["contracted"], centers="info")
    features = everywhere.descriptor(System.from_atoms(atoms, CUTOFF, centers="all"))
    per_center = everywhere.readout(features.scaled(everywhere.feature_scale))
    reference = everywhere.reference[[1, 6, 8].index(int(atoms.numbers[2]))]
    expected = per_center[2] * everywhere.scale + reference
    torch.testing.assert_close(one.predict([atoms]).energy[0], expected)
    assert (everywhere.predict([atoms]).energy[0] - expected).abs() > 1e-3


FORMS = {
    "O3": SMALL_DEEP_SET,
    "SO3": SMALL_DEEP_SET.model_copy(update={"group": "SO3"}),
    "norm": DeepSetSpec(hidden=(16, 12), head=(8,), group_norm=4),
    "single": DeepSetSpec(hidden=(8,), head=()),
}


def small_system():
    cell = Atoms("CO", [(0, 0, 0), (0.8, 0.9, 1.0)], cell=[1.9, 2.0, 2.1], pbc=True)
    return System.from_atoms([molecule(0), Atoms("C"), cell, molecule(1, n=3)], CUTOFF)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["three_center", "contracted"])
def test_energies_without_rows_are_those_of_the_rows(name, form):
    model = energy_model(DESCRIPTORS[name], FORMS[form])
    system = small_system()
    explicit = model.energies_of(model.descriptor(system), 4)
    assert explicit.diff().abs().min() > 1e-3
    torch.testing.assert_close(model.energies(system), explicit, rtol=0, atol=1e-10)


def test_energies_of_what_has_no_shorter_way():
    for name, form in (("density_correlations", SMALL_DEEP_SET), ("three_center", LinearSpec())):
        model = energy_model(DESCRIPTORS[name], form)
        system = small_system()
        explicit = model.energies_of(model.descriptor(system), 4)
        torch.testing.assert_close(model.energies(system), explicit, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["three_center", "contracted"])
def test_deep_sets_are_evaluated_without_rows(name, monkeypatch):
    model = energy_model(DESCRIPTORS[name])
    expected = model.energies_of(model.descriptor(small_system()), 4)

    def refuse(*_):
        raise AssertionError("rows were formed")

    monkeypatch.setattr(ThreeCenter, "rows", refuse)
    structures = [molecule(0), Atoms("C"), molecule(1, n=3)]
    torch.testing.assert_close(
        model.predict(structures).energy, expected[[0, 1, 3]].detach(), rtol=0, atol=1e-10
    )


@pytest.mark.parametrize("name", DESCRIPTORS)
def test_forces_against_finite_differences(name):
    model = energy_model(DESCRIPTORS[name])
    atoms, step = molecule(4, n=6), 1e-4
    system = System.from_atoms([atoms, molecule(5)], CUTOFF)
    positions = system.positions.requires_grad_()
    (gradient,) = torch.autograd.grad(model.energies(system)[0], positions)
    assert (gradient[6:] == 0).all()
    moved = []
    for atom, xyz, sign in product(range(6), range(3), (1, -1)):
        moved.append(atoms.copy())
        moved[-1].positions[atom, xyz] += sign * step
    slopes = -model.predict(moved).energy.view(6, 3, 2).diff()[..., 0] / (2 * step)
    assert slopes.abs().max() > 0.01
    torch.testing.assert_close(gradient[:6], slopes, rtol=1e-5, atol=1e-6)


def test_weights_learn_from_energies_without_rows():
    """Gradients of the weights, and of the forces by them, as with rows."""
    model = energy_model(DESCRIPTORS["contracted"])
    system = small_system()
    positions = system.positions.requires_grad_()
    parameters = list(model.readout.parameters())

    def loss_gradients(energies):
        forces = torch.autograd.grad(energies.sum(), positions, create_graph=True)[0]
        loss = energies.square().sum() + forces.square().sum()
        return torch.autograd.grad(loss, parameters)

    found = loss_gradients(model.energies(system))
    expected = loss_gradients(model.energies_of(model.descriptor(system), 4))
    for ours, theirs in zip(found, expected, strict=True):
        assert theirs.abs().max() > 1e-6
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-10)


def tetrahedron(center, corner, shift=0.0):
    positions = [(0, 0, 0), (1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)]
    return Atoms([center] + [corner] * 4, np.array(positions) * 0.8 + shift)


@pytest.mark.parametrize("name", ["density_correlations", "three_center"])
@pytest.mark.parametrize("form", [SMALL_DEEP_SET, LinearSpec(), DeepSetSpec(hidden=(8,), head=())])
def test_the_species_of_a_centre_is_known(name, form):
    """CH4 + SiF4 and SiH4 + CF4 have the same rows, but not of the same centres."""
    species = (1, 6, 9, 14)
    basis = ExpansionSpec(max_radial=2, max_angular=1, species=species)
    descriptor = DESCRIPTORS[name].model_copy(update={"expansion": basis})
    spec = DescriptorPotentialSpec(descriptor=descriptor, readout=form, species=species)
    one = tetrahedron("C", "H") + tetrahedron("Si", "F", 50.0)
    two = tetrahedron("Si", "H") + tetrahedron("C", "F", 50.0)
    model = DescriptorPotential(spec)
    system = model.system([one, two])
    model.normalise(model.descriptor(system), torch.arange(2))
    if form.type == "linear":
        weights = model.readout.coefficients
        assert weights.shape[0] == 4
        weights.copy_(torch.randn(weights.shape, generator=torch.Generator().manual_seed(0)))
    energies = model.energies(system).detach()
    assert abs(energies[0] - energies[1]) > 1e-3 * energies.abs().max()
    # the energy of a centre depends on its own species alone
    alone = [model.predict(tetrahedron(*pair)).energy for pair in (("C", "H"), ("Si", "F"))]
    torch.testing.assert_close(energies[:1], alone[0] + alone[1], rtol=0, atol=1e-9)
    # with and without rows
    explicit = model.energies_of(model.descriptor(system), 2)
    torch.testing.assert_close(explicit.detach(), energies, rtol=0, atol=1e-9)


def test_one_species_of_centres_needs_no_parameters_of_its_own():
    spec = DescriptorPotentialSpec(
        descriptor=DESCRIPTORS["density_correlations"], readout=SMALL_DEEP_SET, species=(6,)
    )
    assert "readout.of_species" not in DescriptorPotential(spec).state_dict()


@pytest.mark.parametrize("name", ["density_correlations", "three_center"])
@pytest.mark.parametrize("properties", [("energy",), ("energy", "forces"), ("atom_virials",)])
@pytest.mark.parametrize("change", [-0.5, 0.5])
def test_pairs_listed_with_another_cutoff_are_refused(name, properties, change):
    model = energy_model(DESCRIPTORS[name])
    system = System.from_atoms([molecule(0)], CUTOFF + change)
    with pytest.raises(InputError, match=r"pairs were listed up to .* Å, not 2 Å"):
        model(system, properties)
    with pytest.raises(InputError, match=r"pairs were listed up to .* Å, not 2 Å"):
        model.energies(system)
