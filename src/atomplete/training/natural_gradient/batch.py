"""Weighted errors of a batch of structures, and their derivatives in all parameters."""

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from atomplete.data.dataset import Dataset
from atomplete.descriptors import Features
from atomplete.potentials.prediction import VOIGT
from atomplete.training.loss import Scales
from atomplete.training.natural_gradient.blocks import STRAIN, Blocks, blocks_of, joined
from atomplete.training.natural_gradient.jacobian import linearise
from atomplete.training.natural_gradient.parameters import Parameters
from atomplete.training.run import Task

#: Bytes of derivatives of rows that are multiplied at once.
AT_ONCE = 2 * 10**8

DTYPE = torch.float32


class Errors:
    """Errors of batches of training structures whose mean square is the loss.

    Parameters
    ----------
    task
        A fit, with the scale of its potential.
    parameters
        Of its potential.
    scales
        Standard deviations that errors are measured in.
    memory
        Bound on the rows that are held; others are computed anew for each batch.
    """

    def __init__(
        self,
        task: Task,
        parameters: Parameters,
        scales: Scales,
        memory: int,
    ) -> None:
        self.task, self.parameters, self.scales, self.memory = task, parameters, scales, memory
        potential, dataset = task.potential, task.dataset
        self._system = dataset.system(potential.cutoff, potential.centers)
        self._composition = dataset.composition(potential.species, potential.centers)
        volumes = torch.linalg.det(self._system.cell).abs()
        self._volumes = torch.where(volumes > 0, volumes, torch.nan)
        self._strain = bool(task.loss.stress)
        self._held: dict[int, Blocks] = {}
        self._used = 0

    def linearised(
        self, structures: Int[Tensor, " chosen"]
    ) -> tuple[Float[Tensor, " row"], Float[Tensor, "row parameter"]]:
        """Weighted errors of some structures, and their derivatives in the parameters."""
        potential, loss, scales = self.task.potential, self.task.loss, self.scales
        dataset = self.task.dataset.select(structures)
        scale = potential.scale.item()
        energy, slope, by_energy, by_slope = self._evaluated(structures, dataset)
        composition = self._composition[structures]
        by_energy[:, -composition.shape[1] :] = composition
        wanted = dataset.energies - composition @ potential.reference
        error = energy - wanted / scale
        n, n_atoms = dataset.n_atoms.double(), len(dataset.forces)
        terms = [
            (loss.energy / scales.energy**2, error, by_energy),
            (
                loss.energy_per_atom / scales.energy_per_atom**2,
                error / n,
                by_energy / n[:, None].to(DTYPE),
            ),
            (
                loss.forces / scales.forces**2,
                slope[: 3 * n_atoms] + dataset.forces.flatten() / scale,
                by_slope[: 3 * n_atoms],
            ),
        ]
        if loss.stress:
            found, by_parameter = (
                _stress(x[3 * n_atoms :], self._volumes[structures]) for x in (slope, by_slope)
            )
            wanted = dataset.stresses.flatten() / scale
            terms.append((loss.stress / scales.stress**2, found - wanted, by_parameter))
        errors, rows = [], []
        for weight, error, derivative in terms:
            has = error.isfinite()
            if weight and has.any():
                root = scale * (weight / int(has.sum())) ** 0.5
                errors.append(root * error[has])
                rows.append(root * derivative[has])
        if not rows:  # no structure of the batch has labels
            return torch.zeros(0, dtype=DTYPE), by_energy[:0]
        return torch.cat(errors).to(DTYPE), torch.cat(rows)

    def _evaluated(self, structures: Tensor, dataset: Dataset) -> tuple[Tensor, ...]:
        """Energies, slopes in positions and strains, and derivatives of both in parameters."""
        n_atoms, n_structures = len(dataset.forces), len(structures)
        n_slopes = 3 * n_atoms + (9 * n_structures if self._strain else 0)
        n_parameters = len(self.parameters)
        energy, slope = (torch.zeros(n, dtype=torch.float64) for n in (n_structures, n_slopes))
        by_energy = torch.zeros(n_structures, n_parameters, dtype=DTYPE)
        by_slope = torch.zeros(n_slopes, n_parameters, dtype=DTYPE)
        first_atom = dataset.n_atoms.cumsum(0) - dataset.n_atoms
        given = self.parameters.levels(DTYPE)
        for start, blocks in self._blocks(structures):
            of_block = start + blocks.structure
            # places without an atom have zeros to add
            place = (first_atom[of_block][:, None] + blocks.atom).where(blocks.atom >= 0, 0)
            if self._strain:
                strain = n_atoms + STRAIN * of_block[:, None] + torch.arange(STRAIN)
                place = torch.cat([strain, place], 1)
            row = (3 * place[..., None] + torch.arange(3)).flatten()
            in_order = bool((row.diff() == 1).all()) and len(of_block) == len(of_block.unique())
            own_energy = torch.zeros(len(of_block), n_parameters, dtype=DTYPE)
            own_slope = (
                by_slope[row[0] : row[-1] + 1]  # without a copy, as it is for molecules
                if in_order
                else torch.zeros(len(row), n_parameters, dtype=DTYPE)
            ).view(len(of_block), -1, n_parameters)
            column = 0
            for rows, parameters in zip(blocks.levels, given, strict=True):
                columns = slice(column, column + parameters.number)
                e, s = linearise(rows, parameters, own_energy[:, columns], own_slope[..., columns])
                energy.index_add_(0, of_block, e.double())
                slope.index_add_(0, row, s.flatten().double())
                column = columns.stop
            by_energy.index_add_(0, of_block, own_energy)
            if not in_order:
                by_slope.index_add_(0, row, own_slope.flatten(0, 1))
        return energy, slope, by_energy, by_slope

    def _blocks(self, structures: Int[Tensor, " chosen"]) -> Iterator[tuple[int, Blocks]]:
        """Blocks of consecutive structures, and the position of the first of these."""
        parts: list[Blocks] = []
        for position, structure in enumerate(structures.tolist()):
            part = self._of_structure(structure)
            if parts and sum(other.bytes for other in [*parts, part]) > AT_ONCE:
                yield position - len(parts), joined(parts)
                parts = []
            parts.append(part)
        yield len(structures) - len(parts), joined(parts)

    def _of_structure(self, structure: int) -> Blocks:
        """Blocks of a structure, held or computed; alone, to be the same after an interruption."""
        if structure in self._held:
            return self._held[structure]
        potential = self.task.potential
        system = self._system.select_structures(torch.tensor([structure])).to(DTYPE)
        labels = Features.of_neighbors(system, (), system.r_ij.new_empty(0))
        block = potential.readout.block(labels)
        found = blocks_of(potential.descriptor, system, block, strain=self._strain)
        if self._used + found.bytes < self.memory:
            self._used += found.bytes
            self._held[structure] = found
        return found


def _stress(
    by_strain: Float[Tensor, "strain *parameter"], volumes: Float[Tensor, " structure"]
) -> Float[Tensor, "voigt *parameter"]:
    """Stresses of structures, one after the other, from derivatives in their strains."""
    full = by_strain.unflatten(0, (len(volumes), 3, 3))
    symmetric = (full + full.transpose(1, 2))[:, *VOIGT] / 2
    return (symmetric / volumes.to(full).view(-1, 1, *[1] * (full.ndim - 3))).flatten(0, 1)
