"""Descriptors that must be fitted and were not: an error everywhere, never zeros."""

import pytest
import torch
from environments import BASES, CUTOFF, SPECS, molecule

from atomplete.checkpoint import load, save
from atomplete.descriptors import (
    Descriptor,
    RandomFourierSpec,
    ThreeCenterSpec,
    build,
    gradients,
    run,
)
from atomplete.errors import InputError
from atomplete.latents import AutoEncoder, AutoEncoderSpec, EncoderSpec, LatentSpec
from atomplete.system import System

CONTRACTED = {
    "radial": ThreeCenterSpec(expansion=BASES["gto"], radial_components=2),
    "rows": ThreeCenterSpec(expansion=BASES["gto"], components=(6, 3)),
    "both": SPECS["contracted-gto"],
    "nice": SPECS["nice-gto"],
    "random_fourier": RandomFourierSpec(cutoff=CUTOFF, species=(1, 6, 8)),
    "latent": LatentSpec(rows=SPECS["pair-gto"], encoder=EncoderSpec(hidden=(8,))),
    "latent of unfitted rows": LatentSpec(rows=SPECS["contracted-gto"], encoder=EncoderSpec()),
}


@pytest.mark.parametrize("name", CONTRACTED)
def test_nothing_is_made_of_what_was_not_fitted(name, tmp_path):
    descriptor, system = build(CONTRACTED[name]), System.from_atoms(molecule(0), CUTOFF)
    assert descriptor.needs_fit
    assert not descriptor.is_fitted
    even = torch.ones(int((descriptor.parity > 0).sum()), 2).double()
    odd = torch.ones(int((descriptor.parity < 0).sum()), 1).double()
    ways = [
        lambda: descriptor(system),
        lambda: list(run(descriptor, system)),
        lambda: list(descriptor.center_derivatives(system)),
        lambda: gradients(descriptor, system),
        lambda: descriptor.projected(even, odd)(system),
    ]
    if name == "nice":
        ways.append(lambda: descriptor.blocks(system))
    for way in ways:
        with pytest.raises(InputError, match="must be fitted before it is used"):
            way()
    # a file of what was not fitted holds no more
    save(tmp_path / "d.pt", descriptor)
    with pytest.raises(InputError, match="must be fitted before it is used"):
        load(tmp_path / "d.pt", Descriptor)(system)


@pytest.mark.parametrize("name", ["radial", "both"])
def test_pair_coefficients_on_no_channels_are_no_numbers(name):
    descriptor, system = build(CONTRACTED[name]), System.from_atoms(molecule(0), CUTOFF)
    assert descriptor.pairs(system).isnan().all()
    assert descriptor.rows(system).values.isnan().all()


def test_an_autoencoder_must_be_normalised():
    features = build(SPECS["pair-gto"])(System.from_atoms(molecule(0), CUTOFF))
    model = AutoEncoder(AutoEncoderSpec(), features.parity)
    for way in (model, model.latent, model.predict):
        with pytest.raises(InputError, match="must be normalised on training data"):
            way(features)


def test_a_latent_is_not_fitted_by_itself():
    latent = build(CONTRACTED["latent"])
    with pytest.raises(InputError, match="is trained as the encoder of an AutoEncoder"):
        latent.fit([System.from_atoms(molecule(0), CUTOFF)])
