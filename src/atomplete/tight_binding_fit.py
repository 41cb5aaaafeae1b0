"""Fitting the coefficients of a tight-binding model to energies and forces."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import ase
import torch
from jaxtyping import Float, Int
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from atomplete.errors import InputError
from atomplete.force_matching import labelled_forces
from atomplete.models.pair_surroundings import pair_features
from atomplete.models.tight_binding import BETWEEN, ON_SITE, TightBinding, batches
from atomplete.progress import progress_of
from atomplete.train import TrainingRun, identity_of

#: Å that structures are moved along a direction and against it to compare slopes with forces.
STEP = 3e-3
#: Groups whose structures are linearised at once.
CHUNK_GROUPS = 60
#: Above this, a step of steepest descent does not go downhill either.
LARGEST_DAMPING = 1e8


class TightBindingFitSpec(BaseModel):
    """Options of the fit.

    Examples
    --------
    >>> TightBindingFitSpec(iterations=5).force_weight
    3.0
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    iterations: int = Field(default=16, ge=1)
    difference_weight: float = Field(
        default=0.5,
        ge=0,
        description="of the squared pair difference against the squared pair mean, each over its "
        "own variance",
    )
    force_weight: float = Field(
        default=3.0,
        ge=0,
        description="of the squared force along one random direction in each structure, over its "
        "variance; 0 needs no forces",
    )
    ridge: float = Field(
        default=1e-7,
        ge=0,
        description="of the squared contributions of surroundings to the Hamiltonian, eV²",
    )
    threads: int = Field(default=2, ge=1)


@dataclass(frozen=True)
class _Labels:
    """Labels of groups of structures, and what their errors are measured in."""

    positions: Float[Tensor, "group member atom xyz"]
    energies: Float[Tensor, "group member"]
    directions: Float[Tensor, "group member atom xyz"]
    slopes: Float[Tensor, "group member"]


def fit_tight_binding(
    model: TightBinding,
    structures: Sequence[ase.Atoms],
    energies: Float[Tensor, " structure"],
    train_groups: Int[Tensor, "train member"],
    validation_groups: Int[Tensor, "validation member"],
    spec: TightBindingFitSpec,
    folder: Path,
    *,
    seed: int,
    progress: bool = True,
) -> None:
    """Least squares by Levenberg and Marquardt; the model ends where validation is best.

    The density matrix gives the derivatives of the energy in all coefficients, so that each
    iteration diagonalises every Hamiltonian once, and twice with forces: then each structure is
    moved a little along a random direction and against it. Normal equations are summed up in
    parts; an interrupted fit is resumed.

    Parameters
    ----------
    model
        The model to fit, from where it is.
    structures
        Molecules, as many atoms in all that are fitted to; with forces if these have a weight.
    energies
        (structure,), eV.
    train_groups, validation_groups
        Structures of each group: pairs, or singles.
    spec
        Options.
    folder
        Where ``training.pt`` and ``log.jsonl`` are kept.
    seed
        Of the directions.
    progress
        Whether to show how far it is.

    Raises
    ------
    InputError
        For structures that the model cannot describe, of different sizes, or without labels.

    References
    ----------
    Marquardt, SIAM J. Appl. Math. 11, 431 (1963).

    Examples
    --------
    >>> import tempfile
    >>> from atomplete.models import PairBasisSpec, TightBindingSpec
    >>> dimers = [ase.Atoms("B2", [(0, 0, 0), (0, 0, 1.5 + 0.02 * n)]) for n in range(20)]
    >>> energies = torch.tensor([(a.get_distance(0, 1) - 1.6) ** 2 for a in dimers])
    >>> basis = PairBasisSpec(max_radial=4, max_radial_surroundings=1, widths=(1.5,))
    >>> model, one = TightBinding(TightBindingSpec(basis=basis)), torch.arange(20)[:, None]
    >>> spec = TightBindingFitSpec(iterations=40, force_weight=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fit_tight_binding(
    ...         model, dimers, energies, one[::2], one[1::2], spec, Path(folder), seed=0,
    ...         progress=False,
    ...     )
    >>> bool((model.predict(dimers) - energies).abs().max() < 1e-2)
    True
    """
    train = _labels(model, structures, energies, train_groups, spec, seed)
    validation = _labels(
        model, structures, energies, validation_groups,
        spec.model_copy(update={"force_weight": 0.0}), seed,
    )  # fmt: skip
    problem = _LeastSquares(model, train, spec)
    depends_on = (model.spec, train.positions, train.energies, train.slopes, validation.energies)
    run = TrainingRun.open(folder, identity_of(spec, seed, depends_on))
    if run.epoch == 0:
        _shift(model, train)
    run.restore(learner=model)
    damping = run.rate or 1e-2
    loss, normal, slope = problem.linearised()
    with progress_of(f"{folder.name} iterations", spec.iterations - run.epoch, progress) as step:
        for _ in range(run.epoch, spec.iterations):
            start = model.coefficients
            while damping < LARGEST_DAMPING:
                scale = normal.diagonal().clamp_min(1e-30)
                change = torch.linalg.solve(normal + damping * torch.diag(scale), slope)
                model.coefficients = start - change
                trial = problem.linearised()
                if trial[0] < loss:
                    break
                model.coefficients, damping = start, 8 * damping
            else:
                break  # at a minimum, to the last digit
            (loss, normal, slope), damping = trial, max(damping / 5, 1e-10)
            run.record((loss, problem.loss_of(validation)), damping, model)
            run.save(learner=model)
            step()
    model.load_state_dict(run.best)


