"""The loop of all fits: resumed from its folder, logged, and ended where validation is best."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import inf, isfinite
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from atomplete.checkpoint import read_tensors, write_tensors
from atomplete.data.dataset import Dataset, Split
from atomplete.data.references import References
from atomplete.errors import InputError
from atomplete.runs import store
from atomplete.runs.files import atomic_write
from atomplete.runs.progress import progress_of
from atomplete.runs.provenance import versions_of
from atomplete.training.feature_table import RowTable
from atomplete.training.loss import Loss

#: Seconds between checkpoints that are quick to write: what a kill costs, beside the step at hand.
CHECKPOINT_INTERVAL = 5.0

#: Intervals between two checkpoints for each second that one takes, where that is more than one.
CHECKPOINT_COST = 4.0

#: Calls a function in other processes, once for each tuple of arguments; results in that order.
Remote = Callable[[Callable[..., Any], Iterable[tuple[Any, ...]]], Iterator[Any]]

#: Tensors of the state of sums.
State = Mapping[str, Tensor]

#: Losses of training and validation data after a step, and the learning rate or the like.
Step = tuple[float, float, float | None]


@dataclass(frozen=True, eq=False)
class Task:
    """Potential, data, split and loss of a fit, whatever the solver.

    Attributes
    ----------
    potential
        The potential, from where it is.
    dataset
        Structures with labels.
    split
        Structures of each group, pairs or singles, to train on and to validate with.
    loss
        Weights of the terms.
    folder
        Where ``training.pt`` and ``log.jsonl`` are kept.
    seed
        Of all that is drawn.
    features
        Features of all structures, where they were computed before.
    references
        Reference energies; None to find them by least squares.
    progress
        Whether to show how far it is.
    remote
        Other processes to sum normal equations up in; None for this one.
    known
        Structures over which normal equations were summed up before, and the state of these sums by
        kind, which are taken out.
    keep
        Takes the state of the sums of a fit in closed form, by kind, before they are forgotten.
    """

    potential: Any
    dataset: Dataset
    split: Split
    loss: Loss
    folder: Path
    seed: int = 0
    features: RowTable | None = None
    references: References | None = None
    progress: bool = True
    remote: Remote | None = None
    known: tuple[Tensor, dict[str, State]] | None = None
    keep: Callable[[Mapping[str, State]], None] | None = None


def follow(
    run: "TrainingRun",
    steps: Iterator[Step],
    total: int,
    parts: dict[str, Any],
    *,
    unit: str = "epochs",
    progress: bool = True,
) -> None:
    """Go through the steps that are left; the first of ``parts`` ends at its best.

    Parameters
    ----------
    run
        What has been reached; the parts have been restored from it.
    steps
        Steps from there on; they may end early.
    total
        Number of steps, with those that are done.
    parts
        What changes with each step and has a state dict, by name: the learner first.
    unit
        Name of the steps.
    progress
        Whether to show how far it is.
    """
    learner = next(iter(parts.values()))
    with progress_of(f"{run.folder.name} {unit}", total - run.epoch, progress) as step:
        for losses in steps:
            run.record(*losses, learner)
            if run.due():
                run.save(**parts)
            step()
    if run.unsaved:
        run.save(**parts)
    if run.best:  # else the start is a minimum
        learner.load_state_dict(run.best)


class TrainingRun:
    """State of a training run, in memory and in its folder."""

    def __init__(self, folder: Path, state: dict[str, Any]) -> None:
        self.folder, self._state = folder, state
        self._saved = self._clock = time.monotonic()
        self._seconds = 0.0  # that the last save took
        #: Whether there are steps that a kill would cost.
        self.unsaved = False

    @classmethod
    def open(cls, folder: Path, identity: str) -> "TrainingRun":
        """Go on with the run of a folder if it is the same, or begin a new one."""
        folder.mkdir(parents=True, exist_ok=True)
        state: dict[str, Any] = {"identity": identity, "log": [], "best_loss": inf, "best": {}}
        path = folder / "training.pt"
        if path.exists():
            try:
                found = read_tensors(path)
            except InputError as error:
                raise InputError(f"{error}; remove it to begin anew") from error
            kinds = {name: type(value) for name, value in state.items()}
            if found.get("identity") == identity:
                if any(type(found.get(name)) is not kind for name, kind in kinds.items()):
                    raise InputError(f"{path}: a damaged training state; remove it to begin anew")
                state = found
        return cls(folder, state)

    @property
    def epoch(self) -> int:
        """Number of steps that are done."""
        return len(self._state["log"])

    @property
    def rate(self) -> float | None:
        """The last learning rate, or damping; None at the start."""
        return self._state["log"][-1]["learning_rate"] if self._state["log"] else None

    @property
    def best(self) -> dict[str, Tensor]:
        """The state with the smallest validation loss."""
        best: dict[str, Tensor] = self._state["best"]
        return best

    def restore(self, **parts: Any) -> None:
        """Bring what is trained to where the run is."""
        for name, part in parts.items():
            if name in self._state:
                part.load_state_dict(self._state.pop(name))

    def record(
        self, train: float, validation: float, rate: float | None, learner: torch.nn.Module
    ) -> None:
        """Add a step with its training and validation loss."""
        now = time.monotonic()
        entry = {
            "epoch": self.epoch + 1,
            "train_loss": train,
            "validation_loss": validation,
            "learning_rate": rate,
            "seconds": round(now - self._clock, 3),
        }
        self._clock = now
        if not isfinite(validation):
            raise InputError(
                f"training diverged in epoch {entry['epoch']}: try a smaller learning rate"
            )
        self._state["log"].append(entry)
        self.unsaved = True
        if validation < self._state["best_loss"]:
            self._state["best_loss"] = validation
            self._state["best"] = {k: v.cpu().clone() for k, v in learner.state_dict().items()}

    def due(self) -> bool:
        """Whether more would be lost by now than saving takes, by far."""
        patience = CHECKPOINT_INTERVAL * max(1.0, CHECKPOINT_COST * self._seconds)
        return time.monotonic() - self._saved > patience

    def save(self, **parts: Any) -> None:
        """Write the state of what is trained, of nothing else, and the log."""
        start = time.monotonic()
        states = {name: part.state_dict() for name, part in parts.items()}
        write_tensors(self.folder / "training.pt", self._state | states)
        with atomic_write(self.folder / "log.jsonl") as temporary:
            temporary.write_text("".join(json.dumps(e) + "\n" for e in self._state["log"]))
        self._saved, self.unsaved = time.monotonic(), False
        self._seconds = self._saved - start


def identity_of(*depends_on: Any) -> str:
    """Hash of what a checkpoint must share with a run to be resumed by it.

    Options, seeds and data belong to it, and of versions those of this package and of torch.
    """
    return store.identity_of(*depends_on, versions_of(("atomplete", "torch")))
