"""Three ways to train xi~ without energies: high-order features, distances, Jacobians.

The paper trains it to contain ν = 7 features, and proposes two more: that its Euclidean distances
match a complete invariant metric between environments, and that its Jacobian has full rank.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from atomplete.data.dataset import Split
from atomplete.degenerate.congruence.matching import matching_distance
from atomplete.latents import AutoEncoder
from atomplete.paper.experiment import identity, open_runs
from atomplete.paper.inputs import Inputs
from atomplete.paper.options import ReproduceOptions
from atomplete.paper.seed_run import SeedRun
from atomplete.paper.studies.slopes import Slopes, anisotropy, rank
from atomplete.runs.files import write_json
from atomplete.runs.folder import in_run_folder
from atomplete.runs.progress import progress_of
from atomplete.runs.store import Store
from atomplete.system import System
from atomplete.training.adam import minimise

#: Structures whose Jacobians are trained on, and measured: derivatives of rows take much memory.
N_JACOBIANS = 150, 30

OBJECTIVES = ("features", "distances", "jacobian")


class LatentObjective(BaseModel):
    """Errors that one objective leaves on test pairs.

    ``separation`` is the median distance within a pair over that between random structures,
    ``jacobian_rank`` the mean number of significant singular values of dxi~/dx, out of
    ``full_rank`` = 3n − 6; ``least_singular_value``, the median of the smallest over the
    largest; the errors are those of an energy head on the frozen latent.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    objective: str
    separation: float
    jacobian_rank: float
    full_rank: int
    least_singular_value: float
    mean_error: float
    difference_error: float
    validation_mean_error: float
    validation_difference_error: float


@in_run_folder("reproduce")
def objectives(
    options: ReproduceOptions, folder: Path, *, progress: bool = True
) -> list[LatentObjective]:
    """Train one encoder for each objective and compare them; writes ``objectives.json``.

    Parameters
    ----------
    options
        As of ``reproduce``; rows and all seeds but the first play no part.
    folder
        What an earlier run finished there is not done again; the encoder of the features is
        that of the row A_NL_rho.
    progress
        Whether to show how far it is.

    Examples
    --------
    >>> objectives(ReproduceOptions(labels="absent.xyz"), Path("runs"))
    Traceback (most recent call last):
    atomplete.errors.InputError: labels absent.xyz: neither one of ...
    """
    single = options.model_copy(update={"seeds": options.seeds[:1]})
    (run,) = open_runs(single, ("three_center", "nice"), folder, progress)
    found = [
        Store(folder / "objectives" / name).get(
            "result",
            identity(run, objective=name),
            LatentObjective,
            partial(_measured, run, name, folder / "objectives" / name),
        )
        for name in OBJECTIVES
    ]
    write_json(folder / "objectives.json", [entry.model_dump() for entry in found])
    return found


