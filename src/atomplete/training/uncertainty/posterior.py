"""Posterior of the coefficients of a fit in closed form: a committee drawn from it, calibrated.

With squared errors over the variance of their noise, and a normal prior for the penalty λ D, the
coefficients are distributed normally about the fitted ones with the covariance σ² (N + λ D)⁻¹, N
the normal matrix. σ is found, for each kind of label, on validation data.

References
----------
Bigi, Chong, Ceriotti, Grasselli, Mach. Learn.: Sci. Technol. 5, 045018 (2024), arXiv:2403.02251.
Kellner, Ceriotti, Mach. Learn.: Sci. Technol. 5, 035006 (2024), arXiv:2402.16621.
"""

from collections.abc import Iterable, Iterator
from math import isfinite
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from atomplete.training.closed_form.inputs import Inputs
from atomplete.training.closed_form.normal_equations import NormalEquations
from atomplete.training.closed_form.solutions import solutions


def set_members(
    potential: Any,
    members: Float[Tensor, "member coefficient"],
    references: Float[Tensor, "member species"],
) -> None:
    """Give a fitted potential its committee; coefficients and references are relative to its own.

    References are in eV.
    """
    committee = potential.committee
    committee.coefficients.copy_(members.view_as(committee.coefficients))
    committee.references.copy_(references)


def calibrate(
    potential: Any,
    found: Iterable[tuple[str, Float[Tensor, "label member"], Float[Tensor, " label"]]],
) -> None:
    """Make deviations as large as errors on validation data, in the root mean square.

    Parameters
    ----------
    potential
        One with members.
    found
        Kind ("energy", "forces" or "stress"), predictions, and targets, NaN without a label, of
        parts of the data, all of a kind in the same unit. Predictions are those of the potential
        first, and then those of the members relative to it.
    """
    squares = {kind: torch.zeros(2, dtype=torch.float64) for kind in ("energy", "forces", "stress")}
    for kind, predicted, targets in found:
        has = targets.isfinite()
        errors, changes = predicted[has, 0] - targets[has], predicted[has, 1:]
        squares[kind][0] += errors.square().sum()
        squares[kind][1] += changes.square().mean(1).sum()
    factors = [float((error / change).sqrt()) for error, change in squares.values()]
    # of what has no labels to compare with, another factor is the best there is
    known = [factor for factor in factors if isfinite(factor)]
    other = known[0] if known else 1.0
    for number, factor in enumerate(factors):
        potential.committee.calibration[number] = factor if isfinite(factor) else other


@torch.no_grad()
def set_environments(potential: Any, parts: Iterable[Inputs], train: Int[Tensor, " train"]) -> None:
    """Draw coefficients as if energies of training atoms had been the labels, one penalty for each.

    Sums of energies alone, as structures have them, leave open which atom carries them: they would
    say that all atoms are uncertain.

    Parameters
    ----------
    potential
        One with a committee.
    parts
        Inputs of all atoms, which are passed over twice.
    train
        Structures that it was fitted to.
    """
    committee = potential.committee
    n_blocks, width = committee.coefficients.shape[1:]
    sums = [NormalEquations.empty(width) for _ in range(n_blocks)]
    for number, inputs in _of_blocks(potential, parts, train):
        sums[number].add(inputs, inputs.new_zeros(len(inputs)))
    committee.environments.zero_()
    committee.largest.zero_()
    for number, of_block in enumerate(sums):
        if of_block.count:
            solution = solutions(of_block, "diagonal", len(committee.environments))
            found = solution(1 / int(of_block.count))
            assert found is not None  # so large a penalty is always allowed
            committee.environments[:, number] = found[1:]
    for number, inputs in _of_blocks(potential, parts, train):
        deviation = (inputs @ committee.environments[:, number].T).square().mean(1).sqrt()
        committee.largest[number] = torch.maximum(committee.largest[number], deviation.max())


def _of_blocks(
    potential: Any, parts: Iterable[Inputs], train: Int[Tensor, " train"]
) -> Iterator[tuple[int, Float[Tensor, "center feature"]]]:
    """Scaled inputs of training atoms by blocks of coefficients, part by part."""
    for part in parts:
        fitted = torch.isin(part.structure, train)
        for number in part.block[fitted].unique().tolist():
            chosen = part.values[fitted & (part.block == number)]
            yield number, chosen * potential.feature_scale