class _LeastSquares:
    """The weighted squared errors of a model, and their normal equations."""

    def __init__(self, model: TightBinding, labels: _Labels, spec: TightBindingFitSpec) -> None:
        self.model, self.labels, self.spec = model, labels, spec
        parts = _means_and_differences(labels.energies)
        self.spreads = [max(part.std().item(), 1e-12) for part in parts]
        self.slope_spread = labels.slopes.square().mean().sqrt().clamp_min(1e-12)
        self.penalty = spec.ridge * _surroundings(model, labels.positions)

    def linearised(self) -> tuple[float, Tensor, Tensor]:
        """Loss, and the matrix and the right-hand side of the normal equations."""
        parts = torch.arange(len(self.labels.energies)).split(CHUNK_GROUPS)
        with ThreadPoolExecutor(self.spec.threads) as pool:
            # summed up one by one, for they are large, and in order, so that they round the same
            found = pool.map(self._of_groups, parts)
            loss, normal, slope = next(found)
            for more in found:
                for total, part in zip((loss, normal, slope), more, strict=True):
                    total += part
        coefficients = self.model.coefficients
        loss = loss + (self.penalty * coefficients.square()).sum()
        return loss.item(), normal + self.penalty.diag(), slope + self.penalty * coefficients

    def _of_groups(self, groups: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        labels, spec = self.labels, self.spec
        x, v = labels.positions[groups], labels.directions[groups]
        moved = STEP * v if spec.force_weight else torch.zeros_like(v)
        energy, derivative = self._evaluate(x + moved)
        errors: list[tuple[Tensor, Tensor]] = []
        if spec.force_weight:
            back, back_derivative = self._evaluate(x - moved)
            weight = (spec.force_weight / labels.slopes.numel()) ** 0.5 / self.slope_spread
            slope_error = (energy - back) / (2 * STEP) - labels.slopes[groups]
            slope_derivative = (derivative - back_derivative) / (2 * STEP)
            errors.append((weight * slope_error.flatten(), weight * slope_derivative.flatten(0, 1)))
            energy, derivative = (energy + back) / 2, (derivative + back_derivative) / 2
        error = energy - labels.energies[groups]
        for part, d, weight in zip(
            _means_and_differences(error), _means_and_differences(derivative), self._weights(),
            strict=False,
        ):  # fmt: skip
            errors.append((weight * part, weight * d))
        e, d = (torch.cat(list(part)) for part in zip(*errors, strict=True))
        return e.square().sum(), d.T @ d, d.T @ e

    def _evaluate(self, x: Tensor) -> tuple[Tensor, Tensor]:
        energy, derivative = self.model.linearised(x.flatten(0, 1))
        return energy.view(x.shape[:2]), derivative.view(*x.shape[:2], -1)

    def _weights(self) -> list[float]:
        n, weights = len(self.labels.energies), (1.0, self.spec.difference_weight)
        return [(w / n) ** 0.5 / s for w, s in zip(weights, self.spreads, strict=False)]

    def loss_of(self, labels: _Labels) -> float:
        """Loss of energies alone, of groups that are not fitted to."""
        x = labels.positions
        predicted = [self.model.energy(part.flatten(0, 1)) for part in x.split(CHUNK_GROUPS)]
        error = torch.cat(predicted).view(x.shape[:2]) - labels.energies
        parts = _means_and_differences(error)
        terms = zip(parts, self._weights(), strict=False)
        n = len(self.labels.energies)
        return sum((w**2 * n * part.square().mean()).item() for part, w in terms)


def _labels(
    model: TightBinding,
    structures: Sequence[ase.Atoms],
    energies: Tensor,
    groups: Tensor,
    spec: TightBindingFitSpec,
    seed: int,
) -> _Labels:
    members = groups.flatten().tolist()
    found = batches([structures[index] for index in members], model.spec)
    if len(found) > 1:
        sizes = sorted({positions.shape[1] for _, positions in found})
        raise InputError(
            f"structures of {sizes[0]} and of {sizes[1]} atoms cannot be fitted at once"
        )
    positions = found[0][1].view(*groups.shape, -1, 3)
    for index in members:
        if not energies[index].isfinite():
            raise InputError(f"structure {index}: the energy is {energies[index]}")
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(positions.shape, generator=generator, dtype=torch.float64)
    directions = directions / directions.flatten(2).norm(dim=-1)[..., None, None]
    slopes = torch.zeros(groups.shape, dtype=torch.float64)
    if spec.force_weight:
        forces = torch.stack([labelled_forces(structures, index) for index in members])
        slopes = -(forces.view_as(positions) * directions).sum((2, 3))
    return _Labels(positions, energies[groups], directions, slopes)


def _means_and_differences(of_members: Float[Tensor, "group member *rest"]) -> list[Tensor]:
    """Of pairs; of singles the values themselves."""
    if of_members.shape[1] == 1:
        return [of_members[:, 0]]
    return [of_members.mean(1), of_members[:, 0] - of_members[:, 1]]


def _surroundings(model: TightBinding, positions: Tensor) -> Float[Tensor, " coefficient"]:
    """Mean square of the features that surroundings enter, for each coefficient; else zero."""
    some = positions.flatten(0, 1)[:1000]
    features, alone = pair_features(some, model.spec.basis), model.spec.basis.max_radial
    scales = []
    for part, kinds in ((features.between, BETWEEN), (features.seen_from, ON_SITE)):
        scale = part.square().mean((0, 1, 2))
        scale[:alone] = 0.0
        scales.append(scale.repeat(kinds))
    return torch.cat([*scales, scales[0][: model.n_between], torch.zeros(3, dtype=torch.float64)])


@torch.no_grad()
def _shift(model: TightBinding, labels: _Labels) -> None:
    """Start with the right mean energy."""
    x = labels.positions.flatten(0, 1)
    error = labels.energies.flatten()[:1000] - model.energy(x[:1000])
    model.coefficients = model.coefficients.clone()
    model.coefficients[-1] += error.mean() / x.shape[1]
