"""Least squares with an L2 penalty, in closed form: energies, forces and stresses are rows."""

from collections.abc import Iterator
from itertools import chain
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from atomplete.data.dataset import Dataset
from atomplete.data.references import least_squares
from atomplete.runs.progress import progress_of
from atomplete.training.closed_form.inputs import design_of, inputs_of
from atomplete.training.closed_form.normal_equations import EnergyRows, NormalEquations, combined
from atomplete.training.closed_form.shares import DerivativeSums
from atomplete.training.closed_form.solutions import Penalty, chosen, solutions
from atomplete.training.closed_form.validation import Validation
from atomplete.training.loss import Loss, Scales
from atomplete.training.run import Step, Task, TrainingRun, follow, identity_of
from atomplete.training.uncertainty.posterior import (
    calibrate,
    set_environments,
    set_members,
)

#: Labels whose rows are derivatives of features.
DERIVATIVES = ("forces", "stress")

#: Candidates for the strength of the penalty.
STRENGTHS = tuple(10.0**exponent for exponent in range(-13, -1))


class RidgeSpec(BaseModel):
    """Options of the closed form.

    Examples
    --------
    >>> RidgeSpec(penalty="diagonal").strengths[0]
    1e-13
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    type: Literal["ridge"] = "ridge"
    strengths: tuple[float, ...] = Field(
        default=STRENGTHS, min_length=1, description="of the penalty; validation data choose"
    )
    penalty: Penalty = Field(
        default="eigenvalue",
        description="what strengths are relative to: the largest eigenvalue of the normal "
        "matrix, or its diagonal, which makes features that vary little as cheap as others",
    )
    dtype: Literal["float64", "float32"] = Field(
        default="float64", description="of derivatives; their products are summed in float64"
    )
    memory: int = Field(
        default=10**9,
        ge=10**7,
        description="bound on derivatives held at once, and on what is kept for later, bytes",
    )


def fit_by_ridge(task: Task, spec: RidgeSpec) -> None:
    """Fit a potential that is linear in its coefficients; validation chooses the penalty.

    Reference energies that are not known from elsewhere are fitted along and carry no penalty.
    Derivatives of features are summed up in parts within the memory bound, in this process or, one
    share of the data after the other, in others. An interrupted fit goes on with the part, or the
    share, at hand.

    Raises
    ------
    InputError
        For a potential whose readout is not linear.

    References
    ----------
    Hoerl, Kennard, Technometrics 12, 55 (1970).
    """
    potential, dataset, split, loss = task.potential, task.dataset, task.split, task.loss
    fitted = split.train.flatten().unique()
    with_energy = dataset.energies.isfinite()
    composition = dataset.composition(potential.species, potential.centers)
    known = torch.zeros(len(potential.species), dtype=torch.float64)
    free = torch.ones(len(known), dtype=torch.bool)
    if task.references is not None:
        known, free = task.references.of(potential.species)
    energies = dataset.energies - composition @ known
    parts_of_inputs = inputs_of(task, fitted, spec.memory // 2)
    inputs, size = design_of(task, parts_of_inputs)
    potential.feature_scale.fill_(1 / size if size else 1.0)
    inputs *= potential.feature_scale
    reference_rows = fitted[with_energy[fitted]]

    def explained_by_composition(values: Tensor) -> Tensor:
        return least_squares(composition[reference_rows][:, free], values[reference_rows])

    targets_part = explained_by_composition(energies[:, None])
    residual = energies - (composition[:, free] @ targets_part)[:, 0]
    scales = Scales.of(dataset, residual, fitted)
    potential.scale.fill_(scales.energy)
    residual = residual / scales.energy
    inputs_part = explained_by_composition(inputs)
    inputs = inputs - composition[:, free] @ inputs_part

    n = inputs.shape[1]
    kinds = tuple(kind for kind in DERIVATIVES if getattr(loss, kind))
    known_to, known_sums = task.known or (fitted[:0], {})
    left = fitted[~torch.isin(fitted, known_to)]
    sums = DerivativeSums(potential, dataset, left, kinds, spec.dtype, spec.memory, known_sums)
    identity = identity_of(
        spec, loss, potential.spec, dataset.hash, *split, inputs, residual, str(task.references),
        left, task.keep is not None,
    )  # fmt: skip
    run = TrainingRun.open(task.folder, identity)
    parts = {"learner": potential, "sums": sums}
    run.restore(**parts)

    def terms(groups: Tensor) -> list[tuple[float, EnergyRows]]:
        return _energy_terms(inputs, residual, dataset, groups, loss, scales, split.train)

    def solution() -> Iterator[Step]:
        total_of = _sum_up(task, sums, run, parts)
        if task.keep is not None:
            task.keep({kind: of_kind.state_dict() for kind, of_kind in total_of.items()})
        weight_of = {
            kind: getattr(loss, kind) * (scales.energy / getattr(scales, kind)) ** 2
            for kind in kinds
        }
        weighted = [(weight_of[kind], total_of[kind]) for kind in kinds]
        units = potential.feature_scale.item(), 1 / scales.energy
        total = combined(terms(split.train), weighted, n, units)
        of_energies = terms(split.validation)
        validation = Validation(task, kinds, spec.dtype, spec.memory)

        def loss_of(weights: Tensor) -> float:
            loss = sum(weight * term.mean_square(weights) for weight, term in of_energies)
            errors = validation.mean_squares(weights)
            return loss + sum(weight_of[kind] * error for kind, error in errors.items())

        n_members = len(potential.committee.coefficients)
        strength, solved, least = chosen(
            solutions(total, spec.penalty, n_members),
            spec.strengths,
            loss_of,
            all_of_them=spec.penalty == "eigenvalue",
        )
        weights, members = solved[0], solved[1:]
        fitted_references = known.clone()
        fitted_references[free] += targets_part[:, 0] - scales.energy * (inputs_part @ weights)
        potential.set_linear(weights, fitted_references)
        references = members.new_zeros(len(members), len(known))
        references[:, free] = -scales.energy * (members @ inputs_part.T)
        set_members(potential, members, references)
        set_environments(potential, parts_of_inputs, fitted)
        held_out = split.validation.flatten().unique()
        per_atom = inputs[held_out] / dataset.n_atoms[held_out, None]
        targets = residual[held_out] / dataset.n_atoms[held_out]
        found = [("energy", per_atom @ solved.T, targets)]
        calibrate(potential, chain(found, validation.changes(solved)))
        yield total.mean_square(weights), least, strength

    steps = solution() if run.epoch == 0 else iter(())
    # what a finished fit needs no more is as large as the square of the number of coefficients
    follow(run, steps, 1, {"learner": potential}, unit="solution", progress=False)


def _energy_terms(
    inputs: Float[Tensor, "structure coefficient"],
    residual: Float[Tensor, " structure"],
    dataset: Dataset,
    groups: Int[Tensor, "group member"],
    loss: Loss,
    scales: Scales,
    train: Int[Tensor, "train member"],
) -> list[tuple[float, EnergyRows]]:
    """Energies of structures, or means and differences of pairs, and energies per atom."""
    terms: list[tuple[float, EnergyRows]] = []
    if groups.shape[1] == 2 and loss.pair_difference is not None:
        spread = max(_differences(residual, train).std().item(), 1e-12)
        ratio = loss.pair_difference**0.5 / spread
        rows, targets = (
            torch.cat([v[groups].mean(1), ratio * _differences(v, groups)])
            for v in (inputs, residual)
        )
        return [(loss.energy, EnergyRows(rows, targets, len(groups)))]
    members = groups.flatten()
    members = members[residual[members].isfinite()]
    if loss.energy:
        terms.append((loss.energy, EnergyRows(inputs[members], residual[members], len(members))))
    if loss.energy_per_atom:
        n = dataset.n_atoms[members].double()
        weight = loss.energy_per_atom * (scales.energy / scales.energy_per_atom) ** 2
        per_atom = EnergyRows(inputs[members] / n[:, None], residual[members] / n, len(members))
        terms.append((weight, per_atom))
    return terms


def _differences(values: Tensor, pairs: Int[Tensor, "pair 2"]) -> Tensor:
    return values[pairs[:, 0]] - values[pairs[:, 1]]


def _sum_up(
    task: Task, sums: DerivativeSums, run: TrainingRun, parts: dict[str, Any]
) -> dict[str, NormalEquations]:
    """Sums of the rows of training data, from where they are."""
    steps = sums.here() if task.remote is None else sums.elsewhere(task.remote)
    with progress_of("derivatives", sums.left, task.progress) as step:
        for number in steps:
            if run.due():
                run.save(**parts)
            for _ in range(number):
                step()
    return sums.total
