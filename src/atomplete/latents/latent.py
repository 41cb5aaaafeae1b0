"""xi~, a learned descriptor: rows of another one, encoded and summed."""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Int
from torch import Tensor

from atomplete.descriptors import AnyDescriptorSpec, Descriptor, DescriptorSpec, Features
from atomplete.descriptors.memory import MEMORY
from atomplete.errors import InputError
from atomplete.latents.autoencoder import AutoEncoder, EncoderSpec, of_centers
from atomplete.registry import build
from atomplete.system import System


class LatentSpec(DescriptorSpec):
    """An encoder of the rows of another descriptor.

    Examples
    --------
    >>> from atomplete.descriptors import ThreeCenterSpec
    >>> LatentSpec(rows=ThreeCenterSpec(), encoder=EncoderSpec()).cutoff
    2.0
    """

    type: Literal["latent"] = "latent"
    rows: AnyDescriptorSpec
    encoder: EncoderSpec

    @property
    def cutoff(self) -> float:
        """Radius of an environment, Å."""
        return self.rows.cutoff

    def known_species(self) -> tuple[int, ...] | None:
        """Atomic numbers of the neighbours that are described; None for all."""
        return self.rows.known_species()


class Latent(Descriptor, spec=LatentSpec):
    """xi~_i = Σ_rows psi(x): scalars, then pseudoscalars, of each centre.

    Parameters
    ----------
    spec
        Rows and encoder. The weights are those of a trained ``AutoEncoder``, see ``of``; without
        them it cannot be used.

    References
    ----------
    Nigam, Pozdnyakov, Huguenin-Dumittan, Ceriotti, arXiv:2302.14770, eq. 4.

    Examples
    --------
    >>> import ase
    >>> from atomplete.descriptors import NAMED, ThreeCenterSpec
    >>> from atomplete.latents import AutoEncoderSpec
    >>> system = System.from_atoms(ase.Atoms("B2", [(0, 0, 0), (0, 0, 1.6)]), cutoff=2.0)
    >>> rows, targets = build(ThreeCenterSpec()), build(NAMED["bispectrum"])
    >>> trained = AutoEncoder(AutoEncoderSpec(), rows.parity)
    >>> trained.normalise(rows(system), targets(system), train=torch.tensor([0]))
    >>> Latent.of(rows, trained)(system)
    Features(2 rows × 128 features, 32 odd; rows labelled by structure, center)
    >>> Latent(LatentSpec(rows=ThreeCenterSpec(), encoder=EncoderSpec())).is_fitted
    False
    """

    def __init__(self, spec: LatentSpec) -> None:
        super().__init__()
        self.spec = spec
        self.rows: Descriptor = build(spec.rows)
        generator = torch.Generator().manual_seed(0)
        self.encoder = spec.encoder.build(self.rows.parity, generator).double()
        self.encoder.requires_grad_(False)
        self.feature_scale: Tensor
        # zero until there are trained weights
        self.register_buffer("feature_scale", torch.zeros((), dtype=torch.float64))

    @classmethod
    def of(cls, descriptor: Descriptor, trained: AutoEncoder) -> "Latent":
        """The encoder of a trained autoencoder, with the descriptor that it was trained on."""
        latent = cls(LatentSpec(rows=descriptor.spec, encoder=trained.spec.encoder))
        latent.rows = descriptor
        latent.encoder.load_state_dict(trained.model.encoder.state_dict())
        latent.feature_scale = trained.feature_scale
        return latent

    def __repr__(self) -> str:
        return f"Latent({self.rows!r} → {self.encoder!r})"

    @property
    def parity(self) -> Int[Tensor, " latent"]:
        """(latent,) +1 for scalars, −1 for pseudoscalars."""
        return self.spec.encoder.parity

    @property
    def numbers_per_row(self) -> int:
        """Numbers of a row that is encoded."""
        return self.rows.numbers_per_row

    @property
    def needs_fit(self) -> bool:
        """True: the encoder must be trained, see ``of``."""
        return True

    @property
    def is_fitted(self) -> bool:
        """Whether the weights are those of a trained encoder, and its rows can be used."""
        return bool(self.feature_scale) and self.rows.is_fitted

    def fit(
        self, systems: Sequence[System], *, memory: int = MEMORY, progress: bool = False
    ) -> "Latent":
        """Refuse: the encoder is trained together with a decoder, see ``of``."""
        raise InputError(f"{self!r} is trained as the encoder of an AutoEncoder")

    def forward(self, system: System) -> Features:
        """xi~ of every centre of ``system``: (center, latent)."""
        return self.of_rows(self.rows(system))

    def of_rows(self, rows: Features) -> Features:
        """xi~ of every centre, from rows that were computed before."""
        values = self.encoder(rows.scaled(self.feature_scale))
        return of_centers(rows, values, self.parity)
