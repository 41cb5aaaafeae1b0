"""Training by natural gradients: Gauss–Newton steps on batches, with momentum."""

from collections.abc import Iterator
from dataclasses import replace
from math import ceil, cos, pi
from typing import Literal

import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field
from scipy.linalg.blas import ssyrk
from torch import Tensor

from atomplete.errors import InputError
from atomplete.training.closed_form.ridge import RidgeSpec, fit_by_ridge
from atomplete.training.loss import BatchLoss, Loss, Scales
from atomplete.training.natural_gradient.batch import Errors
from atomplete.training.natural_gradient.parameters import Parameters
from atomplete.training.networks import set_references
from atomplete.training.run import Step, Task, TrainingRun, follow, identity_of

#: Steps until the learning rate is reached, and the rate at the end over that.
WARM_UP, FINAL = 5, 0.01

#: Structures of validation data that are evaluated at once.
VALIDATED = 16


class NaturalGradientSpec(BaseModel):
    """Options of the training.

    Examples
    --------
    >>> NaturalGradientSpec(steps=100).momentum
    0.9
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    type: Literal["natural_gradient"] = "natural_gradient"
    steps: int = Field(default=800, ge=1, description="rounded to whole epochs")
    batch_labels: int = Field(
        default=700, ge=1, description="energies, components of forces and of stresses in a batch"
    )
    learning_rate: float = Field(default=0.3, gt=0, le=1, description="share of a full step")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="share of the last step kept")
    damping: float = Field(
        default=3e-5, gt=0, description="over the mean diagonal of the matrix that is inverted"
    )
    memory: int = Field(
        default=4 * 10**9, ge=10**7, description="bound on the rows held between epochs, bytes"
    )
    last_layer: RidgeSpec = Field(
        default=RidgeSpec(penalty="diagonal", dtype="float32"),
        description="of the coefficients at the end, in closed form",
    )


class Momentum:
    """The last step."""

    def __init__(self, n: int) -> None:
        self.step = torch.zeros(n)

    def state_dict(self) -> dict[str, Tensor]:
        """The step."""
        return {"step": self.step}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on from a step."""
        self.step = state["step"]


def fit_by_natural_gradient(task: Task, spec: NaturalGradientSpec) -> None:
    """Train frequencies, phases and coefficients of random Fourier features.

    Features of pairs of tagged neighbours stay as they are. Each step minimises the linearised
    loss of a batch, with a penalty on the distance from a share of the last step. In the end all
    coefficients, and their posterior, are found in closed form.

    Raises
    ------
    InputError
        For another potential, and for pairs of structures.

    References
    ----------
    Goldshlager, Abrahamsen, Lin, J. Comput. Phys. 516, 113351 (2024), arXiv:2401.10190.
    """
    potential, dataset, split = task.potential, task.dataset, task.split
    if task.loss.pair_difference is not None:
        raise InputError("natural_gradient knows no weight of differences of pairs")
    parameters = Parameters(potential)
    train, validation = (part.flatten().unique() for part in split)
    residual = set_references(task)
    scales = Scales.of(dataset, residual, train)
    loss = balanced(task.loss, scales)
    task = replace(task, loss=loss)
    potential.scale.fill_(scales.forces if loss.forces else scales.energy)
    potential.feature_scale.fill_(1.0)
    parameters.start(task.seed)
    momentum = Momentum(len(parameters))
    identity = identity_of(
        spec, task.seed, task.loss, potential.spec, dataset.hash, *split, str(task.references)
    )
    run = TrainingRun.open(task.folder, identity)
    parts = {"learner": potential, "momentum": momentum}
    run.restore(**parts)
    errors = Errors(task, parameters, scales, spec.memory)
    of_batch = BatchLoss(dataset, loss, scales, split.train)
    system = dataset.system(potential.cutoff, potential.centers)

    def validation_loss() -> float:
        total = 0.0
        for part in validation.split(VALIDATED):
            found = potential(system.select_structures(part), loss.properties)
            one_each = torch.arange(len(part))[:, None]
            total += of_batch(found, part, one_each).item() * len(part)
        return total / len(validation)

    n_atoms = float(dataset.n_atoms[train].double().mean())
    per_structure = 1 + (3 * n_atoms if loss.forces else 0) + (6 if loss.stress else 0)
    size = max(1, round(spec.batch_labels / per_structure))
    n_batches = ceil(len(train) / size)
    n_epochs = max(1, round(spec.steps / n_batches))

    def epochs() -> Iterator[Step]:
        for epoch in range(run.epoch, n_epochs):
            shuffle = torch.Generator().manual_seed(task.seed * 1_000_003 + epoch)
            batches = torch.randperm(len(train), generator=shuffle).split(size)
            total = 0.0
            for number, batch in enumerate(batches, epoch * n_batches):
                warm = min(1.0, (number + 1) / WARM_UP)
                rate = spec.learning_rate * warm
                rate *= max(FINAL, (1 + cos(pi * number / (n_epochs * n_batches))) / 2)
                error, rows = errors.linearised(train[batch])
                if not len(error):
                    continue
                momentum.step = damped_step(
                    error, rows, spec.momentum * momentum.step, spec.damping
                )
                parameters.subtract(rate * momentum.step)
                total += float(error.square().sum()) * len(batch)
            yield total / len(train), validation_loss(), rate

    follow(run, epochs(), n_epochs, parts, progress=task.progress)
    fit_by_ridge(replace(task, folder=task.folder / "last_layer"), spec.last_layer)


