"""Posterior of the coefficients of a fit in closed form: a committee drawn from it, calibrated.

With squared errors over the variance of their noise, and a normal prior for the penalty λ D, the
coefficients are distributed normally about the fitted ones with the covariance σ² (N + λ D)⁻¹, N
the normal matrix. σ is found, for each kind of label, on validation data.

References
----------
Bigi, Chong, Ceriotti, Grasselli, Mach. Learn.: Sci. Technol. 5, 045018 (2024), arXiv:2403.02251.
Kellner, Ceriotti, Mach. Learn.: Sci. Technol. 5, 035006 (2024), arXiv:2402.16621.
"""

from collections.abc import Iterator, Sequence
from math import isfinite

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse.linalg import eigsh
from torch import Tensor

from atomplete.descriptors import run
from atomplete.training.closed_form.solutions import UNSEEN, Penalty
from atomplete.training.run import Task

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


def set_committee(
    task: Task,
    members: Float[Tensor, "member coefficient"],
    references: Float[Tensor, "member species"],
    errors: Float[Tensor, " structure"],
    changes: Float[Tensor, "structure member"],
    kinds: Sequence[str],
) -> None:
    """Give a fitted potential its committee, calibrated on validation data.

    Parameters
    ----------
    task
        Its fit.
    members
        Coefficients relative to those of the potential.
    references
        Reference energies relative to those of the potential, eV.
    errors, changes
        Of the energies of all structures: errors of the potential, NaN without a label, and
        predictions of members relative to its own; in the same unit.
    kinds
        Those of "forces" and "stress" that were fitted to.
    """
    potential, dataset = task.potential, task.dataset
    committee = potential.committee
    committee.coefficients.copy_(members.view_as(committee.coefficients))
    committee.references.copy_(references)
    _set_environments(task)
    validation = task.split.validation.flatten().unique()
    n = dataset.n_atoms[validation]
    of_energies = _ratio(errors[validation] / n, changes[validation].square().mean(1).sqrt() / n)
    committee.calibration.fill_(1.0)
    factors = {"energy": of_energies, "forces": torch.nan, "stress": torch.nan}
    if kinds:
        chosen = dataset.select(validation)
        asked = (*kinds, *(f"{kind}_uncertainty" for kind in kinds))
        found = potential.predict(chosen.structures, asked)
        labels = {"forces": chosen.forces, "stress": chosen.stresses}
        for kind in kinds:
            error = getattr(found, kind) - labels[kind]
            factors[kind] = _ratio(error, getattr(found, f"{kind}_uncertainty"))
    # of what has no labels to compare with, another factor is the best there is
    known = [factor for factor in factors.values() if isfinite(factor)]
    other = known[0] if known else 1.0
    for number, factor in enumerate(factors.values()):
        committee.calibration[number] = factor if isfinite(factor) else other


def _ratio(errors: Tensor, deviations: Tensor) -> float:
    """Root mean square error over root mean square deviation; NaN where there is none of these."""
    has = errors.isfinite()
    error, deviation = errors[has].square().sum(), deviations[has].square().sum()
    return float((error / deviation).sqrt()) if deviation > 0 else torch.nan


@torch.no_grad()
def _set_environments(task: Task) -> None:
    """Draw coefficients as if energies of training atoms had been the labels, one penalty for each.

    Sums of energies alone, as structures have them, leave open which atom carries them: they would
    say that all atoms are uncertain.
    """
    committee = task.potential.committee
    n_blocks, width = committee.coefficients.shape[1:]
    normal = torch.zeros(n_blocks, width, width, dtype=torch.float64)
    count = torch.zeros(n_blocks, dtype=torch.long)
    for number, inputs in _training_inputs(task):
        normal[number].addmm_(inputs.T, inputs)
        count[number] += len(inputs)
    committee.environments.zero_()
    committee.largest.zero_()
    for number in count.nonzero()[:, 0].tolist():
        found = draw(
            normal[number], "diagonal", 1 / int(count[number]), len(committee.environments)
        )
        committee.environments[:, number] = found
    for number, inputs in _training_inputs(task):
        deviation = (inputs @ committee.environments[:, number].T).square().mean(1).sqrt()
        committee.largest[number] = torch.maximum(committee.largest[number], deviation.max())


def _training_inputs(task: Task) -> Iterator[tuple[int, Float[Tensor, "center feature"]]]:
    """Inputs of the readout of training atoms, by blocks of its coefficients, part by part."""
    potential = task.potential
    fitted = task.split.train.flatten().unique()
    if task.features is not None:
        parts = iter([task.features.batch(fitted)])
    else:
        system = task.dataset.system(potential.cutoff, potential.centers)
        parts = run(potential.descriptor, system.select_structures(fitted))
    for features in parts:
        inputs, block = potential.inputs(features).double(), potential.readout.block(features)
        for number in block.unique().tolist():
            yield number, inputs[block == number]


def _largest_eigenvalue(matrix: Float[Tensor, "n n"]) -> float:
    if len(matrix) < 2:
        return float(matrix.sum())
    found = eigsh(matrix.numpy(), k=1, v0=np.ones(len(matrix)), return_eigenvectors=False)
    return float(found[0])
