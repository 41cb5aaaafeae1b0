"""Models: linear, deep sets of feature rows, encoder–decoders, and tight binding."""

from atomplete.models.autoencoder import AutoEncoder, AutoEncoderSpec, EncoderSpec
from atomplete.models.checkpoint import load, load_latent, save
from atomplete.models.deep_set import DeepSet, DeepSetSpec
from atomplete.models.energy import EnergyModel, EnergyModelSpec
from atomplete.models.latent import Latent, LatentSpec
from atomplete.models.linear import Linear, LinearSpec
from atomplete.models.pair_surroundings import PairBasisSpec
from atomplete.models.row_table import RowTable
from atomplete.models.tight_binding import TightBinding, TightBindingSpec

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
    "PairBasisSpec",
    "RowTable",
    "TightBinding",
    "TightBindingSpec",
    "load",
    "load_latent",
    "save",
]
