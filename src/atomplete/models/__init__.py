"""Models on any representation: linear, deep sets of feature rows, and encoder–decoders."""

from atomplete.models.autoencoder import AutoEncoder, AutoEncoderSpec, EncoderSpec
from atomplete.models.checkpoint import load, load_latent, save
from atomplete.models.deep_set import DeepSet, DeepSetSpec
from atomplete.models.energy import EnergyModel, EnergyModelSpec
from atomplete.models.latent import Latent, LatentSpec
from atomplete.models.linear import Linear, LinearSpec
from atomplete.models.row_table import RowTable

__all__ = [
    "AutoEncoder",
    "AutoEncoderSpec",
    "DeepSet",
    "DeepSetSpec",
    "EncoderSpec",
    "EnergyModel",
    "EnergyModelSpec",
    "Latent",
    "LatentSpec",
    "Linear",
    "LinearSpec",
    "RowTable",
    "load",
    "load_latent",
    "save",
]
