"""Training of networks: on features that were computed before, or on structures batch by batch."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from pydantic import BaseModel
from torch import Tensor

from atomplete.data.references import least_squares
from atomplete.descriptors import Features
from atomplete.errors import InputError
from atomplete.training.adam import AdamSpec, minimise
from atomplete.training.feature_table import RowTable
from atomplete.training.loss import BatchLoss, Objective, Scales
from atomplete.training.run import Task

#: Training structures that scales and principal components of features are found from.
STRUCTURES = 500


def training_device() -> torch.device:
    """The GPU, if torch sees one.

    Examples
    --------
    >>> training_device().type in ("cpu", "cuda")
    True
    """
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def fit_by_adam(task: Task, spec: AdamSpec) -> None:
    """Train the parameters of any potential.

    Without forces and stresses in the loss, and with ``features`` of the task, the network alone is
    trained on these. Else the potential is evaluated for every batch, so that memory does not grow
    with the number of structures, and its derivatives are differentiated once more.

    Raises
    ------
    InputError
        For an energy that is not finite, and if the loss becomes so.

    References
    ----------
    Kingma, Ba, ICLR 2015, arXiv:1412.6980.
    """
    potential = task.potential
    if task.features is None:
        train_on_systems(task, spec)
        return
    residual = set_references(task)
    potential.normalise(task.features.features, task.split.train.flatten())
    train_on_features(
        potential.readout,
        potential.relative_energies,
        task.features,
        residual / potential.scale,
        task,
        spec,
        depends_on=(potential.spec,),
    )


def train_on_features(
    network: torch.nn.Module,
    predict: Callable[[Features, int], Float[Tensor, "structure *target"]],
    table: RowTable,
    targets: Float[Tensor, "structure *target"],
    task: Task,
    spec: AdamSpec,
    *,
    depends_on: tuple[BaseModel, ...],
) -> None:
    """Train a network on features that were computed before; it ends at its best.

    Batches are computed on a GPU if there is one, where sums are not the same to the last digit
    from run to run.

    Parameters
    ----------
    network
        What is trained.
    predict
        Its predictions, (structure,) or (structure, target), from features and their number of
        structures.
    table
        Features of all structures, in the dtype to train in.
    targets
        What it predicts, in the same units.
    task
        Split, loss, folder and seed; of the loss the pair difference counts.
    spec
        Options.
    depends_on
        Specs of the network and of what else there is.

    Raises
    ------
    InputError
        For a target that is not finite, and if the loss becomes so.
    """
    for groups in task.split:
        _check_finite(targets, groups)
    device, dtype = training_device(), table.features.values.dtype
    difference = task.loss.pair_difference
    objective = Objective.of(targets, task.split.train, difference, dtype).to(device)

    def loss(groups: Tensor) -> Tensor:
        structures, position = groups.unique(return_inverse=True)
        predicted = predict(table.batch(structures).to(device), len(structures))
        return objective.loss(predicted[position.to(device)], groups.to(device))

    minimise(
        network.to(device, dtype),
        loss,
        task.split,
        spec,
        task.folder,
        depends_on=(task.loss, *depends_on, table.features.values, targets),
        seed=task.seed,
        progress=task.progress,
    )


def train_on_systems(task: Task, spec: AdamSpec) -> None:
    """Train all parameters of a potential, evaluated for every batch; it ends at its best."""
    potential, dataset = task.potential, task.dataset
    system = dataset.system(potential.cutoff, potential.centers)
    fitted = task.split.train.flatten().unique()
    residual = set_references(task)
    draw = torch.randperm(len(fitted), generator=torch.Generator().manual_seed(task.seed))
    some = fitted[draw[:STRUCTURES]].sort().values
    potential.prepare(system.select_structures(some), task.seed)
    dtype = getattr(torch, spec.dtype)
    for parameter in potential.parameters():
        parameter.data = parameter.data.to(dtype)
    scales = Scales.of(dataset, residual, fitted)
    of_batch = BatchLoss(dataset, task.loss, scales, task.split.train)

    def loss(groups: Tensor) -> Tensor:
        structures, position = groups.unique(return_inverse=True)
        batch = system.select_structures(structures).to(dtype)
        graph = torch.is_grad_enabled()
        found = potential(batch, task.loss.properties, differentiable=graph)
        return of_batch(found, structures, position)

    minimise(
        potential,
        loss,
        task.split,
        spec,
        task.folder,
        depends_on=(task.loss, potential.spec, dataset.hash, str(task.references)),
        seed=task.seed,
        progress=task.progress,
    )
    potential.finish()


def set_references(task: Task) -> Float[Tensor, " structure"]:
    """Give a potential its reference energies and scale; return what is left of the energies, eV.

    References that are not known solve the least squares of the training energies against the
    composition; the scale is the standard deviation of what is left of them.
    """
    potential, dataset = task.potential, task.dataset
    composition = dataset.composition(potential.species, potential.centers)
    train = task.split.train.flatten()
    train = train[dataset.energies[train].isfinite()]
    if task.references is None:
        found = least_squares(composition[train], dataset.energies[train][:, None])[:, 0]
    else:
        known = dict(zip(task.references.species, task.references.energies, strict=True))
        found = torch.tensor([known.get(z, 0.0) for z in potential.species], dtype=torch.float64)
    residual = dataset.energies - composition @ found
    scale = residual[train].std().nan_to_num(1.0).clamp_min(1e-12)
    potential.set_references(found, scale)
    return residual


def _check_finite(targets: Tensor, groups: Int[Tensor, "group member"]) -> None:
    finite = targets.reshape(len(targets), -1).isfinite().all(1)
    bad = groups[~finite[groups]]
    if len(bad):
        what = f"energy of structure {bad[0]} is {targets[bad[0]]}"
        if targets.ndim > 1:
            what = f"features of structure {bad[0]} are not finite"
        raise InputError(f"the {what}")
