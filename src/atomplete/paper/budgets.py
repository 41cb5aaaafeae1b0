"""What is spent on a table: representations, architectures and training options by name."""

from pydantic import BaseModel, ConfigDict

from atomplete.models import DeepSetSpec
from atomplete.representations import DensityCorrelationsSpec, ThreeCenterSpec
from atomplete.train import TrainSpec


class Budget(BaseModel):
    """Specs of everything that is trained."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    three_center: ThreeCenterSpec
    density_correlations: DensityCorrelationsSpec = DensityCorrelationsSpec()
    deep_set: DeepSetSpec = DeepSetSpec()
    train: TrainSpec = TrainSpec()


#: ``smoke`` shows that everything runs, ``standard`` fits two cores and a quarter of an hour,
#: ``paper`` is the published protocol but for its faults (see docs/decisions).
BUDGETS = {
    "smoke": Budget(
        three_center=ThreeCenterSpec(radial_components=3, components=(120, 60)),
        deep_set=DeepSetSpec(hidden=(64, 64), head=(64,)),
        train=TrainSpec(epochs=20, batch_structures=16),
    ),
    "standard": Budget(
        three_center=ThreeCenterSpec(radial_components=4, components=(400, 250)),
        train=TrainSpec(epochs=100),
    ),
    "paper": Budget(
        three_center=ThreeCenterSpec(components=(600, 350)),
        deep_set=DeepSetSpec(hidden=(128, 128), head=(), group_norm=4),
        train=TrainSpec(
            epochs=20_000,
            batch_structures=250,
            learning_rate=1e-3,
            schedule="plateau",
            difference_weight=None,
            dtype="float64",
        ),
    ),
}
