"""Jacobians of xi~ over the displacements that change a shape."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from atomplete.descriptors import Descriptor, Features
from atomplete.nn.set_map import SetMap
from atomplete.system import System
from atomplete.training.feature_table import RowTable

#: Step of the central differences, Å: their error is about its square.
STEP = 1e-4


@dataclass(frozen=True)
class Slopes:
    """Rows of structures of equal size, and their derivatives along 3n − 6 displacements.

    Attributes
    ----------
    table
        Rows, float64.
    values
        (displacement, row, feature), 1/Å.
    weight
        (displacement, row), of the rows' weights.
    """

    table: RowTable
    values: Float[Tensor, "displacement row feature"]
    weight: Float[Tensor, "displacement row"]

    @classmethod
    def of(cls, representation: Descriptor, system: System) -> "Slopes":
        """Take central differences along orthonormal displacements that neither move nor turn."""
        modes = internal_displacements(system.positions.view(len(system.cell), -1, 3))

        def rows(displacement: Float[Tensor, "structure atom xyz"]) -> Features:
            return representation(
                system.with_positions(system.positions + displacement.flatten(0, 1))
            )

        values, weight = [], []
        for mode in modes.unbind(1):
            plus, minus = rows(STEP * mode), rows(-STEP * mode)
            values.append((plus.values - minus.values) / (2 * STEP))
            weight.append((plus.weight - minus.weight) / (2 * STEP))
        table = RowTable(representation(system), len(system.cell))
        return cls(table, torch.stack(values), torch.stack(weight))

    def jacobian(
        self, encoder: SetMap, scale: Tensor, structures: Tensor
    ) -> Float[Tensor, "structure displacement latent"]:
        """dxi~/dx of the one centre of each of some structures, 1/Å."""
        rows, chosen = self.table.batch_with_rows(structures)

        def encoded(values: Tensor, weight: Tensor) -> Tensor:
            return encoder(replace(rows, values=values, weight=weight))

        def along(values: Tensor, weight: Tensor) -> Tensor:
            return torch.func.jvp(encoded, (rows.values * scale, rows.weight), (values, weight))[1]

        slopes = self.values[:, chosen] * scale, self.weight[:, chosen]
        return torch.func.vmap(along)(*slopes).transpose(0, 1)


def internal_displacements(
    positions: Float[Tensor, "structure atom xyz"],
) -> Float[Tensor, "structure displacement atom xyz"]:
    """Orthonormal displacements of n atoms that are neither shifts nor rotations: 3n − 6.

    Atoms on a line, which have one more, get the same number.

    Examples
    --------
    >>> internal_displacements(torch.eye(3)[None]).shape
    torch.Size([1, 3, 3, 3])
    """
    n_structures, n_atoms, _ = positions.shape
    axes = torch.eye(3).to(positions)
    shifts = axes[:, None].expand(n_structures, 3, n_atoms, 3)
    turns = torch.linalg.cross(
        axes[:, None].expand_as(shifts), positions[:, None].expand_as(shifts)
    )
    rigid = torch.cat([shifts, turns], 1).flatten(2)
    modes = torch.linalg.svd(rigid, full_matrices=True).Vh[:, 6:]
    return modes.unflatten(2, (n_atoms, 3))


def anisotropy(
    jacobian: Float[Tensor, "structure displacement latent"],
) -> Float[Tensor, " structure"]:
    """log of the arithmetic over the geometric mean of the squared singular values.

    Zero if all are equal; infinite if the rank is less than the number of displacements.

    Examples
    --------
    >>> anisotropy(torch.diag(torch.tensor([2.0, 1.0]))[None])
    tensor([0.2231])
    """
    gram = jacobian @ jacobian.transpose(1, 2)
    size = gram.shape[1]
    trace = gram.diagonal(dim1=1, dim2=2).sum(1)
    tiny = 1e-14 * trace[:, None, None] * torch.eye(size).to(gram)
    return (trace / size).log() - torch.linalg.slogdet(gram + tiny).logabsdet / size


def rank(
    jacobian: Float[Tensor, "structure displacement latent"], tolerance: float = 1e-6
) -> Float[Tensor, " structure"]:
    """Singular values above a fraction of the largest one.

    Examples
    --------
    >>> rank(torch.diag(torch.tensor([1.0, 1e-3, 1e-9]))[None])
    tensor([2])
    """
    singular = torch.linalg.svdvals(jacobian)
    return (singular > tolerance * singular[:, :1]).sum(1)
