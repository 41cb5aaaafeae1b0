"""Frequencies, phases and coefficients of a potential on random Fourier features, as one vector."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from atomplete.errors import InputError
from atomplete.training.natural_gradient.blocks import MOST_TAGGED
from atomplete.training.natural_gradient.jacobian import LevelParameters

#: Standard deviation of the coefficients of cosines at the start, times √(number of cosines).
START = 0.3


class Parameters:
    """The parameters of a potential, which are read from it and written to it.

    References to energies of atoms, in units of the potential's scale, come last.
    """

    def __init__(self, potential: Any) -> None:
        descriptor: Any = getattr(potential, "descriptor", None)
        if not hasattr(descriptor, "row_slopes"):
            kind = potential.spec if descriptor is None else descriptor.spec
            raise InputError(f"natural_gradient trains random_fourier features, not {kind.type}")
        if not potential.readout.is_linear:
            raise InputError(
                f"natural_gradient trains a linear readout, not {potential.readout.spec.type}"
            )
        self.potential = potential
        self._levels = descriptor.spec.levels[: MOST_TAGGED + 1]
        self._frequencies, self._phases = (
            [getattr(descriptor, f"{name}_{n}") for n in range(len(self._levels))]
            for name in ("frequencies", "phases")
        )

    def start(self, seed: int) -> None:
        """Draw small coefficients of the cosines; all others begin at zero."""
        generator = torch.Generator().manual_seed(seed)
        coefficients = self.potential.readout.coefficients
        n_cosines = sum(level.features for level in self._levels)
        drawn = torch.randn(coefficients.shape, generator=generator, dtype=torch.float64)
        coefficients.zero_()
        for cosines, _ in self._columns():
            coefficients[:, cosines] = drawn[:, cosines] * START / max(n_cosines, 1) ** 0.5

    def _columns(self) -> list[tuple[slice, slice]]:
        """Columns of the coefficients of cosines and of channels, for each level."""
        found, start = [], 0
        for level in self._levels:
            middle = start + level.features
            found.append((slice(start, middle), slice(middle, middle + level.channels)))
            start = middle + level.channels
        return found

    def _tensors(self) -> list[Tensor]:
        """Views of all parameters but the references, in the order of the vector."""
        coefficients = self.potential.readout.coefficients
        found: list[Tensor] = []
        for n, (cosines, channels) in enumerate(self._columns()):
            found += [self._frequencies[n], self._phases[n]]
            found += [coefficients[:, cosines], coefficients[:, channels]]
        return found

    def __len__(self) -> int:
        """Number of parameters."""
        return sum(part.numel() for part in self._tensors()) + len(self.potential.reference)

    def levels(self, dtype: torch.dtype) -> list[LevelParameters]:
        """Parameters of each level."""
        parts = [part.to(dtype) for part in self._tensors()]
        return [LevelParameters(*parts[k : k + 4]) for k in range(0, len(parts), 4)]

    def subtract(self, change: Float[Tensor, " parameter"]) -> None:
        """Go a step."""
        parts = self._tensors()
        sizes = [part.numel() for part in parts]
        *own, references = change.double().split([*sizes, len(self.potential.reference)])
        for part, difference in zip(parts, own, strict=True):
            part -= difference.view_as(part)
        self.potential.reference -= references * self.potential.scale
