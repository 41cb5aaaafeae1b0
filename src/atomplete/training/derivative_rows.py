"""Derivatives of the inputs of a linear readout: rows of forces and stresses."""

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from atomplete.data.dataset import Dataset
from atomplete.descriptors import Features
from atomplete.potentials import DescriptorPotential
from atomplete.potentials.prediction import VOIGT

#: Copies of the derivatives that are held at once, about.
COPIES = 4


def parts_of(
    potential: DescriptorPotential,
    dataset: Dataset,
    structures: Int[Tensor, " chosen"],
    memory: int,
) -> Iterator[Int[Tensor, " part"]]:
    """Runs of structures whose derivatives take so many bytes at most, but for single ones."""
    system = dataset.system(potential.cutoff, potential.centers)
    n_blocks, width = potential.readout.coefficients.shape
    pairs = torch.bincount(system.structure[system.centers[system.i]], minlength=len(dataset))
    numbers = 3 * width * (pairs + n_blocks * (dataset.n_atoms + 2))
    need = (8 * COPIES * numbers)[structures].tolist()
    start, used = 0, 0
    for stop, size in enumerate(need):
        if used + size > memory and stop > start:
            yield structures[start:stop]
            start, used = stop, 0
        used += size
    if len(structures):
        yield structures[start:]


@torch.no_grad()
def derivative_rows(
    potential: DescriptorPotential, dataset: Dataset, structures: Int[Tensor, " chosen"]
) -> tuple[Float[Tensor, "atom xyz coefficient"], Float[Tensor, "structure voigt coefficient"]]:
    """Derivatives of the design in positions, and in strain over the volume.

    Parameters
    ----------
    potential
        A descriptor with a linear readout.
    dataset, structures
        Structures, chosen by index; their atoms come one after the other.

    Returns
    -------
    of_atoms, of_strain
        d(energy)/d(position) and d(energy)/d(strain)/volume for each coefficient, in units of
        the potential's scale; NaN in the latter where there is no volume.
    """
    system = dataset.system(potential.cutoff, potential.centers).select_structures(structures)
    readout = potential.readout
    n_blocks, width = readout.coefficients.shape
    n_atoms, n_structures = len(system.positions), len(system.cell)
    by_atom = torch.zeros(n_blocks * n_atoms, 3, width, dtype=torch.float64)
    by_strain = torch.zeros(n_blocks * n_structures, 3, 3, width, dtype=torch.float64)
    labels = readout.block(Features.of_neighbors(system, (), system.r_ij.new_empty(0)))
    kept, scale = readout.columns(potential.descriptor.parity), potential.feature_scale
    r_ij, centers = system.r_ij, system.centers[system.i]
    for pair, of_pairs in potential.descriptor.center_derivatives(system):
        change = of_pairs[:, :, kept].double() * scale
        block = labels[system.i[pair]]
        by_atom.index_add_(0, block * n_atoms + system.j[pair], change)
        by_atom.index_add_(0, block * n_atoms + centers[pair], -change)
        products = change[:, :, None] * r_ij[pair][:, None, :, None]
        where = block * n_structures + system.structure[system.j[pair]]
        by_strain.index_add_(0, where, products)
    symmetric = (by_strain + by_strain.transpose(1, 2))[:, *VOIGT] / 2  # block structure, voigt
    volume = torch.linalg.det(system.cell).abs()
    volume = torch.where(volume > 0, volume, torch.nan)
    of_strain = symmetric.view(n_blocks, n_structures, 6, width) / volume[:, None, None]
    of_atoms = by_atom.view(n_blocks, n_atoms, 3, width)
    return (
        of_atoms.permute(1, 2, 0, 3).flatten(2),
        of_strain.permute(1, 2, 0, 3).flatten(2),
    )
