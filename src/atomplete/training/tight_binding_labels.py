"""Energies of groups of structures, and how steep they are along one direction of each."""

from collections.abc import Sequence
from dataclasses import dataclass

import ase
import torch
from jaxtyping import Float, Int
from torch import Tensor

from atomplete.errors import InputError
from atomplete.potentials.tight_binding.tight_binding import TightBindingSpec, batches
from atomplete.training.force_matching import labelled_forces


@dataclass(frozen=True, eq=False)
class Labels:
    """What is fitted to, of structures that have as many atoms.

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
        """How many groups there are."""
        return len(self.energies)

    def __getitem__(self, groups: Tensor | slice) -> "Labels":
        """Those of some groups."""
        parts = self.positions, self.energies, self.directions, self.slopes
        return Labels(*(part[groups] for part in parts))


def labels_of(
    structures: Sequence[ase.Atoms],
    energies: Float[Tensor, " structure"],
    groups: Int[Tensor, "group member"],
    spec: TightBindingSpec,
    *,
    forces: bool,
    seed: int,
) -> Labels:
    """Collect the labels of groups of structures.

    Raises
    ------
    InputError
        For structures that a model cannot describe, of different sizes, or without labels.

    Examples
    --------
    >>> dimers = [ase.Atoms("B2", [(0, 0, 0), (0, 0, 1.5 + 0.1 * n)]) for n in range(4)]
    >>> pairs = torch.arange(4).view(2, 2)
    >>> labels = labels_of(dimers, torch.zeros(4), pairs, TightBindingSpec(), forces=False, seed=0)
    >>> labels.positions.shape, len(labels)
    (torch.Size([2, 2, 2, 3]), 2)
    """
    members = groups.flatten().tolist()
    found = batches([structures[index] for index in members], spec)
    if len(found) > 1:
        sizes = sorted({positions.shape[1] for _, positions in found})
        raise InputError(
            f"structures of {sizes[0]} and of {sizes[1]} atoms cannot be fitted at once"
        )
    positions = found[0][1].view(*groups.shape, -1, 3)
    for index in members:
        if not energies[index].isfinite():
            raise InputError(f"structure {index}: the energy is {energies[index]}")
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(positions.shape, generator=generator, dtype=torch.float64)
    directions = directions / directions.flatten(2).norm(dim=-1)[..., None, None]
    slopes = torch.zeros(groups.shape, dtype=torch.float64)
    if forces:
        of_atoms = torch.stack([labelled_forces(structures, index) for index in members])
        slopes = -(of_atoms.view_as(positions) * directions).sum((2, 3))
    return Labels(positions, energies[groups], directions, slopes)
