"""Energies of many centres in bounded memory, with the changes by members of a committee."""

from typing import Any

import torch
from torch import Tensor, nn

from atomplete.engines.energies import Energies

#: Centres whose rows and derivatives are held at once: few for memory, enough for quick calls.
CENTERS = 16


class EnergiesInParts(nn.Module):
    """Energies of atoms, differentiable once, and their changes by the members of a committee.

    Parts of the centres are evaluated one after another, so that memory does not grow with the
    structure. Each gives its energies and their derivatives in the vectors to neighbours, and a
    line with that slope is what autograd sees: second derivatives would be zero.

    Parameters
    ----------
    potential
        The potential.
    dtype
        Of the computation.

    Raises
    ------
    InputError
        For a potential that the kernel does not compute.
    """

    def __init__(self, potential: Any, dtype: torch.dtype) -> None:
        super().__init__()
        self.energies = Energies(potential, dtype)
        members, references, calibration = _committee(potential)
        self.members: Tensor
        self.references: Tensor
        self.register_buffer("members", members.to(dtype))
        self.register_buffer("references", references.to(dtype))
        self.calibration, self.centers = calibration, CENTERS

    def forward(
        self, vectors: Tensor, i: Tensor, neighbor: Tensor, center: Tensor, members: bool
    ) -> tuple[Tensor, Tensor]:
        """Energies of centres, and changes by members, (center, member), if they are asked for.

        Parameters
        ----------
        vectors, i, neighbor, center
            As for ``Energies``.
        members
            Whether changes are wanted; else there are none.
        """
        order = torch.argsort(i, stable=True)
        vectors, i, neighbor = vectors[order], i[order], neighbor[order]
        differentiable = vectors.requires_grad and torch.is_grad_enabled()
        found = [vectors.new_zeros(0)]
        changes = [vectors.new_zeros(0, self.members.shape[2])]
        for start in range(0, center.shape[0], self.centers):
            stop = min(start + self.centers, center.shape[0])
            bounds = torch.searchsorted(i, torch.tensor([start, stop], device=i.device))
            first, last = int(bounds[0]), int(bounds[1])
            species, owner = center[start:stop], i[first:last] - start
            given = vectors[first:last]
            leaf = given.detach().requires_grad_(differentiable)
            energies, features = self.energies(leaf, owner, neighbor[first:last], species)
            line = energies.detach()
            if differentiable and last > first:
                slope = torch.autograd.grad([energies.sum()], [leaf])[0]
                assert slope is not None
                moved = (slope.detach() * (given - leaf.detach())).sum(1)
                line = line.index_add(0, owner, moved)
            found.append(line)
            if members:
                change = torch.einsum("ef,efm->em", features.detach(), self.members[species])
                changes.append(change + self.references[species])
        return torch.cat(found), torch.cat(changes)


def _committee(potential: Any) -> tuple[Tensor, Tensor, float]:
    """Members' changes of coefficients and references, and the factor of their deviation.

    (species, feature, member) and (species, member); without members where there are none.
    """
    committee, species = potential.committee, sorted(potential.species)
    n_features = potential.readout.weights.shape[1]
    if committee is None or not committee.is_fitted:
        return torch.zeros(len(species), n_features, 0), torch.zeros(len(species), 0), 0.0
    center = [potential.species.index(z) for z in species]
    coefficients = committee.coefficients.permute(1, 2, 0)
    coefficients = (
        coefficients[center] if len(coefficients) > 1 else coefficients.expand(len(species), -1, -1)
    )
    members = coefficients * potential.feature_scale * potential.scale
    return members, committee.references.T[center], float(committee.calibration[0])
