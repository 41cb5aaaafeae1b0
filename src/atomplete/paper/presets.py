"""Presets of a table: descriptors, architectures and training options by name."""

from pydantic import BaseModel, ConfigDict

from atomplete.descriptors import (
    NICE_COMPONENTS,
    DensityCorrelationsSpec,
    NiceSpec,
    ThreeCenterSpec,
)
from atomplete.latents import AutoEncoderSpec, EncoderSpec
from atomplete.nn import DeepSetSpec
from atomplete.paper.best import BestSpec
from atomplete.potentials import PairBasisSpec, TightBindingSpec
from atomplete.training.adam import AdamSpec
from atomplete.training.gauss_newton.levenberg import GaussNewtonSpec
from atomplete.training.loss import Loss


class Budget(BaseModel):
    """Specs of everything that is fitted or trained.

    ``head`` is the network on latents, ``deep_set`` that on all other inputs; the linear
    encoder has the latent and the decoder of ``autoencoder``. ``best`` has all that its row needs,
    all other rows have the one ``loss``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    three_center: ThreeCenterSpec
    nice: NiceSpec
    density_correlations: DensityCorrelationsSpec = DensityCorrelationsSpec()
    autoencoder: AutoEncoderSpec = AutoEncoderSpec()
    deep_set: DeepSetSpec = DeepSetSpec()
    head: DeepSetSpec = DeepSetSpec(hidden=(128, 128), head=(), group_norm=4)
    train_autoencoder: AdamSpec = AdamSpec()
    train: AdamSpec = AdamSpec()
    train_head: AdamSpec = AdamSpec()
    loss: Loss = Loss(energy=1.0, pair_difference=0.1)
    best: BestSpec = BestSpec()

    def species(self, name: str) -> tuple[int, ...]:
        """Species that a descriptor describes; ``best`` is the row of this name."""
        if name == "best":
            return (self.best.model.species,)
        species: tuple[int, ...] = getattr(self, name).expansion.species
        return species


def nice_spec(fraction: float, candidates: int, fit_environments: int) -> NiceSpec:
    """ν ≤ 7 with a fraction of the components that the paper keeps of each block."""
    components = tuple(
        tuple(max(1, round(fraction * number)) for number in order) for order in NICE_COMPONENTS
    )
    return NiceSpec(
        max_nu=7,
        components=components,
        candidates=candidates,
        fit_environments=fit_environments,
    )


_PUBLISHED_TRAINING = AdamSpec(
    epochs=20_000,
    batch_structures=250,
    learning_rate=1e-3,
    schedule="plateau",
    dtype="float64",
)

#: ``smoke`` shows that everything runs, ``standard`` fits two cores and a quarter of an hour,
#: ``paper`` is the published protocol but for its faults (see docs/decisions).
BUDGETS = {
    "smoke": Budget(
        three_center=ThreeCenterSpec(radial_components=3, components=(120, 60)),
        nice=nice_spec(0.05, candidates=100, fit_environments=50),
        autoencoder=AutoEncoderSpec(
            encoder=EncoderSpec(hidden=(64, 64), latent=(24, 8)),
            decoder=(64, 64),
            targets=(60, 30),
        ),
        deep_set=DeepSetSpec(hidden=(64, 64), head=(64,)),
        train_autoencoder=AdamSpec(epochs=20, batch_structures=16),
        train=AdamSpec(epochs=20, batch_structures=16),
        train_head=AdamSpec(epochs=20, batch_structures=16),
        best=BestSpec(
            model=TightBindingSpec(
                basis=PairBasisSpec(max_radial=5, max_radial_surroundings=2, widths=(1.5,))
            ),
            fit=GaussNewtonSpec(iterations=8),
        ),
    ),
    "standard": Budget(
        three_center=ThreeCenterSpec(radial_components=4, components=(400, 250)),
        nice=nice_spec(0.5, candidates=1000, fit_environments=500),
        autoencoder=AutoEncoderSpec(encoder=EncoderSpec(hidden=(128, 128))),
        train_autoencoder=AdamSpec(epochs=50),
        train=AdamSpec(epochs=100),
        train_head=AdamSpec(epochs=100),
    ),
    "paper": Budget(
        three_center=ThreeCenterSpec(components=(600, 350)),
        nice=nice_spec(1, candidates=2000, fit_environments=1000),
        autoencoder=AutoEncoderSpec(
            encoder=EncoderSpec(hidden=(512, 512), group_norm=1), targets=(1781, 1550)
        ),
        deep_set=DeepSetSpec(hidden=(128, 128), head=(), group_norm=4),
        train_autoencoder=_PUBLISHED_TRAINING,
        train=_PUBLISHED_TRAINING,
        train_head=_PUBLISHED_TRAINING,
        loss=Loss(energy=1.0),
    ),
}
