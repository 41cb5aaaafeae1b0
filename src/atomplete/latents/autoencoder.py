"""An encoder–decoder: feature rows → xi~ → features of another kind."""

from dataclasses import replace

import torch
from jaxtyping import Float, Int
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from atomplete.descriptors import Features
from atomplete.descriptors.specs import Count
from atomplete.errors import InputError
from atomplete.nn.row_sum import Width
from atomplete.nn.set_map import SetMap


class EncoderSpec(BaseModel):
    """Architecture of the encoder, from rows to xi~.

    Examples
    --------
    >>> EncoderSpec(hidden=()).latent
    (96, 32)
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    hidden: tuple[Width, ...] = Field(
        default=(256, 128),
        max_length=100,
        description="widths of psi; none for a linear contraction of the rows",
    )
    group_norm: int = Field(default=0, ge=0, description="groups to normalise in psi; 0 for none")
    latent: tuple[Count, Count] = Field(
        default=(96, 32), description="scalars and pseudoscalars of xi~"
    )

    def build(self, parity: Int[Tensor, " feature"], generator: torch.Generator) -> SetMap:
        """An encoder of rows of features of the given parities."""
        n_odd = int((parity < 0).sum())
        return SetMap(
            self.hidden,
            self.latent,
            n_even=len(parity) - n_odd,
            n_odd=n_odd,
            group_norm=self.group_norm,
            generator=generator,
        )

    @property
    def parity(self) -> Int[Tensor, " latent"]:
        """(latent,) +1 for scalars, −1 for pseudoscalars."""
        return torch.tensor([1] * self.latent[0] + [-1] * self.latent[1])


class AutoEncoderSpec(BaseModel):
    """Architecture of an encoder–decoder.

    Examples
    --------
    >>> AutoEncoderSpec(targets=(100, 50)).decoder
    (512, 512)
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    encoder: EncoderSpec = EncoderSpec()
    decoder: tuple[Width, ...] = Field(
        default=(512, 512), min_length=1, max_length=100, description="hidden widths of the decoder"
    )
    targets: tuple[Count, Count] = Field(
        default=(300, 150),
        description="principal components, scalars and pseudoscalars, that the decoder predicts",
    )


class EncoderDecoder(nn.Module):
    """Encoder and decoder, one after the other; xi~ is one row for each centre.

    Examples
    --------
    >>> spec = AutoEncoderSpec(encoder=EncoderSpec(hidden=(16,), latent=(6, 2)), targets=(5, 3))
    >>> EncoderDecoder(spec, torch.tensor([1, 1, -1]), torch.Generator().manual_seed(0))
    EncoderDecoder(
      (encoder): SetMap(2 even, 1 odd → 16 → Σ → 6 even, 2 odd)
      (decoder): SetMap(6 even, 2 odd → 512 → 512 → Σ → 5 even, 3 odd)
    )
    """

    def __init__(
        self, spec: AutoEncoderSpec, parity: Int[Tensor, " feature"], generator: torch.Generator
    ) -> None:
        super().__init__()
        n_even, n_odd = spec.encoder.latent
        self.latent_parity = spec.encoder.parity
        self.encoder = spec.encoder.build(parity, generator)
        self.decoder = SetMap(
            spec.decoder,
            spec.targets,
            n_even=n_even,
            n_odd=n_odd,
            group_norm=1,
            generator=generator,
        )

    def forward(self, features: Features) -> Float[Tensor, "center target"]:
        """The decoder's targets for each centre."""
        return self.decoder(of_centers(features, self.encoder(features), self.latent_parity))


