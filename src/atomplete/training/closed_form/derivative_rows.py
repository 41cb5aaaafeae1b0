"""Derivatives of the inputs of a linear readout: rows of forces and stresses."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from atomplete.data.dataset import Dataset
from atomplete.descriptors import Features
from atomplete.potentials import DescriptorPotential
from atomplete.potentials.prediction import VOIGT
from atomplete.system import System

#: Copies of the derivatives that are held at once, about.
COPIES = 4


@dataclass(frozen=True, eq=False)
class Labelled:
    """Structures with the labels that rows are fitted to, eV/Å and eV/Å³; NaN where there is none.

    Attributes
    ----------
    system
        Structures.
    forces
        (atom, xyz).
    stresses
        (structure, voigt).
    """

    system: System
    forces: Float[Tensor, "atom xyz"]
    stresses: Float[Tensor, "structure voigt"]

    @classmethod
    def of(
        cls, potential: DescriptorPotential, dataset: Dataset, structures: Int[Tensor, " chosen"]
    ) -> "Labelled":
        """Some structures of a data set."""
        system = dataset.system(potential.cutoff, potential.centers)
        forces = dataset.forces[dataset.atoms_of(structures)]
        return cls(system.select_structures(structures), forces, dataset.stresses[structures])

    def part(self, structures: range) -> "Labelled":
        """Consecutive structures."""
        chosen = torch.arange(structures.start, structures.stop)
        forces = self.forces[torch.isin(self.system.structure, chosen)]
        return Labelled(self.system.select_structures(chosen), forces, self.stresses[chosen])

    def rows(
        self, potential: DescriptorPotential, kinds: Sequence[str], dtype: str
    ) -> Iterator[tuple[str, Float[Tensor, "row coefficient"], Float[Tensor, " row"]]]:
        """Rows of forces and of stresses, as ``derivative_rows``, and their targets."""
        of_atoms, of_strain = derivative_rows(potential, self.system, getattr(torch, dtype))
        if "forces" in kinds:
            yield "forces", of_atoms.flatten(0, 1).neg_(), self.forces.flatten()
        if "stress" in kinds:
            yield "stress", of_strain.flatten(0, 1), self.stresses.flatten()

    def arrays(self) -> dict[str, Any]:
        """Plain data, for the way to another process."""
        parts = {**vars(self.system), "forces": self.forces, "stresses": self.stresses}
        return {name: x.numpy() if torch.is_tensor(x) else x for name, x in parts.items()}

    @classmethod
    def from_arrays(cls, arrays: dict[str, Any]) -> "Labelled":
        """Structures of such plain data."""
        parts: dict[str, Any] = {
            name: torch.tensor(x) if isinstance(x, np.ndarray) else x for name, x in arrays.items()
        }
        forces, stresses = parts.pop("forces"), parts.pop("stresses")
        return cls(System(**parts), forces, stresses)


def bytes_of_rows(potential: DescriptorPotential, system: System) -> Int[Tensor, " structure"]:
    """Memory that the derivatives of each structure take, about."""
    n_blocks, width = potential.readout.coefficients.shape
    n_structures = len(system.cell)
    pairs = torch.bincount(system.structure[system.centers[system.i]], minlength=n_structures)
    n_atoms = torch.bincount(system.structure, minlength=n_structures)
    return 8 * COPIES * 3 * width * (pairs + n_blocks * (n_atoms + 2))


@torch.no_grad()
def derivative_rows(
    potential: DescriptorPotential, system: System, dtype: torch.dtype = torch.float64
) -> tuple[Float[Tensor, "atom xyz coefficient"], Float[Tensor, "structure voigt coefficient"]]:
    """Derivatives of the sums of features in positions, and in strain over the volume.

    Parameters
    ----------
    potential
        A descriptor with a linear readout.
    system
        Structures.
    dtype
        Of the computation and of the result.

    Returns
    -------
    of_atoms, of_strain
        For each coefficient d(sum)/d(position), 1/Å, and d(sum)/d(strain)/volume, 1/Å³, NaN where
        there is no volume. Times a coefficient, ``feature_scale`` and ``scale`` they are
        derivatives of the energy.
    """
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
    return of_atoms.view(n_atoms, 3, -1), of_strain


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
