"""Latent descriptors xi~: encoder–decoders of three-centre rows, and the encoder alone."""

from atomplete.latents.autoencoder import AutoEncoder, AutoEncoderSpec, EncoderSpec
from atomplete.latents.latent import Latent, LatentSpec

__all__ = ["AutoEncoder", "AutoEncoderSpec", "EncoderSpec", "Latent", "LatentSpec"]
