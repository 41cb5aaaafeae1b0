"""Models where their weights are: nothing is made on the CPU on the way."""

from dataclasses import replace

import ase
import pytest
import torch

from atomplete.descriptors import ExpansionSpec, ThreeCenterSpec, build
from atomplete.latents.autoencoder import AutoEncoder, AutoEncoderSpec
from atomplete.nn.deep_set import DeepSetSpec
from atomplete.potentials import DescriptorPotential, DescriptorPotentialSpec
from atomplete.system import System
from atomplete.training.feature_table import RowTable
from atomplete.training.loss import Objective

SPEC = ThreeCenterSpec(expansion=ExpansionSpec(max_radial=2, max_angular=1))


@pytest.fixture(scope="module")
def batch():
    atoms = ase.Atoms("B3", [(0, 0, 0), (0, 0, 1.6), (1.0, 1.0, 1.0)])
    features = build(SPEC)(System.from_atoms([atoms] * 4, cutoff=2.0))
    return RowTable(features, 4).batch(torch.arange(4))


def elsewhere(batch, device):
    """A device without data, which refuses to be mixed with another; parities are looked at."""
    return replace(batch.to(torch.device(device)), parity=batch.parity)


def test_all_of_a_batch_moves(batch):
    moved = batch.to(torch.device("meta"))
    parts = [value for value in vars(moved).values() if isinstance(value, torch.Tensor)]
    assert len(parts) > 5
    assert {part.device.type for part in (*parts, *moved.rows.values())} == {"meta"}


@pytest.mark.parametrize("group", ["O3", "SO3"])
def test_energies_and_their_loss_stay_there(batch, group):
    model_spec = DeepSetSpec(hidden=(8, 8), group=group)
    spec = DescriptorPotentialSpec(descriptor=SPEC, readout=model_spec, species=(5,))
    model = DescriptorPotential(spec)
    model.readout.to("meta")
    energies = model.relative_energies(elsewhere(batch, "meta"), 4)
    groups = torch.tensor([[0, 1], [2, 3]], device="meta")
    objective = Objective(torch.zeros(4).double(), 0.1, 1.0).to(torch.device("meta"))
    loss = objective.loss(energies[groups], groups)
    loss.backward()
    assert loss.device.type == "meta"
    assert all(weights.grad is not None for weights in model.readout.parameters())


def test_latents_stay_there(batch):
    model = AutoEncoder(AutoEncoderSpec(), batch.parity)
    model.feature_scale = torch.ones((), dtype=torch.float64)  # as if it had been trained
    model.model.to("meta")
    assert model(elsewhere(batch, "meta")).device.type == "meta"
