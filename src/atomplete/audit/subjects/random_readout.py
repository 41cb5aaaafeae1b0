r"""Sets of rows as one vector: random non-linear functions, summed.

Σ_r w_r cos(a·x_r + b) cos(c·y_r), with x_r the scalars and y_r the pseudoscalars of row r, w_r its
weight (see ``Features.weight``), random a and c, and a random phase b for each species. Two sets of
rows have the same sums for almost all a, b and c only if they are the same, while the plain sum of
rows sees no more than densities do.
"""

from math import pi

import torch
from jaxtyping import Float, Int
from torch import Tensor

from atomplete.degenerate.congruence.congruence import Group
from atomplete.descriptors import Features

#: Number of functions; a structure of n atoms needs no more than 3n.
N_FUNCTIONS = 128

# Pseudoscalars that are smaller than this part of the scalars are not blown up.
_LEAST_ODD = 0.1

# Atomic numbers that have a phase of their own.
_SPECIES = 120


class RandomReadout:
    """The same random functions of all rows of a subject, with arguments of order one.

    Parameters
    ----------
    even, odd
        (row, scalar) and (row, pseudoscalar): rows of typical size.
    group
        "O3": pseudoscalars count up to their sign. "SO3": cos(a·x + b + c·y) instead.
    n_functions
        Number of functions.
    n_phases
        Number of phases of each; by default one for each atomic number.
    seed
        Of all that is random.

    Examples
    --------
    >>> rows = torch.ones(3, 10, dtype=torch.float64)
    >>> RandomReadout(rows, rows[:, :0]).of_atoms(rows, torch.tensor([1, 1, 8])).shape
    torch.Size([128])
    """

    def __init__(
        self,
        even: Float[Tensor, "row even"],
        odd: Float[Tensor, "row odd"],
        group: Group = "O3",
        *,
        n_functions: int = N_FUNCTIONS,
        n_phases: int = _SPECIES,
        seed: int = 0,
    ) -> None:
        generator = torch.Generator().manual_seed(seed)
        even_size, odd_size = (
            float(torch.linalg.vector_norm(rows, dim=1).mean()) for rows in (even, odd)
        )
        odd_size = max(odd_size, _LEAST_ODD * even_size)
        even_weights, odd_weights = (
            torch.randn(rows.shape[1], n_functions, generator=generator, dtype=torch.float64)
            for rows in (even, odd)
        )
        phase = torch.rand(n_phases, n_functions, generator=generator, dtype=torch.float64)
        self.even = (even_weights / (even_size or 1.0)).to(even.dtype)
        self.odd = (odd_weights / (odd_size or 1.0)).to(even.dtype)
        self.phase = (2 * pi * phase).to(even.dtype)
        self.scale = even_size
        self.group = group

    def of_centers(self, projected: Features) -> Float[Tensor, "center function"]:
        """Sums over the rows of each centre, of rows projected on ``even`` and ``odd``."""
        even = projected.even + self.phase[projected.center_species][projected.center_of_row]
        odd = projected.odd
        values = torch.cos(even + odd) if self.group == "SO3" else torch.cos(even) * torch.cos(odd)
        total = values.new_zeros(len(projected.center_structure), values.shape[1])
        return total.index_add(0, projected.center_of_row, projected.weight[:, None] * values)

    def of_atoms(
        self, rows: Float[Tensor, "atom even"], species: Int[Tensor, " atom"]
    ) -> Float[Tensor, " function"]:
        """Sums over the atoms of a structure, of a row each."""
        return self.cosines(rows, species).sum(0)

    def cosines(
        self, rows: Float[Tensor, "row even"], phase: Int[Tensor, " row"]
    ) -> Float[Tensor, "row function"]:
        """Functions of scalars, each row with the phases of its number."""
        return torch.cos(rows @ self.even + self.phase[phase])

    def derivative_of_atoms(
        self,
        rows: Float[Tensor, "atom even"],
        species: Int[Tensor, " atom"],
        slopes: Float[Tensor, "atom even coordinate"],
    ) -> Float[Tensor, "function coordinate"]:
        """Derivatives of ``of_atoms`` from those of the rows."""
        sines = torch.sin(rows @ self.even + self.phase[species])
        return -torch.einsum("af,aec,ef->fc", sines, slopes, self.even)

    def signless(self, odd: Float[Tensor, "row odd"]) -> Float[Tensor, "row function"]:
        """Squares of random combinations of pseudoscalars, which change no sign under O(3)."""
        return self.scale * (odd @ self.odd).square()
