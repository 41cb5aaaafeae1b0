"""Linear layers that are trained on principal components of their inputs."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import parametrize

#: Principal components that are kept.
COMPONENTS = 120

#: 0 keeps the spread of the components, 1 makes all alike.
WHITENING = 0.25


class Projected(nn.Module):
    """Weights of inputs from weights of their principal components."""

    def __init__(self, projection: Float[Tensor, "feature component"]) -> None:
        super().__init__()
        self.projection: Tensor
        # in the checkpoint, for an eigensolver may round differently in another process
        self.register_buffer("projection", projection)

    def forward(self, weight: Float[Tensor, "output component"]) -> Float[Tensor, "output feature"]:
        """Weights of the inputs."""
        return weight @ self.projection.T.to(weight)


class Centred(nn.Module):
    """Bias of inputs from the bias of inputs relative to their mean."""

    def __init__(self, layer: nn.Linear, mean: Float[Tensor, " feature"]) -> None:
        super().__init__()
        self._layer = (layer,)  # in a tuple, not to be a part of this module
        self.mean: Tensor
        self.register_buffer("mean", mean)

    def forward(self, bias: Float[Tensor, " output"]) -> Float[Tensor, " output"]:
        """Bias of the inputs."""
        return bias - self._layer[0].weight @ self.mean.to(bias)


def whiten(
    layer: nn.Linear, inputs: Float[Tensor, "row feature"], generator: torch.Generator
) -> None:
    """Start a layer anew, as one of principal components of its inputs, until ``unwhiten``.

    Components have a mean square of one over all of them, and are made alike in part: features
    differ by orders of magnitude, and a gradient step in the small ones would be too short.

    Examples
    --------
    >>> layer = nn.Linear(3, 2)
    >>> generator = torch.Generator().manual_seed(0)
    >>> whiten(layer, torch.randn(9, 3, generator=generator), generator)
    >>> before = layer(torch.ones(3))
    >>> unwhiten(layer)
    >>> torch.equal(layer(torch.ones(3)), before)
    True
    """
    mean = inputs.mean(0)
    variance, vectors = torch.linalg.eigh((inputs - mean).T @ (inputs - mean) / len(inputs))
    variance, vectors = variance.flip(0), vectors.flip(1)
    kept = int((variance > 1e-12 * variance[0]).sum().clamp(1, COMPONENTS))
    variance, vectors = variance[:kept].clamp_min(1e-300), vectors[:, :kept]
    scale = variance ** (-WHITENING / 2)
    projection = vectors * scale / (variance * scale**2).mean().sqrt()
    bound = kept**-0.5
    start = torch.empty(layer.out_features, kept, dtype=layer.weight.dtype)
    nn.init.uniform_(start, -bound, bound, generator=generator)
    parametrize.register_parametrization(layer, "weight", Projected(projection), unsafe=True)
    layer.get_submodule("parametrizations.weight").original = nn.Parameter(start)
    nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
    parametrize.register_parametrization(layer, "bias", Centred(layer, mean), unsafe=True)


def unwhiten(layer: nn.Linear) -> None:
    """Make an ordinary layer of a whitened one; others stay as they are."""
    if parametrize.is_parametrized(layer):
        parametrize.remove_parametrizations(layer, "bias")
        parametrize.remove_parametrizations(layer, "weight")
