"""Non-linear least squares by Levenberg's method: steps of damped normal equations."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field

from atomplete.potentials.tight_binding.self_consistent_charges import NoGroundStateError
from atomplete.training.gauss_newton.least_squares import LeastSquares, Slopes, fit_pair_energy
from atomplete.training.run import Step, Task, TrainingRun, follow, identity_of

#: Above the largest, a step of steepest descent does not go downhill either.
FIRST_DAMPING, LARGEST_DAMPING = 1e-3, 1e8


class GaussNewtonSpec(BaseModel):
    """Options of the fit.

    Examples
    --------
    >>> GaussNewtonSpec(iterations=5).ridge
    3e-08
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    type: Literal["gauss_newton"] = "gauss_newton"
    start_iterations: int = Field(
        default=5, ge=0, description="iterations on a part of the training data, at the start"
    )
    start_groups: int = Field(default=600, ge=1, description="groups in that part: the first ones")
    iterations: int = Field(default=6, ge=1, description="iterations on all training data")
    ridge: float = Field(
        default=3e-8,
        ge=0,
        description="weight of the squared contributions of surroundings to the Hamiltonian, 1/eV²",
    )
    threads: int = Field(default=2, ge=1)


def fit_by_gauss_newton(task: Task, spec: GaussNewtonSpec) -> None:
    """Fit a tight-binding model by Levenberg's method; it ends where validation is best.

    The densities of electrons give the derivatives of the energy in all coefficients, so that
    each iteration needs the electrons of every structure once, and twice with forces: then it is
    moved a little along a random direction and against it, and forces count along this direction
    alone. Damped steps are short in what they change in the Hamiltonian, not in the coefficients,
    for many of these nearly cancel out. Normal equations are summed up in parts. The first
    iterations are on the first groups alone.

    Raises
    ------
    InputError
        For structures that the model cannot describe, of different sizes, or without labels.

    References
    ----------
    Levenberg, Quart. Appl. Math. 2, 164 (1944).
    """
    potential, loss, seed = task.potential, task.loss, task.seed
    fitted, checked = (
        Slopes.of(task.dataset, groups, potential, forces=forces, seed=seed)
        for groups, forces in zip(task.split, (loss.forces > 0, False), strict=True)
    )
    stages = (
        (fitted[: spec.start_groups], spec.start_iterations),
        (fitted, spec.iterations),
    )
    identity = identity_of(
        spec, loss, seed, potential.spec, fitted.positions, fitted.energies, fitted.slopes,
        checked.energies,
    )  # fmt: skip
    run = TrainingRun.open(task.folder, identity)
    if run.epoch == 0:
        fit_pair_energy(potential, fitted)
    run.restore(learner=potential)

    def iterations() -> Iterator[Step]:
        end = 0
        for labels, number in stages:
            end += number
            if run.epoch < end:
                problem = LeastSquares(
                    potential, labels, loss, ridge=spec.ridge, threads=spec.threads
                )
                for train_loss, damping in _levenberg(problem, end - run.epoch, run.rate):
                    yield train_loss, problem.loss_of(checked), damping

    total = spec.start_iterations + spec.iterations
    parts = {"learner": potential}
    follow(run, iterations(), total, parts, unit="iterations", progress=task.progress)


def _levenberg(
    problem: LeastSquares, iterations: int, damping: float | None
) -> Iterator[tuple[float, float]]:
    """Loss and damping after each of so many iterations, or until none leads further."""
    model, damping = problem.model, damping or FIRST_DAMPING
    loss, normal, slope = problem.linearised()
    for _ in range(iterations):
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
        yield loss, damping
