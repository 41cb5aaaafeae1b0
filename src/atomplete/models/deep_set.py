"""Deep sets of feature rows: Σ over rows of a non-linear function, then a head."""

from itertools import pairwise
from typing import Literal

import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from atomplete.representations import Features


class DeepSetSpec(BaseModel):
    """Architecture of a deep set.

    The defaults are what the table's standard budget trains; the paper's direct models are
    ``hidden=(128, 128), head=(), group_norm=4``.

    Examples
    --------
    >>> DeepSetSpec(hidden=(64, 64)).group
    'O3'
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    type: Literal["deep_set"] = "deep_set"
    hidden: tuple[int, ...] = Field(default=(256, 128), min_length=1, description="widths of psi")
    head: tuple[int, ...] = Field(default=(128,), description="hidden widths after the sum")
    group_norm: int = Field(default=0, ge=0, description="groups to normalise in psi; 0 for none")
    group: Literal["O3", "SO3"] = Field(
        default="O3", description="invariance; SO3 tells mirror images apart"
    )


class DeepSet(nn.Module):
    """xi~_i = Σ_rows w psi(x) / n, E_i = head(xi~_i): an energy of each centre.

    The rows' weights w vanish with a tagged neighbour at the cutoff; n is a constant. Under
    ``group="O3"`` psi is symmetrised over inversion, psi(x_even, x_odd) + psi(x_even, −x_odd), so
    that a mirror image has the same xi~; the first layer is shared by both terms.

    Parameters
    ----------
    spec
        Architecture.
    n_even, n_odd
        Scalars and pseudoscalars in a row.
    generator
        Source of the initial weights.

    References
    ----------
    Zaheer et al., Deep Sets, NeurIPS 2017; Nigam et al., arXiv:2302.14770, eq. 4.

    Examples
    --------
    >>> DeepSet(DeepSetSpec(), 400, 250, torch.Generator().manual_seed(0))
    DeepSet(400 even, 250 odd → 256 → 128 → Σ → 128 → 1; O3)
    """

    def __init__(
        self, spec: DeepSetSpec, n_even: int, n_odd: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.spec = spec
        self.n_even, self.n_odd = n_even, n_odd
        first = spec.hidden[0]
        self.even = nn.Linear(n_even, first)
        self.odd = nn.Linear(n_odd, first, bias=False) if n_odd else None
        self.psi = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(spec.hidden))
        self.norms = nn.ModuleList(
            nn.GroupNorm(spec.group_norm, width) if spec.group_norm else nn.Identity()
            for width in spec.hidden
        )
        widths = (spec.hidden[-1], *spec.head, 1)
        self.head = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        #: Average number of rows of a centre: keeps xi~ of order one at any coordination.
        self.rows_per_center: Tensor
        self.register_buffer("rows_per_center", torch.ones(()))
        layers = (self.even, self.odd, *self.psi, *self.head)
        for layer in filter(None, layers):
            bound = max(layer.in_features, 1) ** -0.5
            for parameter in layer.parameters():
                nn.init.uniform_(parameter, -bound, bound, generator=generator)

    def __repr__(self) -> str:
        arrow = " → ".join
        psi, head = map(str, self.spec.hidden), map(str, (*self.spec.head, 1))
        return (
            f"DeepSet({self.n_even} even, {self.n_odd} odd → {arrow(psi)} → Σ → {arrow(head)}; "
            f"{self.spec.group})"
        )

    @property
    def first_layer(self) -> tuple[Float[Tensor, "even hidden"], Float[Tensor, "odd odd_hidden"]]:
        """(feature, hidden) weights of scalars and pseudoscalars, as ``Features.project`` takes."""
        even = self.even.weight.T
        return even, even.new_zeros(0, 0) if self.odd is None else self.odd.weight.T

    def latent(self, features: Features) -> Float[Tensor, "center latent"]:
        """xi~_i, (center, latent): zero for a centre without rows."""
        features = features.to(self.even.weight.dtype)
        odd = None if self.odd is None else self.odd(features.odd)
        return self._sum(self.even(features.even), odd, features)

    def _sum(
        self,
        even: Float[Tensor, "row hidden"],
        odd: Float[Tensor, "row hidden"] | None,
        rows: Features,
    ) -> Float[Tensor, "center latent"]:
        """xi~_i, from what the first layer makes of the features of both parities."""
        branches = [even]
        if odd is not None:
            branches = [even + odd, even - odd] if self.spec.group == "O3" else [even + odd]
        total: Tensor | float = 0.0
        for hidden in branches:
            row = nn.functional.silu(self.norms[0](hidden))
            for layer, norm in zip(self.psi, self.norms[1:], strict=True):
                row = nn.functional.silu(norm(layer(row)))
            total = total + row
        weighted = total * (rows.weight / (len(branches) * self.rows_per_center))[:, None]
        zero = weighted.new_zeros(len(rows.center_structure), weighted.shape[1])
        return zero.index_add(0, rows.center_of_row, weighted)

    def forward(self, features: Features) -> Float[Tensor, " center"]:
        """E_i of each centre, in the model's own scale."""
        return self._energy(self.latent(features))

    def after_first_layer(self, rows: Features) -> Float[Tensor, " center"]:
        """E_i of each centre, where ``rows`` are the features times ``first_layer``."""
        rows = rows.to(self.even.weight.dtype)
        odd = None if self.odd is None else rows.odd
        return self._energy(self._sum(rows.even + self.even.bias, odd, rows))

    def _energy(self, hidden: Float[Tensor, "center latent"]) -> Float[Tensor, " center"]:
        for layer in self.head[:-1]:
            hidden = nn.functional.silu(layer(hidden))
        return self.head[-1](hidden)[:, 0]
