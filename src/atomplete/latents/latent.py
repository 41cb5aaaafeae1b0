"""xi~ as a representation: three-centre rows, encoded and summed."""

from typing import Literal

import torch
from jaxtyping import Int
from torch import Tensor

from atomplete.descriptors import (
    Descriptor,
    DescriptorSpec,
    ExpansionSpec,
    Features,
    ThreeCenter,
    ThreeCenterSpec,
)
from atomplete.latents.autoencoder import AutoEncoder, EncoderSpec, of_centers, scaled
from atomplete.system import System


class LatentSpec(DescriptorSpec):
    """An encoder of three-centre rows.

    Examples
    --------
    >>> from atomplete.descriptors import ThreeCenterSpec
    >>> LatentSpec(rows=ThreeCenterSpec(), encoder=EncoderSpec()).expansion.cutoff
    2.0
    """

    type: Literal["latent"] = "latent"
    rows: ThreeCenterSpec
    encoder: EncoderSpec

    @property
    def cutoff(self) -> float:
        """Radius of an environment, Å."""
        return self.rows.cutoff

    @property
    def expansion(self) -> ExpansionSpec:
        """The basis of the rows."""
        return self.rows.expansion


class Latent(Descriptor, spec=LatentSpec):
    """xi~_i = Σ_rows psi(x): scalars, then pseudoscalars, of each centre.

    Parameters
    ----------
    spec
        Rows and encoder; the weights are those of an ``AutoEncoder``, see ``of``.

    References
    ----------
    Nigam, Pozdnyakov, Huguenin-Dumittan, Ceriotti, arXiv:2302.14770, eq. 4.

    Examples
    --------
    >>> import ase
    >>> from atomplete.descriptors import ThreeCenterSpec
    >>> latent = Latent(LatentSpec(rows=ThreeCenterSpec(), encoder=EncoderSpec()))
    >>> system = System.from_atoms(ase.Atoms("B2", [(0, 0, 0), (0, 0, 1.6)]), cutoff=2.0)
    >>> latent(system)
    Features(2 rows × 128 features, 32 odd; rows labelled by structure, center)
    """

    def __init__(self, spec: LatentSpec) -> None:
        super().__init__()
        self.spec = spec
        self.rows = ThreeCenter(spec.rows)
        generator = torch.Generator().manual_seed(0)
        self.encoder = spec.encoder.build(self.rows.parity, generator).double()
        self.encoder.requires_grad_(False)
        self.feature_scale: Tensor
        self.register_buffer("feature_scale", torch.ones((), dtype=torch.float64))

    @classmethod
    def of(cls, representation: ThreeCenter, trained: AutoEncoder) -> "Latent":
        """The encoder of a trained autoencoder, with the representation that it was trained on."""
        latent = cls(LatentSpec(rows=representation.spec, encoder=trained.spec.encoder))
        latent.rows = representation
        latent.encoder.load_state_dict(trained.model.encoder.state_dict())
        latent.feature_scale = trained.feature_scale
        return latent

    def __repr__(self) -> str:
        return f"Latent({self.rows!r} → {self.encoder!r})"

    @property
    def parity(self) -> Int[Tensor, " latent"]:
        """(latent,) +1 for scalars, −1 for pseudoscalars."""
        return self.spec.encoder.parity

    def row_bytes(self, system: System) -> Int[Tensor, " center"]:
        """Bytes that each centre's rows take while they are computed and encoded."""
        width = max(self.spec.encoder.hidden, default=0)
        hidden = 4 * width * self.rows.rows_per_center(system) * system.positions.element_size()
        return self.rows.row_bytes(system) + hidden

    def forward(self, system: System) -> Features:
        """xi~ of every centre of ``system``: (center, latent)."""
        return self.of_rows(self.rows(system))

    def of_rows(self, rows: Features) -> Features:
        """xi~ of every centre, from rows that were computed before."""
        values = self.encoder(scaled(rows, self.feature_scale))
        return of_centers(rows, values, self.parity)
