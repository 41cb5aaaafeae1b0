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

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.sparse.linalg import eigsh
from torch import Tensor

from atomplete.training.closed_form.inputs import Inputs
from atomplete.training.closed_form.solutions import UNSEEN, Penalty

#: The least strength, and how often it is made ten times larger where numbers do not allow it.
EPSILON, PATIENCE = 1e-15, 10

#: Seed of the members.
SEED = 0


def draw(
    normal: Float[Tensor, "coefficient coefficient"],
    penalty: Penalty,
    strength: float,
    n: int,
) -> Float[Tensor, "member coefficient"]:
    """Samples of a normal distribution about zero with the covariance (N + λ D)⁻¹.

    A feature that training data do not have is as uncertain as the penalty leaves one of average
    size, though the penalty keeps its coefficient at zero.

    Parameters
    ----------
    normal
        The normal matrix N.
    penalty, strength
        D and λ, as in ``RidgeSpec``.
    n
        Number of samples.

    Examples
    --------
    >>> draw(torch.diag(torch.tensor([4.0, 1.0])).double(), "diagonal", 1e-3, 10**5).std(0)
    tensor([0.4..., 1.0...], dtype=torch.float64)
    """
    size = normal.diagonal().clone()
    if penalty == "eigenvalue":
        size[:] = _largest_eigenvalue(normal)
    seen = size > UNSEEN * size.max()
    if not seen.any():  # no feature at all
        return normal.new_zeros(n, len(normal))
    scale = torch.where(seen, size, size[seen].mean()).rsqrt()
    scaled = normal * scale[:, None] * scale
    diagonal = scaled.diagonal().clone()
    for more in range(PATIENCE):  # rounding may let a strength pass once, and not again
        scaled.diagonal().copy_(diagonal + max(strength, EPSILON) * 10**more)
        factor, failed = torch.linalg.cholesky_ex(scaled)
        if not failed:
            break
    generator = torch.Generator().manual_seed(SEED)
    z = torch.randn(n, len(normal), generator=generator, dtype=normal.dtype)
    return scale * torch.linalg.solve_triangular(factor.T, z.T, upper=True).T


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
    normal = torch.zeros(n_blocks, width, width, dtype=torch.float64)
    count = torch.zeros(n_blocks, dtype=torch.long)
    for number, inputs in _of_blocks(potential, parts, train):
        normal[number].addmm_(inputs.T, inputs)
        count[number] += len(inputs)
    committee.environments.zero_()
    committee.largest.zero_()
    for number in count.nonzero()[:, 0].tolist():
        found = draw(
            normal[number], "diagonal", 1 / int(count[number]), len(committee.environments)
        )
        committee.environments[:, number] = found
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


def _largest_eigenvalue(matrix: Float[Tensor, "n n"]) -> float:
    if len(matrix) < 2:
        return float(matrix.sum())
    found = eigsh(matrix.numpy(), k=1, v0=np.ones(len(matrix)), return_eigenvectors=False)
    return float(found[0])
