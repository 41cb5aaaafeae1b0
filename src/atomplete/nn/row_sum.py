"""Sums over feature rows of a non-linear function: what every deep set begins with."""

from itertools import pairwise
from typing import Annotated

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from atomplete.descriptors import Features
from atomplete.descriptors.memory import MEMORY
from atomplete.errors import InputError

#: Field for the width of a layer.
Width = Annotated[int, Field(ge=1)]


class RowSum(nn.Module):
    """Σ_rows w psi(x) / n for each centre, with n a constant.

    The rows' weights w vanish with a tagged neighbour at the cutoff. psi(x_even, −x_odd) is psi
    of the mirror image; the first layer is shared by both.

    Parameters
    ----------
    hidden
        Widths of psi.
    group_norm
        Groups to normalise in each of its layers; 0 for none, 1 for a layer norm.
    n_even, n_odd
        Scalars and pseudoscalars in a row.
    generator
        Source of the initial weights.
    """

    def __init__(
        self,
        hidden: tuple[int, ...],
        group_norm: int,
        n_even: int,
        n_odd: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        refuse_large(n_even + n_odd, *hidden)
        self.n_even, self.n_odd = n_even, n_odd
        self.even = nn.Linear(n_even, hidden[0])
        self.odd = nn.Linear(n_odd, hidden[0], bias=False) if n_odd else None
        self.psi = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(hidden))
        self.norms = nn.ModuleList(
            nn.GroupNorm(group_norm, width) if group_norm else nn.Identity() for width in hidden
        )
        #: Average number of rows of a centre: keeps the sum of order one at any coordination.
        self.rows_per_center: Tensor
        self.register_buffer("rows_per_center", torch.ones(()))
        for layer in filter(None, (self.even, self.odd, *self.psi)):
            initialise(layer, generator)

    def first(self, rows: Features) -> tuple[Tensor, Tensor | None]:
        """First layer, of scalars and of pseudoscalars: (row, hidden)."""
        return self.even(rows.even), None if self.odd is None else self.odd(rows.odd)

    def both(
        self,
        even: Float[Tensor, "row hidden"],
        odd: Float[Tensor, "row hidden"] | None,
        rows: Features,
    ) -> tuple[Float[Tensor, "center width"], Float[Tensor, "center width"]]:
        """The sums of each centre and those of its mirror image, from the ``first`` layer."""
        if odd is None:
            plain = self.one(even, rows)
            return plain, plain
        return self.one(even + odd, rows), self.one(even - odd, rows)

    def one(
        self, first: Float[Tensor, "row hidden"], rows: Features
    ) -> Float[Tensor, "center width"]:
        """The sums of each centre."""
        row = nn.functional.silu(self.norms[0](first))
        for layer, norm in zip(self.psi, self.norms[1:], strict=True):
            row = nn.functional.silu(norm(layer(row)))
        weighted = row * (rows.weight / self.rows_per_center)[:, None]
        zero = weighted.new_zeros(len(rows.center_structure), weighted.shape[1])
        return zero.index_add(0, rows.center_of_row, weighted)

    def count_rows(self, n_rows: int, n_centers: int) -> None:
        """Fix n to the average over training data."""
        self.rows_per_center.fill_(max(n_rows / max(n_centers, 1), 1e-3))


def refuse_large(*widths: int) -> None:
    """Raise an InputError for layers of such widths that take more than ``MEMORY``.

    Examples
    --------
    >>> refuse_large(7344, 10**9, 1)
    Traceback (most recent call last):
    atomplete.errors.InputError: layers 7344 → 1000000000 → 1 take 5.9e+04 GB, more than 2 GB
    """
    size = 8 * sum(a * b for a, b in pairwise(widths))
    if size > MEMORY:
        layers = " → ".join(map(str, widths))
        raise InputError(f"layers {layers} take {size / 1e9:.2g} GB, more than {MEMORY / 1e9:g} GB")


def initialise(layer: nn.Linear, generator: torch.Generator) -> None:
    """Uniform weights and biases, as torch draws them, from a generator of one's own."""
    bound = max(layer.in_features, 1) ** -0.5
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, -bound, bound, generator=generator)
