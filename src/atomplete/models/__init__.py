"""Models of the energy on any representation: linear, and deep sets of feature rows."""

from atomplete.models.checkpoint import load, save
from atomplete.models.deep_set import DeepSet, DeepSetSpec
from atomplete.models.energy import EnergyModel, EnergyModelSpec
from atomplete.models.linear import Linear, LinearSpec
from atomplete.models.row_table import RowTable

__all__ = [
    "DeepSet",
    "DeepSetSpec",
    "EnergyModel",
    "EnergyModelSpec",
    "Linear",
    "LinearSpec",
    "RowTable",
    "load",
    "save",
]
