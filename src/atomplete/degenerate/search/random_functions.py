"""Rows of features, one for each centre or tagged neighbour, made one row for each structure.

What is compared is a sum over the rows of random non-linear functions,
Σ w cos(a·x_even + b) cos(c·x_odd), O(3)-invariant and, for almost all a, b and c, as good as any.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from atomplete.descriptors import FusedRows, Representation, ThreeCenter
from atomplete.errors import InputError
from atomplete.system import System

#: Outputs of the random functions; a structure of n atoms needs no more than 3n.
N_FUNCTIONS = 128


class RandomFunctions:
    """Σ over rows of w cos(a·x_even + b) cos(c·x_odd), b of the species of the centre."""

    def __init__(self, representation: Representation, reference: System, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            rows = representation(reference)
        if not rows.values.isfinite().all():
            raise InputError("the features of the template are not finite: do its atoms coincide?")
        # arguments of order one in the reference
        even, odd = (
            torch.linalg.vector_norm(block, dim=1).max().item() if block.numel() else 0.0
            for block in (rows.even, rows.odd)
        )
        weights = torch.randn(
            rows.values.shape[1], N_FUNCTIONS, generator=generator, dtype=torch.float64
        )
        self._even = weights[rows.parity > 0] / (even or 1.0)
        self._odd = weights[rows.parity < 0] / (max(odd, 0.1 * even) or 1.0)
        phases = torch.rand(120, N_FUNCTIONS, generator=generator, dtype=torch.float64)
        self._phase = 2 * torch.pi * phases  # of every atomic number
        self._representation = representation
        self._fused = (
            FusedRows(representation, self._even, self._odd)
            if isinstance(representation, ThreeCenter)
            else None
        )

    def __call__(self, system: System) -> Float[Tensor, "structure function"]:
        """Sums over the rows of each structure."""
        if self._fused is not None:
            rows = self._fused(system)
        else:
            rows = self._representation(system).project(self._even, self._odd)
        phase = self._phase[rows.center_species][rows.center_of_row]
        values = torch.cos(rows.even + phase) * torch.cos(rows.odd) * rows.weight[:, None]
        total = values.new_zeros(len(system.cell), N_FUNCTIONS)
        return total.index_add(0, rows.center_structure[rows.center_of_row], values)
