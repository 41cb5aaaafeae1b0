"""Fitting the coefficients of a tight-binding model to energies and forces."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import ase
import torch
from jaxtyping import Float, Int
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from atomplete.potentials.tight_binding.pair_features import pair_features
from atomplete.potentials.tight_binding.self_consistent_charges import NoGroundStateError
from atomplete.potentials.tight_binding.tight_binding import CHUNK, TightBinding
from atomplete.runs.progress import progress_of
from atomplete.training.tight_binding_labels import Labels, labels_of
from atomplete.training.tight_binding_least_squares import SAMPLE, LeastSquares
from atomplete.training.train import TrainingRun, identity_of

#: Above the largest, a step of steepest descent does not go downhill either.
FIRST_DAMPING, LARGEST_DAMPING = 1e-3, 1e8


class TightBindingFitSpec(BaseModel):
    """Options of the fit.

    Examples
    --------
    >>> TightBindingFitSpec(iterations=5).force_weight
    3.0
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    start_iterations: int = Field(default=5, ge=0, description="on the first groups alone")
    start_groups: int = Field(default=600, ge=1, description="how many these are")
    iterations: int = Field(default=6, ge=1, description="on all, after these")
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
        default=3e-8,
        ge=0,
        description="of the squared contributions of surroundings to the Hamiltonian, eV²",
    )
    threads: int = Field(default=2, ge=1)


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
    """Least squares by Levenberg's method; the model ends where validation is best.

    The densities of electrons give the derivatives of the energy in all coefficients, so that
    each iteration needs the electrons of every structure once, and twice with forces: then it is
    moved a little along a random direction and against it. Damped steps are short in what they
    change in the Hamiltonian, not in the coefficients, for many of these nearly cancel out. Normal
    equations are summed up in parts; an interrupted fit is resumed. The first iterations are on
    the first groups alone.

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
    Levenberg, Quart. Appl. Math. 2, 164 (1944).

    Examples
    --------
    >>> import tempfile
    >>> from atomplete.potentials import PairBasisSpec, TightBindingSpec
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
    with_forces = spec.force_weight > 0
    train = labels_of(structures, energies, train_groups, model.spec, forces=with_forces, seed=seed)
    validation = labels_of(
        structures, energies, validation_groups, model.spec, forces=False, seed=seed
    )
    stages = (
        (train[: spec.start_groups], spec.start_iterations),
        (train, spec.iterations),
    )
    depends_on = (model.spec, train.positions, train.energies, train.slopes, validation.energies)
    run = TrainingRun.open(folder, identity_of(spec, seed, depends_on))
    if run.epoch == 0:
        _fit_pair_energy(model, train)
    run.restore(learner=model)
    end, total = 0, spec.start_iterations + spec.iterations
    with progress_of(f"{folder.name} iterations", total - run.epoch, progress) as step:
        for labels, iterations in stages:
            end += iterations
            if run.epoch < end:
                problem = LeastSquares(
                    model, labels, difference_weight=spec.difference_weight,
                    force_weight=spec.force_weight, ridge=spec.ridge, threads=spec.threads,
                )  # fmt: skip
                _minimise(problem, end, run, validation, step)
    if run.best:  # else the start is a minimum
        model.load_state_dict(run.best)


def _minimise(
    problem: LeastSquares,
    end: int,
    run: TrainingRun,
    validation: Labels,
    step: Callable[[], None],
) -> None:
    """Go on until so many iterations are done in all, or until none leads further."""
    model, damping = problem.model, run.rate or FIRST_DAMPING
    loss, normal, slope = problem.linearised()
    while run.epoch < end:
        start, first_damping = model.coefficients, damping
        while True:
            model.coefficients = start - torch.linalg.solve(
                normal + damping * problem.metric, slope
            )
            with suppress(NoGroundStateError):  # far from any molecule
                trial = problem.linearised()
                if trial[0] < loss:
                    break
            model.coefficients, damping = start, 8 * damping
            if damping > LARGEST_DAMPING:
                return
        loss, normal, slope = trial
        if damping == first_damping:
            damping /= 5
        run.record((loss, problem.loss_of(validation)), damping, model)
        run.save(learner=model)
        step()


@torch.no_grad()
def _fit_pair_energy(model: TightBinding, labels: Labels) -> None:
    """Start with the best pair energy of distances alone."""
    x = labels.positions.flatten(0, 1)[:SAMPLE]
    electrons = torch.cat([model.energy(part) for part in x.split(CHUNK)])
    alone = model.spec.basis.max_radial
    pairs = pair_features(x, model.spec.basis).between.sum((1, 2))[:, :alone] / 2
    design = torch.cat([pairs, torch.full_like(electrons, x.shape[1])[:, None]], 1)
    design_scale = design.square().mean(0).sqrt().clamp_min(1e-12)
    design = design / design_scale
    # a small ridge, where functions cannot be told apart on so few structures
    normal = design.T @ design + 1e-10 * len(x) * torch.eye(alone + 1, dtype=x.dtype)
    wanted = labels.energies.flatten()[:SAMPLE] - electrons
    found = torch.linalg.solve(normal, design.T @ wanted) / design_scale
    parts = [part.clone() for part in model.coefficients.split(model.sizes)]
    parts[-2][:alone] += found[:-1]
    parts[-1] += found[-1]
    model.coefficients = torch.cat(parts)