class AutoEncoder(nn.Module):
    """Predicts the features of each centre from rows of another descriptor, through xi~.

    Targets are principal components, fitted to training data: of scalars about their mean, of
    pseudoscalars about zero, since the mirror image of an environment is as likely.

    Parameters
    ----------
    spec
        Architecture.
    parity
        (feature,) of the rows.
    seed
        Of the initial weights.

    References
    ----------
    Nigam, Pozdnyakov, Huguenin-Dumittan, Ceriotti, arXiv:2302.14770.

    Examples
    --------
    >>> AutoEncoder(AutoEncoderSpec(), torch.ones(400, dtype=torch.long)).model.decoder
    SetMap(96 even, 32 odd → 512 → 512 → Σ → 300 even, 150 odd)
    """

    def __init__(
        self, spec: AutoEncoderSpec, parity: Int[Tensor, " feature"], seed: int = 0
    ) -> None:
        super().__init__()
        self.spec = spec
        self.model = EncoderDecoder(spec, parity, torch.Generator().manual_seed(seed)).double()
        # zero until ``normalise`` was called
        zero = torch.zeros((), dtype=torch.float64)
        self.feature_scale, self.scale = zero, zero
        self.mean = torch.zeros(0, dtype=torch.float64)
        self.components = torch.zeros(0, 0, dtype=torch.float64)

    def forward(
        self, features: Features, n_structures: int | None = None
    ) -> Float[Tensor, "center target"]:
        """Principal components of the targets, in units of ``scale``."""
        return self.model(self._scaled(features))

    def _scaled(self, features: Features) -> Features:
        if not self.feature_scale:
            raise InputError("an AutoEncoder must be normalised on training data before it is used")
        return features.scaled(self.feature_scale)

    def latent(self, features: Features) -> Features:
        """xi~ of each centre as one row."""
        values = self.model.encoder(self._scaled(features))
        return of_centers(features, values, self.spec.encoder.parity)

    def predict(self, features: Features) -> Float[Tensor, "center feature"]:
        """The features of each centre, float64."""
        return self(features).double() * self.scale @ self.components.T + self.mean

    def normalise(
        self, features: Features, targets: Features, train: Int[Tensor, " train"]
    ) -> None:
        """Fix scales and principal components on the training structures."""
        rows = torch.isin(features.center_structure[features.center_of_row], train)
        centers = torch.isin(features.center_structure, train)
        norms = torch.linalg.vector_norm(features.values, dim=1).double()[rows]
        if self.model.encoder.rows is not None:
            self.model.encoder.rows.count_rows(len(norms), int(centers.sum()))
        self.feature_scale = features.values.shape[1] ** 0.5 / norms.square().mean().sqrt()
        values, is_odd = targets.values[centers].double(), targets.parity < 0
        self.mean = torch.where(is_odd, 0.0, values.mean(0))
        values = values - self.mean
        blocks = [
            _principal_axes(values, which, number)
            for which, number in zip((~is_odd, is_odd), self.spec.targets, strict=True)
        ]
        self.components = torch.cat(blocks, 1)
        self.scale = values.square().sum(1).mean().sqrt()

    def relative(self, targets: Tensor, features: Features) -> Float[Tensor, "center target"]:
        """Features in the basis and the units of the prediction."""
        return (targets - self.mean) @ self.components / self.scale


def of_centers(
    features: Features,
    values: Float[Tensor, "center feature"],
    parity: Int[Tensor, " feature"],
) -> Features:
    """One row for each centre of ``features``."""
    return replace(
        features,
        values=values,
        parity=parity,
        rows={"structure": features.center_structure, "center": features.center_atom},
        center_of_row=torch.arange(len(values), device=values.device),
        weight=values.new_ones(len(values)),
    )


def _principal_axes(
    values: Float[Tensor, "center feature"], which: Tensor, number: int
) -> Float[Tensor, "feature kept"]:
    """Leading axes of some of the features, zero for the others; fewer are filled with zeros."""
    block = values[:, which]
    axes = torch.linalg.eigh(block.T @ block)[1].flip(1)[:, :number]
    found = values.new_zeros(values.shape[1], number)
    found[which, : axes.shape[1]] = axes
    return found
