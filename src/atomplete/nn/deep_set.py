"""Deep sets of feature rows: Σ over rows of a non-linear function, then a head."""

from itertools import pairwise
from typing import Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field, model_validator
from torch import Tensor, nn

from atomplete.descriptors import Descriptor, Features
from atomplete.nn.readout import Readout, ReadoutSpec
from atomplete.nn.row_sum import RowSum, Width, initialise, refuse_large
from atomplete.nn.whitening import unwhiten, whiten
from atomplete.system import System


class DeepSetSpec(ReadoutSpec):
    """Architecture of a deep set.

    The defaults are what the table's standard budget trains; the paper's direct models are
    ``hidden=(128, 128), head=(), group_norm=4``.

    Examples
    --------
    >>> DeepSetSpec(hidden=(64, 64)).group
    'O3'
    """

    type: Literal["deep_set"] = "deep_set"
    hidden: tuple[Width, ...] = Field(
        default=(256, 128), min_length=1, max_length=100, description="widths of psi"
    )
    head: tuple[Width, ...] = Field(
        default=(128,), max_length=100, description="hidden widths after the sum"
    )
    group_norm: int = Field(default=0, ge=0, description="groups to normalise in psi; 0 for none")
    group: Literal["O3", "SO3"] = Field(
        default="O3", description="invariance; SO3 tells mirror images apart"
    )

    @model_validator(mode="after")
    def _groups_are_equal(self) -> "DeepSetSpec":
        for width in self.hidden if self.group_norm else ():
            if width % self.group_norm:
                raise ValueError(f"a width of {width} has no {self.group_norm} equal groups")
        return self


class DeepSet(RowSum, Readout, spec=DeepSetSpec):
    """xi~_i = Σ_rows w psi(x) / n, E_i = head(xi~_i): an energy of each centre.

    The rows' weights w vanish with a tagged neighbour at the cutoff; n is a constant. Under
    ``group="O3"`` psi is symmetrised over inversion, psi(x_even, x_odd) + psi(x_even, −x_odd), so
    that a mirror image has the same xi~; the first layer is shared by both terms. Where there are
    centres of several species, the bias of that layer is another one for each of them, since rows
    do not tell the species of their centre.

    Parameters
    ----------
    spec
        Architecture.
    parity
        (feature,) +1 for scalars, −1 for pseudoscalars.
    species
        Atomic numbers of the centres.
    seed
        Of the initial weights.

    References
    ----------
    Zaheer et al., Deep Sets, NeurIPS 2017; Nigam et al., arXiv:2302.14770, eq. 4.

    Examples
    --------
    >>> DeepSet(DeepSetSpec(), parity=torch.tensor([1] * 400 + [-1] * 250))
    DeepSet(400 even, 250 odd → 256 → 128 → Σ → 128 → 1; O3)
    """

    def __init__(
        self,
        spec: DeepSetSpec,
        *,
        parity: Int[Tensor, " feature"],
        species: tuple[int, ...] = (),
        seed: int = 0,
    ) -> None:
        generator = torch.Generator().manual_seed(seed)
        n_odd = int((parity < 0).sum())
        super().__init__(spec.hidden, spec.group_norm, len(parity) - n_odd, n_odd, generator)
        self.spec = spec
        widths = (spec.hidden[-1], *spec.head, 1)
        refuse_large(*widths)
        head = [nn.Linear(a, b) for a, b in pairwise(widths)]
        for layer in head:
            initialise(layer, generator)
        self.head = nn.ModuleList(head)
        self._species = species
        #: (species, hidden) added to the first layer in rows of a centre of that species.
        self.of_species: nn.Parameter | None = None
        if len(species) > 1:
            drawn = torch.rand(len(species), spec.hidden[0], generator=generator)
            self.of_species = nn.Parameter(2 * drawn - 1)
        self.double()

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
        even, odd = self.first(features)
        return self._latent(self._with_species(even, features), odd, features)

    def _with_species(
        self, even: Float[Tensor, "row hidden"], rows: Features
    ) -> Float[Tensor, "row hidden"]:
        """The first layer of rows, with what the species of their centre adds to it."""
        if self.of_species is None:
            return even
        position = rows.center_position(self._species, "the readout")
        return even + self.of_species[position[rows.center_of_row]]

    def _latent(
        self,
        even: Float[Tensor, "row hidden"],
        odd: Float[Tensor, "row hidden"] | None,
        rows: Features,
    ) -> Float[Tensor, "center latent"]:
        """xi~_i, from what the first layer makes of the features of both parities."""
        if odd is None:
            return self.one(even, rows)
        if self.spec.group == "SO3":
            return self.one(even + odd, rows)
        plain, mirrored = self.both(even, odd, rows)
        return (plain + mirrored) / 2

    def forward(self, features: Features) -> Float[Tensor, " center"]:
        """E_i of each centre, in the model's own scale."""
        return self._energy(self.latent(features))

    def of_system(
        self, descriptor: Descriptor, system: System, scale: Tensor
    ) -> tuple[Features, Float[Tensor, " center"]]:
        """Labels of the centres, and E_i without the rows where there is a shorter way."""
        even, odd = (weights * scale.to(weights) for weights in self.first_layer)
        rows = descriptor.projected(even, odd)(system)
        return rows, self.after_first_layer(rows)

    def start(self, features: Features, seed: int) -> None:
        """Train the first layer on principal components of the scalars, until ``finish``."""
        whiten(self.even, features.even, torch.Generator().manual_seed(seed))

    def finish(self) -> None:
        """Make the components a part of the first layer."""
        unwhiten(self.even)

    def after_first_layer(self, rows: Features) -> Float[Tensor, " center"]:
        """E_i of each centre, where ``rows`` are the features times ``first_layer``."""
        rows = rows.to(self.even.weight.dtype)
        odd = None if self.odd is None else rows.odd
        even = self._with_species(rows.even + self.even.bias, rows)
        return self._energy(self._latent(even, odd, rows))

    def _energy(self, hidden: Float[Tensor, "center latent"]) -> Float[Tensor, " center"]:
        for layer in self.head[:-1]:
            hidden = nn.functional.silu(layer(hidden))
        return self.head[-1](hidden)[:, 0]
