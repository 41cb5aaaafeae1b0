"""Sums of random cosines of three-centre rows (xi~), with derivatives that are quick to compute.

xi~_p = Σ_{i1 i2} w_1 w_2 cos(h_p + b_p), where h_p = Σ_q W_qp xi_q(A_{i i1 i2}) is one random
linear function of a row, W couples scalars and pseudoscalars alike, and w is the cutoff function.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from ase import Atoms
from jaxtyping import Float
from torch import Tensor

from atomplete.audit.subjects.of_descriptor import reference
from atomplete.audit.subjects.subject import Rows, Scope, Subject
from atomplete.degenerate.congruence.congruence import Group, Level
from atomplete.descriptors import ExpansionSpec, ThreeCenter, ThreeCenterSpec
from atomplete.errors import InputError
from atomplete.o3 import clebsch_gordan, lm_slice
from atomplete.system import System, center_of

#: Numbers of W in the basis of products that are held.
MOST_WEIGHTS = 10**8


class RowSums(Subject):
    """Random non-linear functions of rows, summed over pairs of tagged neighbours.

    Parameters
    ----------
    expansion
        The basis; few radial functions suffice.
    size
        How many functions: more than the coordinates of a structure.
    seed
        Of W and b.

    Raises
    ------
    InputError
        If the basis is too large for so many functions.

    Examples
    --------
    >>> subject = RowSums(ExpansionSpec(cutoff=2.0, max_radial=3, max_angular=2), size=64)
    >>> pair = Atoms("B2", [(0, 0, 0), (0, 0, 1.6)], info={"center": 0})
    >>> subject.describe([pair], Scope("environment", 2.0, (5,)))[0].shape
    (1, 64)
    """

    name = "row sums"
    levels: tuple[Level, ...] = ("environment",)
    group: Group = "SO3"
    cutoff: float

    def __init__(self, expansion: ExpansionSpec, size: int = 128, seed: int = 0) -> None:
        self.descriptor = ThreeCenter(ThreeCenterSpec(expansion=expansion))
        self.cutoff, self.size = expansion.cutoff, size
        n_factor = expansion.n_channels * (expansion.max_angular + 1) ** 2
        if size * n_factor**3 > MOST_WEIGHTS:
            raise InputError(
                f"{size} functions of products of {n_factor} numbers each take "
                f"{8e-9 * size * n_factor**3:.2g} GB; choose a smaller basis"
            )
        generator = torch.Generator().manual_seed(seed)
        shape = self.descriptor.n_features, size
        #: (feature, function) W, so that arguments are of order one for random environments.
        self.weights = torch.randn(*shape, generator=generator, dtype=torch.float64)
        rows = self.descriptor(reference(expansion.species, self.cutoff)).values
        self.weights /= torch.linalg.vector_norm(rows, dim=1).mean()
        #: (function,) b.
        self.phase = 2 * np.pi * torch.rand(size, generator=generator, dtype=torch.float64)
        self._form = self._in_products(n_factor)

    def describe(self, structures: Sequence[Atoms], scope: Scope) -> list[Rows]:
        """One row for each structure: that of the centre."""
        return [self._evaluated(atoms, slopes=False)[0] for atoms in structures]

    def jacobian(
        self, structures: Sequence[Atoms], scope: Scope
    ) -> list[tuple[Rows, Float[np.ndarray, "row feature atom xyz"]]]:
        """Rows and their exact derivatives by positions, 1/Å."""
        return [self._evaluated(atoms, slopes=True) for atoms in structures]

    def _in_products(self, n_factor: int) -> Float[Tensor, "function first second density"]:
        """W in the basis of products of three coefficients."""
        labels = self.descriptor.labels
        n_q = self.descriptor.spec.expansion.n_channels
        orders = labels[:, 1::2]
        form = torch.zeros(self.size, *(n_q, n_factor // n_q) * 3, dtype=torch.float64)
        for l1, l2, l3 in orders.unique(dim=0).tolist():
            of_triple = (orders == torch.tensor([l1, l2, l3])).all(1)
            weights = self.weights[of_triple].unflatten(0, (n_q,) * 3)
            block = torch.einsum("abcp,xyz->paxbycz", weights, clebsch_gordan(l1, l2, l3))
            form[:, :, lm_slice(l1), :, lm_slice(l2), :, lm_slice(l3)] = block
        return form.view(self.size, *(n_factor,) * 3)

    def _evaluated(self, atoms: Atoms, *, slopes: bool) -> tuple[Rows, np.ndarray]:
        """The row of the centre, and its derivatives."""
        center = center_of(atoms, default=0)
        others = np.flatnonzero(np.arange(len(atoms)) != center)
        vectors = torch.from_numpy(atoms.positions[others] - atoms.positions[center])
        numbers = torch.from_numpy(atoms.numbers[[center, *others]].astype(np.int64))
        g, by_g, weight, by_weight = self._factors(vectors, numbers, slopes)
        reduced = self._form @ g.sum(0)  # function first second
        half = g @ reduced  # function neighbor_1 second
        arguments = half @ g.T + self.phase[:, None, None]
        both = weight[:, None] * weight
        cosines = arguments.cos()
        values = (both * cosines).sum((1, 2))[None].numpy()
        if not slopes:
            return values, np.zeros(0)
        sines = -both * arguments.sin()  # function neighbor_1 neighbor_2
        in_density = torch.einsum("pabc,pab->pc", self._form, g.T @ sines @ g)
        in_factor = sines @ (g @ reduced.mT) + sines.mT @ half + in_density[:, None]
        in_weight = (cosines + cosines.mT) @ weight  # function neighbor
        found = torch.zeros(1, self.size, len(atoms), 3, dtype=torch.float64)
        moved = torch.einsum("pna,nax->pnx", in_factor, by_g) + in_weight[..., None] * by_weight
        found[0][:, torch.from_numpy(others)] = moved
        found[0, :, center] = -moved.sum(1)
        return values, found.numpy()

    def _factors(
        self, vectors: Float[Tensor, "neighbor xyz"], numbers: Tensor, slopes: bool
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Pair coefficients and weights of neighbours, with their derivatives."""
        n = len(vectors)
        zero = torch.zeros(n, dtype=torch.long)
        system = System(
            positions=torch.cat([vectors.new_zeros(1, 3), vectors]),
            species=numbers,
            cell=torch.zeros(1, 3, 3, dtype=torch.float64),
            structure=torch.zeros(n + 1, dtype=torch.long),
            centers=torch.zeros(1, dtype=torch.long),
            i=zero,
            j=torch.arange(1, n + 1),
            shift=torch.zeros(n, 3, dtype=torch.float64),
            cutoff=self.cutoff,
        )
        x = vectors.clone().requires_grad_(slopes)
        g = self.descriptor.pairs(replace(system, vectors=x)).flatten(1)
        function = self.descriptor.spec.expansion.cutoff_function
        weight = function(torch.linalg.vector_norm(x, dim=1), self.cutoff)
        if not slopes:
            return g, g.new_zeros(0), weight, g.new_zeros(0)
        # forward mode as the derivative of reverse mode: neighbours move independently
        u = torch.zeros_like(g, requires_grad=True)
        (product,) = torch.autograd.grad(g, x, u, create_graph=True)
        columns = [
            torch.autograd.grad(product[:, axis].sum(), u, retain_graph=True)[0]
            for axis in range(3)
        ]
        (by_weight,) = torch.autograd.grad(weight.sum(), x)
        return g.detach(), torch.stack(columns, 2), weight.detach(), by_weight
