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
    potential: DescriptorPotential,
    dataset: Dataset,
    structures: Int[Tensor, " chosen"],
    dtype: torch.dtype = torch.float64,
) -> tuple[Float[Tensor, "atom xyz coefficient"], Float[Tensor, "structure voigt coefficient"]]:
    """Derivatives of the design in positions, and in strain over the volume.

    Parameters
    ----------
    potential
        A descriptor with a linear readout.
    dataset, structures
        Structures, chosen by index; their atoms come one after the other.
    dtype
        Of the computation and of the result.

    Returns
    -------
    of_atoms, of_strain
        d(energy)/d(position) and d(energy)/d(strain)/volume for each coefficient, in units of
        the potential's scale; NaN in the latter where there is no volume.
    """
    system = dataset.system(potential.cutoff, potential.centers).select_structures(structures)
    system = system.to(dtype)
    readout = potential.readout
    n_blocks, width = readout.coefficients.shape
    n_atoms, n_structures = len(system.positions), len(system.cell)
    of_atoms = torch.zeros(n_atoms * 3 * n_blocks, width, dtype=dtype)
    by_strain = torch.zeros(n_structures * 9 * n_blocks, width, dtype=dtype)
    labels = readout.block(Features.of_neighbors(system, (), system.r_ij.new_empty(0)))
    kept = readout.columns(potential.descriptor.parity)
    r_ij, centers = system.r_ij, system.centers[system.i]
    periodic = torch.linalg.det(system.cell) != 0
    for pair, change in potential.descriptor.center_derivatives(system):
        if len(kept) < change.shape[2]:
            change = change[:, :, kept]
        blocks = n_blocks, labels[system.i[pair]]
        _add(of_atoms, system.j[pair], change, *blocks)
        _add(of_atoms, centers[pair], -change, *blocks)
        of_structure = system.structure[system.j[pair]]
        if periodic[of_structure].any():
            products = r_ij[pair][:, :, None, None] * change[:, None]
            _add(by_strain, of_structure, products.flatten(1, 2), *blocks)
    full = by_strain.view(n_structures, 3, 3, -1)
    volume = torch.linalg.det(system.cell).abs().to(dtype)
    volume = torch.where(volume > 0, volume, torch.nan)
    of_strain = (full + full.transpose(1, 2))[:, *VOIGT] / (2 * volume[:, None, None])
    scale = potential.feature_scale.to(dtype)
    return of_atoms.view(n_atoms, 3, -1).mul_(scale), of_strain.mul_(scale)


def _add(
    total: Float[Tensor, "place coefficient"],
    which: Int[Tensor, " pair"],
    change: Float[Tensor, "pair component coefficient"],
    n_blocks: int,
    block: Int[Tensor, " pair"],
) -> None:
    """Add what belongs to components of atoms or structures and to blocks of coefficients."""
    n = change.shape[1]
    place = (which[:, None] * n + torch.arange(n)) * n_blocks + block[:, None]
    total.index_add_(0, place.flatten(), change.flatten(0, 1))
