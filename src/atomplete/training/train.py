"""One training loop: seeded, logged, resumable."""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil, inf, isfinite
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from jaxtyping import Float, Int
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.optim.lr_scheduler import OneCycleLR, ReduceLROnPlateau

from atomplete.checkpoint import read_tensors, write_tensors
from atomplete.descriptors import Features
from atomplete.errors import InputError
from atomplete.runs.files import atomic_write
from atomplete.runs.progress import progress_of
from atomplete.runs.provenance import versions
from atomplete.training import RowTable

#: Seconds between checkpoints: what a kill costs at the most, beside the epoch at hand.
CHECKPOINT_INTERVAL = 5.0


class TrainSpec(BaseModel):
    """Options of the training loop.

    Examples
    --------
    >>> TrainSpec(epochs=10).schedule
    'one_cycle'
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    epochs: int = Field(default=100, ge=1)
    batch_structures: int = Field(default=64, ge=1, description="structures in a batch")
    learning_rate: float = Field(default=2e-3, gt=0)
    schedule: Literal["one_cycle", "plateau"] = Field(
        default="one_cycle", description="plateau multiplies the rate by 0.8 where it stalls"
    )
    difference_weight: float | None = Field(
        default=0.1,
        ge=0,
        description="weight of the squared pair difference against the squared pair mean, each "
        "over its own variance; null is the plain squared error of single structures",
    )
    dtype: Literal["float32", "float64"] = "float32"


class Trainable(Protocol):
    """What can be trained: a network, in units of its own."""

    @property
    def spec(self) -> BaseModel:
        """What names it in a checkpoint."""

    @property
    def model(self) -> torch.nn.Module:
        """The network."""

    def __call__(self, features: Features, n_structures: int) -> Float[Tensor, "structure *target"]:
        """Predictions in these units, (structure,) or (structure, target)."""

    def relative(self, targets: Tensor, features: Features) -> Float[Tensor, "structure *target"]:
        """Targets in the same units."""


@dataclass(frozen=True)
class Objective:
    """Squared errors of groups of structures: pairs, or singles.

    Attributes
    ----------
    targets
        (structure,) or (structure, target), in the model's units; squares are summed over the
        targets of a structure.
    difference_weight
        As in ``TrainSpec``; ignored for groups of one.
    difference_spread
        Standard deviation of the pair difference of ``targets`` in the training data.

    Examples
    --------
    >>> objective = Objective(torch.tensor([1.0, 0.5]), 0.1, difference_spread=0.5)
    >>> objective.loss(torch.tensor([[0.75, 0.75]]), torch.tensor([[0, 1]]))
    tensor(0.1000)
    """

    targets: Float[Tensor, "structure *target"]
    difference_weight: float | None
    difference_spread: float

    def to(self, device: torch.device) -> "Objective":
        """The same with its targets elsewhere."""
        return replace(self, targets=self.targets.to(device))

    def loss(
        self, predicted: Float[Tensor, "group member *target"], groups: Int[Tensor, "group member"]
    ) -> Float[Tensor, ""]:
        """Mean over groups of the squared errors."""
        error = (predicted - self.targets[groups]).reshape(*groups.shape, -1)
        if self.difference_weight is None or groups.shape[1] == 1:
            return _mean_square(error.flatten(0, 1))
        difference = (error[:, 0] - error[:, 1]) / self.difference_spread
        return _mean_square(error.mean(1)) + self.difference_weight * _mean_square(difference)


def training_device() -> torch.device:
    """The GPU, if torch sees one.

    Examples
    --------
    >>> training_device().type in ("cpu", "cuda")
    True
    """
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _mean_square(error: Float[Tensor, "row target"]) -> Float[Tensor, ""]:
    return error.square().sum(1).mean()


def train(
    model: Trainable,
    table: RowTable,
    targets: Float[Tensor, "structure *target"],
    train_groups: Int[Tensor, "train member"],
    validation_groups: Int[Tensor, "validation member"],
    spec: TrainSpec,
    folder: Path,
    *,
    seed: int,
    progress: bool = True,
) -> None:
    """Train an energy model or an autoencoder on features computed before; it ends at its best.

    The state with the smallest validation loss is kept. A checkpoint in ``folder`` is resumed
    if options, seed, data and versions are the same; the result is that of a run without a break.
    Batches are computed on a GPU if there is one, where sums are not the same to the last digit
    from run to run.

    Parameters
    ----------
    model
        The model, normalised on the training data.
    table
        Features of all structures, in the dtype to train in.
    targets
        (structure,) energies in eV, or (structure, target) features of one centre in each.
    train_groups, validation_groups
        Structures of each group: pairs, or singles.
    spec
        Options.
    folder
        Where ``training.pt`` and ``log.jsonl`` are kept.
    seed
        Of the batches' order.
    progress
        Whether to show how far it is.

    Raises
    ------
    InputError
        For a target that is not finite, and if the loss becomes so.
    """
    _check_finite(targets, train_groups, validation_groups)
    device = training_device()
    objective = _objective(model, table, targets, train_groups, spec).to(device)
    learner = model.model.to(device, table.features.values.dtype)

    def loss(groups: Tensor) -> Tensor:
        structures, position = groups.unique(return_inverse=True)
        predicted = model(table.batch(structures).to(device), len(structures))
        return objective.loss(predicted[position.to(device)], groups.to(device))

    minimise(
        learner,
        loss,
        train_groups,
        validation_groups,
        spec,
        folder,
        depends_on=(model.spec, table.features.values, targets),
        seed=seed,
        progress=progress,
    )


def minimise(
    learner: torch.nn.Module,
    loss: Callable[[Int[Tensor, "group member"]], Float[Tensor, ""]],
    train_groups: Int[Tensor, "train member"],
    validation_groups: Int[Tensor, "validation member"],
    spec: TrainSpec,
    folder: Path,
    *,
    depends_on: tuple[BaseModel | Tensor, ...],
    seed: int,
    progress: bool = True,
) -> None:
    """The loop of ``train`` for any loss of a batch of groups, a mean over them.

    Parameters
    ----------
    learner
        What is trained, in the dtype and where to train; it ends at its best, in double precision,
        on the CPU.
    loss
        From the groups of a batch.
    train_groups, validation_groups, spec, folder, seed, progress
        As in ``train``.
    depends_on
        What the loss depends on beside these: a checkpoint is resumed only if all is the same.
    """
    batch_groups = max(1, spec.batch_structures // train_groups.shape[1])
    optimizer = torch.optim.Adam(learner.parameters(), lr=spec.learning_rate, betas=(0.9, 0.99))
    schedule = _schedule(optimizer, spec, ceil(len(train_groups) / batch_groups))
    identity = identity_of(spec, seed, (*depends_on, train_groups, validation_groups))
    run = TrainingRun.open(folder, identity)
    run.restore(learner=learner, optimizer=optimizer, schedule=schedule)
    with progress_of(f"{folder.name} epochs", spec.epochs - run.epoch, progress) as step:
        for epoch in range(run.epoch, spec.epochs):
            shuffle = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
            total = 0.0
            for batch in torch.randperm(len(train_groups), generator=shuffle).split(batch_groups):
                batch_loss = loss(train_groups[batch])
                optimizer.zero_grad()
                batch_loss.backward()
                optimizer.step()
                if isinstance(schedule, OneCycleLR):
                    schedule.step()
                total += batch_loss.item() * len(batch)
            with torch.no_grad():
                parts = validation_groups.split(4 * batch_groups)
                validation = sum(loss(part).item() * len(part) for part in parts)
            losses = total / len(train_groups), validation / len(validation_groups)
            if isinstance(schedule, ReduceLROnPlateau):
                schedule.step(losses[1])
            run.record(losses, optimizer.param_groups[0]["lr"], learner)
            if run.due() or epoch == spec.epochs - 1:
                run.save(learner=learner, optimizer=optimizer, schedule=schedule)
            step()
    learner.load_state_dict(run.best)
    learner.to("cpu", torch.float64)


class TrainingRun:
    """What a training run has reached, in memory and in its folder."""

    def __init__(self, folder: Path, state: dict[str, Any]) -> None:
        self._folder, self._state = folder, state
        self._saved = self._clock = time.monotonic()

    @classmethod
    def open(cls, folder: Path, identity: str) -> "TrainingRun":
        """Go on with the run of a folder if it is the same, or begin a new one."""
        folder.mkdir(parents=True, exist_ok=True)
        state: dict[str, Any] = {"identity": identity, "log": [], "best_loss": inf, "best": {}}
        if (folder / "training.pt").exists():
            found = read_tensors(folder / "training.pt")
            if found.get("identity") == identity:
                state = found
        return cls(folder, state)

    @property
    def epoch(self) -> int:
        """How many epochs are done."""
        return len(self._state["log"])

    @property
    def rate(self) -> float | None:
        """The last learning rate, or damping; None at the start."""
        return self._state["log"][-1]["learning_rate"] if self._state["log"] else None

    @property
    def best(self) -> dict[str, Tensor]:
        """The state with the smallest validation loss."""
        return self._state["best"]

    def restore(self, **parts: Any) -> None:
        """Bring what is trained to where the run is."""
        for name, part in parts.items():
            if name in self._state:
                part.load_state_dict(self._state[name])

    def record(self, losses: tuple[float, float], rate: float, learner: torch.nn.Module) -> None:
        """Add an epoch with its training and validation loss."""
        now = time.monotonic()
        entry = {
            "epoch": self.epoch + 1,
            "train_loss": losses[0],
            "validation_loss": losses[1],
            "learning_rate": rate,
            "seconds": round(now - self._clock, 3),
        }
        self._clock = now
        if not isfinite(losses[1]):
            raise InputError(
                f"training diverged in epoch {entry['epoch']}: try a smaller learning rate"
            )
        self._state["log"].append(entry)
        if losses[1] < self._state["best_loss"]:
            self._state["best_loss"] = losses[1]
            self._state["best"] = {k: v.cpu().clone() for k, v in learner.state_dict().items()}

    def due(self) -> bool:
        """Whether so much would be lost by now that it should be saved."""
        return time.monotonic() - self._saved > CHECKPOINT_INTERVAL

    def save(self, **parts: Any) -> None:
        """Write the state of what is trained, and the log."""
        self._state.update({name: part.state_dict() for name, part in parts.items()})
        write_tensors(self._folder / "training.pt", self._state)
        with atomic_write(self._folder / "log.jsonl") as temporary:
            temporary.write_text("".join(json.dumps(e) + "\n" for e in self._state["log"]))
        self._saved = time.monotonic()


def _check_finite(targets: Tensor, *groups: Tensor) -> None:
    finite = targets.reshape(len(targets), -1).isfinite().all(1)
    for structures in groups:
        bad = structures[~finite[structures]]
        if len(bad):
            what = f"energy of structure {bad[0]} is {targets[bad[0]]}"
            if targets.ndim > 1:
                what = f"features of structure {bad[0]} are not finite"
            raise InputError(f"the {what}")


def _objective(
    model: Trainable, table: RowTable, targets: Tensor, groups: Tensor, spec: TrainSpec
) -> Objective:
    relative = model.relative(targets, table.features)
    spread = 1.0
    if groups.shape[1] == 2:
        difference = (relative[groups[:, 0]] - relative[groups[:, 1]]).reshape(len(groups), -1)
        spread = max(difference.var(0).sum().sqrt().item(), 1e-12)
    return Objective(relative.to(table.features.values.dtype), spec.difference_weight, spread)


def _schedule(
    optimizer: torch.optim.Optimizer, spec: TrainSpec, epoch_steps: int
) -> OneCycleLR | ReduceLROnPlateau:
    if spec.schedule == "plateau":
        return ReduceLROnPlateau(optimizer, factor=0.8, patience=50)
    steps = spec.epochs * epoch_steps
    return OneCycleLR(
        optimizer, spec.learning_rate, total_steps=max(steps, 10), pct_start=0.15, div_factor=10,
        final_div_factor=1e3,
    )  # fmt: skip


def identity_of(spec: BaseModel, seed: int, depends_on: tuple[BaseModel | Tensor, ...]) -> str:
    """What a checkpoint must share with a run to be resumed by it."""
    digest = hashlib.sha256(f"{spec!r} {seed} {versions()}".encode())
    for part in depends_on:
        data = part.contiguous().numpy().data if isinstance(part, Tensor) else repr(part).encode()
        digest.update(data)
    return digest.hexdigest()