def balanced(loss: Loss, scales: Scales) -> Loss:
    """Weights for the training: an error of 1 eV counts at most as much as one of 1 eV/Å.

    Energies vary less than forces where structures are small; counted by their own variance they
    would leave hardly any weight to forces, which are many and say more. Weights that were asked
    for are multiplied by that.

    Examples
    --------
    >>> scales = Scales(energy=0.2, energy_per_atom=0.02, forces=1.0, stress=1.0)
    >>> round(balanced(Loss(energy_per_atom=1.0, forces=1.0), scales).energy_per_atom, 3)
    0.04
    """
    if not loss.forces:
        return loss
    share = min(1.0, (scales.energy / scales.forces) ** 2)
    return loss.model_copy(
        update={"energy": share * loss.energy, "energy_per_atom": share * loss.energy_per_atom}
    )


def damped_step(
    error: Float[Tensor, " row"],
    rows: Float[Tensor, "row parameter"],
    last: Float[Tensor, " parameter"],
    damping: float,
) -> Float[Tensor, " parameter"]:
    """The step x with the least |rows · x − error|² + λ |x − last|².

    Parameters
    ----------
    error, rows
        What a step of the parameters should take away, and its derivatives.
    last
        Where the penalty is zero.
    damping
        λ over the mean diagonal of rows · rowsᵀ.

    Examples
    --------
    >>> rows = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    >>> damped_step(torch.tensor([1.0, 4.0]), rows, torch.zeros(2), 1e-9)
    tensor([1., 2.])
    """
    # half the work of a product of matrices; BLAS takes the transpose of what torch stores
    upper = torch.from_numpy(ssyrk(1.0, rows.numpy().T, trans=True)).double()
    if not upper.isfinite().all():
        raise InputError("training diverged: try a smaller learning rate")
    kernel = upper.triu() + upper.triu(1).T
    diagonal = kernel.diagonal().clone()
    strength = damping * diagonal.mean().clamp_min(1e-30)
    factor, failed = torch.linalg.cholesky_ex(kernel + strength * torch.eye(len(kernel)))
    while failed:  # by rounding in single precision
        strength *= 10
        factor, failed = torch.linalg.cholesky_ex(kernel + strength * torch.eye(len(kernel)))
    left = (error - rows @ last).double()
    found = torch.cholesky_solve(left[:, None], factor)[:, 0]
    return last + rows.T @ found.to(rows)
