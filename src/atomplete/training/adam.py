"""Stochastic gradient descent by Adam: seeded, logged, resumable."""

from collections.abc import Callable, Iterator
from math import ceil
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float, Int
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.optim.lr_scheduler import OneCycleLR, ReduceLROnPlateau

from atomplete.data.dataset import Split
from atomplete.training.run import Step, TrainingRun, follow, identity_of


class AdamSpec(BaseModel):
    """Options of the training of networks.

    Examples
    --------
    >>> AdamSpec(epochs=10).schedule
    'one_cycle'
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    type: Literal["adam"] = "adam"
    epochs: int = Field(default=100, ge=1)
    batch_structures: int = Field(default=64, ge=1, description="structures in a batch")
    learning_rate: float = Field(default=2e-3, gt=0)
    schedule: Literal["one_cycle", "plateau"] = Field(
        default="one_cycle", description="plateau multiplies the rate by 0.8 where it stalls"
    )
    dtype: Literal["float32", "float64"] = "float32"


def minimise(
    learner: torch.nn.Module,
    loss: Callable[[Int[Tensor, "group member"]], Float[Tensor, ""]],
    split: Split,
    spec: AdamSpec,
    folder: Path,
    *,
    depends_on: tuple[BaseModel | Tensor | str, ...],
    seed: int,
    progress: bool = True,
) -> None:
    """Minimise any loss of a batch of groups, a mean over them.

    Parameters
    ----------
    learner
        What is trained, in the dtype and where to train; it ends at its best, in double precision,
        on the CPU.
    loss
        From the groups of a batch.
    split, folder, seed, progress
        As in :class:`Task`.
    spec
        Options.
    depends_on
        What the loss depends on beside these: a checkpoint is resumed only if all is the same.
    """
    train, validation = split
    batch_groups = max(1, spec.batch_structures // train.shape[1])
    optimizer = torch.optim.Adam(learner.parameters(), lr=spec.learning_rate, betas=(0.9, 0.99))
    schedule = _schedule(optimizer, spec, ceil(len(train) / batch_groups))
    run = TrainingRun.open(folder, identity_of(spec, seed, *depends_on, train, validation))
    parts = {"learner": learner, "optimizer": optimizer, "schedule": schedule}
    run.restore(**parts)

    def epochs() -> Iterator[Step]:
        for epoch in range(run.epoch, spec.epochs):
            shuffle = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
            total = 0.0
            for batch in torch.randperm(len(train), generator=shuffle).split(batch_groups):
                batch_loss = loss(train[batch])
                optimizer.zero_grad()
                batch_loss.backward()
                optimizer.step()
                if isinstance(schedule, OneCycleLR):
                    schedule.step()
                total += batch_loss.item() * len(batch)
            with torch.no_grad():
                found = sum(
                    loss(part).item() * len(part) for part in validation.split(4 * batch_groups)
                )
            if isinstance(schedule, ReduceLROnPlateau):
                schedule.step(found / len(validation))
            rate = optimizer.param_groups[0]["lr"]
            yield total / len(train), found / len(validation), rate

    follow(run, epochs(), spec.epochs, parts, progress=progress)
    learner.to("cpu", torch.float64)


def _schedule(
    optimizer: torch.optim.Optimizer, spec: AdamSpec, epoch_steps: int
) -> OneCycleLR | ReduceLROnPlateau:
    if spec.schedule == "plateau":
        return ReduceLROnPlateau(optimizer, factor=0.8, patience=50)
    steps = spec.epochs * epoch_steps
    return OneCycleLR(
        optimizer, spec.learning_rate, total_steps=max(steps, 10), pct_start=0.15, div_factor=10,
        final_div_factor=1e3,
    )  # fmt: skip