def _measured(run: SeedRun, name: str, folder: Path) -> LatentObjective:
    folder.mkdir(parents=True, exist_ok=True)
    if name == "features":
        model = run.autoencoder("A_NL_rho")
    else:
        model = _unlabelled(run)
        train = {"distances": _match_distances, "jacobian": _equalise_jacobian}[name]
        train(run, model, folder)
    inputs = Inputs.encode(model, run.inputs("three_center"), run.dtype)
    test, validation = run.energy_errors(inputs, run.budget.head, run.budget.train_head, folder)
    latent: Any = inputs.descriptor
    pairs = run.data.split.test
    slopes = _slopes(run, pairs[: N_JACOBIANS[1] // 2])
    everything = torch.arange(slopes.table.n_structures)
    with torch.no_grad():
        jacobian = slopes.jacobian(latent.encoder, latent.feature_scale, everything)
    singular = torch.linalg.svdvals(jacobian)
    values = inputs.sums.features.values[run.data.groups(pairs)]
    return LatentObjective(
        objective=name,
        separation=_separation(values, latent.parity),
        jacobian_rank=float(rank(jacobian).double().mean()),
        full_rank=jacobian.shape[1],
        least_singular_value=float((singular[:, -1] / singular[:, 0]).median()),
        mean_error=test.mean,
        difference_error=test.difference,
        validation_mean_error=validation.mean,
        validation_difference_error=validation.difference,
    )


def _unlabelled(run: SeedRun) -> AutoEncoder:
    """An autoencoder of which only the encoder will be trained: its xi~ has no pseudoscalars."""
    spec = run.budget.autoencoder
    latent = sum(spec.encoder.latent), 0
    spec = spec.model_copy(update={"encoder": spec.encoder.model_copy(update={"latent": latent})})
    inputs, nice = run.inputs("three_center"), run.inputs("nice")
    model = AutoEncoder(spec, inputs.descriptor.parity, run.seed)
    model.normalise(inputs.rows.features, nice.sums.features, run.split.train.flatten())
    return model


def _match_distances(run: SeedRun, model: AutoEncoder, folder: Path) -> None:
    """Least squares of |xi~(A) − xi~(B)| against the metric, relative to it."""
    groups, distances = _distances(run)
    floor = 0.1 * distances.mean()
    table = run.inputs("three_center").rows
    model.model.encoder.to(run.dtype)

    def loss(batch: Int[Tensor, "group 3"]) -> Float[Tensor, ""]:
        structures, position = batch[:, :2].unique(return_inverse=True)
        values = model.latent(table.batch(structures)).values[position]
        apart = (values[:, 0] - values[:, 1]).square().sum(1).add(1e-12).sqrt()
        expected = distances[batch[:, 2]]
        return ((apart - expected).square() / (expected**2 + floor**2)).mean()

    _minimise(run, model, loss, groups, folder, (table.features.values, distances))


def _distances(run: SeedRun) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """Each pair, and each structure of a pair with a random one: (a, b, position), distances."""
    generator = torch.Generator().manual_seed(run.seed)
    parts: list[Tensor] = []
    found: list[float] = []
    structures = run.data.structures
    with progress_of("distances", 2 * sum(map(len, run.split)), run.progress) as step:
        for groups in run.split:
            other = groups.flatten()[torch.randperm(2 * len(groups), generator=generator)]
            both = torch.cat([groups, torch.stack([groups[:, 0], other[: len(groups)]], 1)])
            position = torch.arange(len(both)) + len(found)
            parts.append(torch.cat([both, position[:, None]], 1))
            for a, b in both.tolist():
                found.append(matching_distance(structures[a], structures[b]))
                step()
    return (parts[0], parts[1]), torch.tensor(found, dtype=run.dtype)


def _equalise_jacobian(run: SeedRun, model: AutoEncoder, folder: Path) -> None:
    """Singular values of dxi~/dx as equal as can be, on some training structures."""
    parts = run.data.split.train, run.data.split.validation
    slopes = [_slopes(run, pairs[: n // 2]) for pairs, n in zip(parts, N_JACOBIANS, strict=True)]
    encoder = model.model.encoder.double()
    # one group for each structure, named by its part and its position there
    fitted, checked = (
        torch.stack([torch.full((s.table.n_structures,), k), torch.arange(s.table.n_structures)], 1)
        for k, s in enumerate(slopes)
    )

    def loss(batch: Int[Tensor, "group 2"]) -> Float[Tensor, ""]:
        part = slopes[int(batch[0, 0])]
        return anisotropy(part.jacobian(encoder, model.feature_scale, batch[:, 1])).mean()

    depends_on = tuple(s.values for s in slopes)
    _minimise(run, model, loss, (fitted, checked), folder, depends_on)


def _slopes(run: SeedRun, pairs: np.ndarray) -> Slopes:
    representation: Any = run.inputs("three_center").descriptor
    chosen = [run.data.structures[k] for k in run.data.groups(pairs).flatten()]
    centers = System.centers_of(run.data.structures)
    system = System.from_atoms(chosen, representation.spec.expansion.cutoff, centers=centers)
    with torch.no_grad():
        return Slopes.of(representation, system)


def _minimise(
    run: SeedRun,
    model: AutoEncoder,
    loss: Callable[[Tensor], Tensor],
    groups: tuple[Tensor, Tensor],
    folder: Path,
    depends_on: tuple[Tensor, ...],
) -> None:
    minimise(
        model.model.encoder,
        loss,
        Split(*groups),
        run.budget.train_autoencoder,
        folder / "encoder",
        depends_on=(model.spec, *depends_on),
        seed=run.seed,
        progress=run.progress,
    )


def _separation(values: Float[Tensor, "pair 2 latent"], parity: Tensor) -> float:
    """Median distance within pairs over that of one pair's plus to the next one's."""

    def apart(a: Tensor, b: Tensor) -> Tensor:
        # mirror images are the same environment
        return torch.minimum((a - b).norm(dim=1), (a - b * parity).norm(dim=1))

    typical = apart(values[:, 0], values[:, 0].roll(1, 0)).median()
    return float(apart(values[:, 0], values[:, 1]).median() / typical)
