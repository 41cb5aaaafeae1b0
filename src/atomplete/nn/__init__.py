"""Networks on feature rows: linear models and deep sets."""

from atomplete.nn.deep_set import DeepSet, DeepSetSpec
from atomplete.nn.linear import Linear, LinearSpec

__all__ = ["DeepSet", "DeepSetSpec", "Linear", "LinearSpec"]
