"""Squared errors of a tight-binding model and their normal equations."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from atomplete.data.dataset import Dataset
from atomplete.errors import InputError
from atomplete.potentials.tight_binding.pair_features import pair_features
from atomplete.potentials.tight_binding.tight_binding import (
    BETWEEN,
    CHUNK,
    ON_SITE,
    TightBinding,
)
from atomplete.training.loss import Loss

#: Å that structures are moved along a direction and against it to compare slopes with forces.
STEP = 3e-3
#: Groups whose structures are linearised at once.
CHUNK_GROUPS = 25
#: Structures that scales are found from.
SAMPLE = 500
#: Mean square changes of elements of H with levels, with the hardness of both shells (charges are
#: about 0.1) and with the exponent (by the overlaps), eV².
OF_ATOMS = (1.0, 1.0, 0.01, 0.01, 30.0)
#: How little counts what the energy is linear in, and which may go far in one step.
LINEAR = 1e-6


@dataclass(frozen=True, eq=False)
class Slopes:
    """Energies of groups of structures, and their derivatives along one direction of each.

    Attributes
    ----------
    positions
        (group, member, atom, xyz), Å.
    energies
        (group, member), eV.
    directions
        Random ones in the space of all atoms, of length one, (group, member, atom, xyz).
    slopes
        Derivatives of the energies along these, (group, member), eV/Å; zero without forces.
    """

    positions: Float[Tensor, "group member atom xyz"]
    energies: Float[Tensor, "group member"]
    directions: Float[Tensor, "group member atom xyz"]
    slopes: Float[Tensor, "group member"]

    def __len__(self) -> int:
        """Number of groups."""
        return len(self.energies)

    def __getitem__(self, groups: Tensor | slice) -> "Slopes":
        """Labels of some groups."""
        parts = self.positions, self.energies, self.directions, self.slopes
        return Slopes(*(part[groups] for part in parts))

    @classmethod
    def of(
        cls,
        dataset: Dataset,
        groups: Int[Tensor, "group member"],
        model: TightBinding,
        *,
        forces: bool,
        seed: int,
    ) -> "Slopes":
        """Collect the labels of groups of structures.

        Raises
        ------
        InputError
            For structures that a model cannot describe, of different sizes, or without labels.
        """
        members = groups.flatten()
        sizes = dataset.n_atoms[members].unique().tolist()
        if len(sizes) > 1:
            raise InputError(
                f"structures of {sizes[0]} and of {sizes[1]} atoms cannot be fitted at once"
            )
        model.check(dataset.system(model.cutoff))
        flat = torch.cat(
            [torch.from_numpy(dataset.structures[k].positions) for k in members.tolist()]
        )
        positions = flat.view(*groups.shape, -1, 3)
        dataset.require("energies", members)
        generator = torch.Generator().manual_seed(seed)
        directions = torch.randn(positions.shape, generator=generator, dtype=torch.float64)
        directions = directions / directions.flatten(2).norm(dim=-1)[..., None, None]
        slopes = torch.zeros(groups.shape, dtype=torch.float64)
        if forces:
            dataset.require("forces", members)
            of_atoms = dataset.forces[dataset.atoms_of(members)].view_as(positions)
            slopes = -(of_atoms * directions).sum((2, 3))
        return cls(positions, dataset.energies[groups], directions, slopes)


class LeastSquares:
    """The weighted squared errors of a model, and their normal equations.

    Parameters
    ----------
    model
        With the coefficients that are fitted.
    labels
        What is fitted to; slopes count if forces have a weight.
    loss
        Weights, each over the variance of its labels.
    ridge, threads
        As in ``GaussNewtonSpec``.
    """

    def __init__(
        self, model: TightBinding, labels: Slopes, loss: Loss, *, ridge: float, threads: int
    ) -> None:
        self.model, self.labels = model, labels
        self.force_weight, self.threads = loss.forces, threads
        parts = means_and_differences(labels.energies)
        weights = (loss.energy, loss.pair_difference or 0.0)[: len(parts)]
        #: Weights of a squared mean, and of a squared difference.
        self.weights = [
            w / max(part.var().item(), 1e-24) for w, part in zip(weights, parts, strict=True)
        ]
        self.slope_weight = loss.forces / max(labels.slopes.square().mean().item(), 1e-24)
        self.metric, self.penalty = _contributions(model, labels.positions.flatten(0, 1))
        self.penalty = ridge * self.penalty

    def linearised(self) -> tuple[float, Tensor, Tensor]:
        """Loss, and the matrix and the right-hand side of the normal equations."""
        parts = torch.arange(len(self.labels)).split(CHUNK_GROUPS)
        with ThreadPoolExecutor(self.threads) as pool:
            try:
                # summed up one by one, for they are large, and in order, to round the same
                found = pool.map(self._of_groups, parts)
                loss, normal, slope = next(found)
                for more in found:
                    for total, part in zip((loss, normal, slope), more, strict=True):
                        total += part
            finally:  # also where one fails, or the user interrupts
                pool.shutdown(wait=False, cancel_futures=True)
        coefficients = self.model.coefficients
        loss = loss + (self.penalty * coefficients.square()).sum()
        return loss.item(), normal + self.penalty.diag(), slope + self.penalty * coefficients

    def _of_groups(self, groups: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        labels = self.labels[groups]
        if not self.force_weight:
            energy, derivative = self._evaluate(labels.positions)
            terms = []
        else:
            moved = STEP * labels.directions
            energy, derivative = self._evaluate(labels.positions + moved)
            back, back_derivative = self._evaluate(labels.positions - moved)
            slope_error = (energy - back) / (2 * STEP) - labels.slopes
            slope_derivative = (derivative - back_derivative) / (2 * STEP)
            weight = self.slope_weight / self.labels.slopes.numel()
            terms = [(weight, slope_error.flatten(), slope_derivative.flatten(0, 1))]
            energy, derivative = (energy + back) / 2, (derivative + back_derivative) / 2
        errors = means_and_differences(energy - labels.energies)
        derivatives = means_and_differences(derivative)
        weights = (w / len(self.labels) for w in self.weights)
        terms += zip(weights, errors, derivatives, strict=True)
        e, d = (torch.cat([w**0.5 * part[kind] for w, *part in terms]) for kind in (0, 1))
        return e.square().sum(), d.T @ d, d.T @ e

    def _evaluate(self, x: Tensor) -> tuple[Tensor, Tensor]:
        energy, derivative = self.model.linearised(x.flatten(0, 1))
        return energy.view(x.shape[:2]), derivative.view(*x.shape[:2], -1)

    @torch.no_grad()
    def loss_of(self, labels: Slopes) -> float:
        """Loss of energies alone, of groups that are not fitted to."""
        chunks = labels.positions.flatten(0, 1).split(CHUNK)
        predicted = torch.cat([self.model.energy(part) for part in chunks])
        parts = means_and_differences(predicted.view_as(labels.energies) - labels.energies)
        terms = zip(self.weights, parts, strict=True)
        return sum(w * part.square().mean().item() for w, part in terms)


def means_and_differences(of_members: Float[Tensor, "group member *rest"]) -> list[Tensor]:
    """Means and differences of pairs; of singles the values themselves."""
    if of_members.shape[1] == 1:
        return [of_members[:, 0]]
    return [of_members.mean(1), of_members[:, 0] - of_members[:, 1]]


def _contributions(
    model: TightBinding, positions: Float[Tensor, "structure atom xyz"]
) -> tuple[Float[Tensor, "coefficient coefficient"], Float[Tensor, " coefficient"]]:
    """Units of steps, and weights of the ridge.

    The first is the mean square change of the integrals of a pair with the coefficients, eV²:
    large steps in coefficients that cancel out are short ones. The second is its diagonal for
    what surroundings contribute, else zero.
    """
    basis = model.spec.basis
    features = pair_features(positions[:SAMPLE], basis)
    blocks, scales = [], []
    for part, kinds in ((features.between, BETWEEN), (features.seen_from, ON_SITE)):
        rows = part.flatten(0, 2)
        square = rows.T @ rows / features.distance.shape[:2].numel()
        scale = square.diagonal().clone()
        # lifted a little, for features that vanish in all structures
        square = square + 1e-9 * scale.mean() * torch.eye(len(scale), dtype=scale.dtype)
        scale[: basis.max_radial] = 0.0
        blocks += [square] * kinds
        scales += [scale] * kinds
    of_atoms = torch.tensor(OF_ATOMS, dtype=positions.dtype)
    one = LINEAR * torch.ones(1, 1, dtype=positions.dtype)
    metric = torch.block_diag(*blocks, of_atoms.diag(), LINEAR * blocks[0], one)
    penalty = torch.cat([*scales, 0 * of_atoms, scales[0], 0 * one[0]])
    return metric, penalty


@torch.no_grad()
def fit_pair_energy(model: TightBinding, labels: Slopes) -> None:
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
