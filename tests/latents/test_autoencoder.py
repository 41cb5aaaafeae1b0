"""Encoder, decoder and latent: what a mirror does to them, what they are trained towards."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms
from small_models import BASIS, CUTOFF, molecule

from atomplete.checkpoint import load, save
from atomplete.data.dataset import Split
from atomplete.degenerate.families.registry import generate
from atomplete.descriptors import (
    ExpansionSpec,
    ThreeCenter,
    ThreeCenterSpec,
    build,
)
from atomplete.errors import InputError
from atomplete.latents import AutoEncoder, AutoEncoderSpec, EncoderSpec, Latent, LatentSpec
from atomplete.nn import DeepSetSpec, LinearSpec
from atomplete.nn.set_map import SetMap
from atomplete.potentials import DescriptorPotential, DescriptorPotentialSpec
from atomplete.potentials.base import Potential
from atomplete.system import System
from atomplete.training.adam import AdamSpec
from atomplete.training.feature_table import RowTable
from atomplete.training.loss import Loss
from atomplete.training.networks import train_on_features
from atomplete.training.run import Task

ROWS = ThreeCenterSpec(expansion=BASIS)
ENCODERS = {
    "linear": EncoderSpec(hidden=(), latent=(6, 3)),
    "deep set": EncoderSpec(hidden=(16, 12), latent=(6, 3)),
    "normalised": EncoderSpec(hidden=(16, 12), latent=(6, 3), group_norm=1),
}


def features_of(molecules, spec=ROWS):
    return build(spec)(System.from_atoms(molecules, CUTOFF))


def mirrored(atoms):
    return Atoms(atoms.numbers, atoms.positions * [1, -1, 1], info=dict(atoms.info))


def latent_of(encoder, seed=0):
    torch.manual_seed(seed)
    latent = Latent(LatentSpec(rows=ROWS, encoder=encoder))
    latent.feature_scale.fill_(1.0)  # as if it had been trained
    return latent


# maps of rows


@pytest.mark.parametrize("hidden", [(), (16, 12)], ids=["linear", "deep set"])
def test_a_mirror_leaves_scalars_and_negates_pseudoscalars(hidden):
    molecules = [molecule(k) for k in range(4)]
    features = features_of(molecules)
    n_odd = int((features.parity < 0).sum())
    n_even = len(features.parity) - n_odd
    generator = torch.Generator().manual_seed(0)
    made = SetMap(
        hidden, (5, 3), n_even=n_even, n_odd=n_odd, group_norm=0, generator=generator
    ).double()
    found, other = made(features), made(features_of([mirrored(m) for m in molecules]))
    assert found[:, 5:].abs().median() > 1e-6  # chiral: there is a sign to be changed
    torch.testing.assert_close(other[:, :5], found[:, :5], rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(other[:, 5:], -found[:, 5:], rtol=1e-10, atol=1e-12)


def test_a_linear_map_by_hand():
    features = features_of([molecule(0), molecule(1)])
    n_odd = int((features.parity < 0).sum())
    generator = torch.Generator().manual_seed(0)
    made = SetMap(
        (),
        (2, 1),
        n_even=len(features.parity) - n_odd,
        n_odd=n_odd,
        group_norm=0,
        generator=generator,
    ).double()
    total = np.zeros((len(features.center_structure), len(features.parity)))
    for row, center in zip(features.values.numpy(), features.center_of_row.tolist(), strict=True):
        total[center] += row
    even, odd = (features.parity > 0).numpy(), (features.parity < 0).numpy()
    weights, bias = (t.detach().numpy() for t in (made.even.weight, made.even.bias))
    expected = np.hstack(
        [total[:, even] @ weights.T + bias, total[:, odd] @ made.odd.weight.detach().numpy().T]
    )
    np.testing.assert_allclose(made(features).detach().numpy(), expected, rtol=1e-10, atol=1e-12)


# latents


def test_a_linear_latent_is_blind_to_what_the_bispectrum_is_and_a_deep_set_is_not():
    structures = generate("b8", 5)
    system = System.from_atoms(structures, CUTOFF, centers="info")
    rows = ThreeCenterSpec(expansion=ExpansionSpec(max_radial=3, max_angular=3))
    for name, encoder in ENCODERS.items():
        latent = Latent(LatentSpec(rows=rows, encoder=encoder))
        latent.feature_scale.fill_(100.0)
        values = latent(system).values.view(5, 2, -1)
        difference = (values[:, 0] - values[:, 1]).norm(dim=1) / values.std()
        assert (difference < 1e-10).all() == (name == "linear"), name
        assert (difference > 1e-6).all() == (name != "linear"), name


@pytest.mark.parametrize("encoder", ENCODERS.values(), ids=ENCODERS)
def test_latents_have_no_jump_where_a_neighbour_leaves(encoder):
    latent = latent_of(encoder)

    def at(r):
        atoms = Atoms("CHHO", [(0, 0, 0), (1, 0, 0), (0, 1.1, 0), (0, 0.3, r)], info={"center": 0})
        return latent(System.from_atoms(atoms, CUTOFF)).values

    assert (at(CUTOFF - 1e-6) - at(CUTOFF + 1e-6)).abs().max() < 1e-9
    assert (at(CUTOFF - 0.05) - at(CUTOFF)).abs().max() > 1e-6


def test_latents_are_saved_and_loaded(tmp_path):
    latent = latent_of(ENCODERS["deep set"])
    latent.feature_scale.fill_(3.0)
    save(tmp_path / "latent.pt", latent)
    found, system = load(tmp_path / "latent.pt"), System.from_atoms([molecule(0)], CUTOFF)
    assert found.spec == latent.spec
    assert torch.equal(found(system).values, latent(system).values)
    with pytest.raises(InputError, match=r"latent\.pt: holds a descriptor .latent., not a pot"):
        load(tmp_path / "latent.pt", Potential)


@pytest.mark.parametrize("form", [LinearSpec(), DeepSetSpec(hidden=(8,), head=())])
def test_an_energy_on_a_latent_is_that_of_the_model_on_its_values(tmp_path, form):
    latent = latent_of(ENCODERS["deep set"])
    molecules = [molecule(k) for k in range(8)]
    system = System.from_atoms(molecules, CUTOFF)
    spec = DescriptorPotentialSpec(descriptor=latent.spec, readout=form, species=(1, 6, 8))
    model = DescriptorPotential(spec, descriptor=latent)
    features = latent(system)
    model.normalise(features, torch.arange(8))
    if isinstance(form, LinearSpec):
        generator = torch.Generator().manual_seed(0)
        shape = model.readout.coefficients.shape
        weights = torch.randn(shape, generator=generator, dtype=torch.float64)
        model.set_linear(weights.flatten(), torch.zeros(3).double())
    predicted = model.predict(molecules).energy
    torch.testing.assert_close(predicted, model.energies_of(features, 8).detach())
    assert predicted.std() > 1e-6
    change = model.predict([mirrored(m) for m in molecules]).energy - predicted
    assert change.abs().max() < 1e-10
    save(tmp_path / "model.pt", model)
    assert torch.equal(load(tmp_path / "model.pt").predict(molecules).energy, predicted)


# the autoencoder


class Problem:
    """From three-centre rows to three functions of distances and to a pseudoscalar."""

    def __init__(self):
        structures = [
            Atoms("B4", [(0, 0, 0), *r], info={"center": 0})
            for r in np.random.default_rng(0).normal(size=(60, 3, 3))
        ]
        for atoms in structures:
            atoms.positions[1:] *= 1.3 / np.linalg.norm(atoms.positions[1:], axis=1)[:, None]
        system = System.from_atoms(structures, CUTOFF, centers="info")
        basis = ExpansionSpec(max_radial=2, max_angular=2)
        self.descriptor = ThreeCenter(ThreeCenterSpec(expansion=basis))
        self.table, self.sums = RowTable.compute(self.descriptor, system, torch.float64)
        r = system.positions.view(-1, 4, 3)[:, 1:]
        sides = (r - r.roll(1, 1)).norm(dim=2)
        volume = 5 * torch.linalg.det(r)
        values = torch.stack([sides.sum(1), sides.square().sum(1), 5 + sides.prod(1), volume], 1)
        self.targets = replace(
            self.sums.features, values=values, parity=torch.tensor([1, 1, 1, -1])
        )


@pytest.fixture(scope="module")
def problem():
    return Problem()


def autoencoder(problem, targets=(2, 1), seed=0):
    spec = AutoEncoderSpec(encoder=ENCODERS["deep set"], decoder=(32,), targets=targets)
    model = AutoEncoder(spec, problem.descriptor.parity, seed)
    model.normalise(problem.table.features, problem.targets, torch.arange(50))
    return model


def test_targets_are_principal_components_of_the_training_data(problem):
    model = autoencoder(problem)
    values = problem.targets.values[:50, :-1].numpy()
    centred = values - values.mean(0)
    singular = np.linalg.svd(centred, compute_uv=False)
    relative = model.relative(problem.targets.values, problem.targets)[:50] * model.scale
    found = relative[:, :2].square().sum(0).sqrt().numpy()
    np.testing.assert_allclose(found, singular[:2], rtol=1e-8)
    # a pseudoscalar keeps its sign: no mean is taken off
    torch.testing.assert_close(relative[:, 2].abs(), problem.targets.values[:50, -1].abs())


def test_all_components_give_the_features_back(problem):
    model = autoencoder(problem, targets=(5, 3))
    relative = model.relative(problem.targets.values, problem.targets)
    back = relative * model.scale @ model.components.T + model.mean
    torch.testing.assert_close(back, problem.targets.values)


def train(model, table, targets, split, spec, folder):
    task = Task(model, None, split, Loss(), folder, progress=False)
    relative = model.relative(targets, table.features)
    train_on_features(model.model, model, table, relative, task, spec, depends_on=(model.spec,))


@pytest.mark.slow
def test_training_reconstructs_both_parities(problem, tmp_path):
    model = autoencoder(problem)
    split = Split(torch.arange(50).view(-1, 1), torch.arange(50, 60).view(-1, 1))
    spec = AdamSpec(epochs=150, batch_structures=10, learning_rate=5e-3, dtype="float64")
    train(model, problem.table, problem.targets.values, split, spec, tmp_path)
    with torch.no_grad():
        predicted = model.predict(problem.table.features)[:50]
    reference = problem.targets.values[:50]
    for part in (slice(None, -1), slice(-1, None)):
        error = (predicted - reference)[:, part].square().sum()
        spread = (reference - reference.mean(0))[:, part].square().sum()
        assert error < 0.2 * spread, (part, error, spread)


def test_the_latent_of_a_trained_autoencoder(problem):
    model = autoencoder(problem)
    latent = Latent.of(problem.descriptor, model)
    encoded = model.latent(problem.table.features)
    torch.testing.assert_close(latent.of_rows(problem.table.features).values, encoded.values)
    decoded = model.model.decoder(encoded) * model.scale @ model.components.T + model.mean
    torch.testing.assert_close(decoded, model.predict(problem.table.features))
    assert not any(parameter.requires_grad for parameter in latent.parameters())


def test_target_features_that_are_not_finite(problem, tmp_path):
    values = problem.targets.values.clone()
    values[3, 2] = torch.nan
    model, singles = autoencoder(problem), torch.arange(50).view(-1, 1)
    with pytest.raises(InputError, match="features of structure 3 are not finite"):
        train(model, problem.table, values, Split(singles, singles), AdamSpec(), tmp_path)
