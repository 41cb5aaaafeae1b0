"""Derivatives of feature rows with respect to the vectors r_ij, by the chain rule.

Coefficients of a pair are functions of its vector alone, and features of coefficients: dF/dr is
linear in dg/dr, which is found for all pairs at once.
"""

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from atomplete.descriptors.base import Descriptor
from atomplete.descriptors.expansion import Expansion
from atomplete.system import System

#: Bound on what the features of several directions take that go through the graph at once, bytes.
TOGETHER_BYTES = 4 * 2**20


def pair_derivatives(
    descriptor: Descriptor, system: System, wanted: Bool[Tensor, " all_rows"]
) -> Iterator[Float[Tensor, "xyz row feature"]]:
    """dF/dr with respect to the first neighbour of every centre, to the second, and so on.

    Rows whose centre has fewer neighbours are zero from then on.

    Parameters
    ----------
    descriptor
        The descriptor. One with an ``expansion`` meets the neighbours through it only.
    system
        A chunk of centres.
    wanted
        Which rows of ``descriptor(system)``.

    Examples
    --------
    >>> import ase
    >>> from atomplete.descriptors import NAMED, build
    >>> system = System.from_atoms(ase.Atoms("B2", [(0, 0, 0), (0, 0, 1.6)]), cutoff=2.0)
    >>> first = torch.tensor([True, False])
    >>> [d.shape for d in pair_derivatives(build(NAMED["power_spectrum"]), system, first)]
    [torch.Size([3, 1, 84])]
    """
    if not len(system.i):
        return
    r_ij = system.r_ij.detach().requires_grad_()
    recorded: Any = copy(descriptor)
    leaves = [_Leaf.of_vectors(r_ij)]
    if hasattr(recorded, "expansion"):
        recorded.expansion = _Recorder(recorded.expansion, r_ij, len(system.centers))
        leaves = recorded.expansion.leaves
    with torch.enable_grad():
        values = recorded(_unfolded(system, r_ij)).values[wanted]
        forward = Linearised(values, [leaf.value for leaf in leaves])
    counts = system.neighbor_counts
    k_of_pair = torch.arange(len(system.i), device=counts.device)
    k_of_pair = k_of_pair - (counts.cumsum(0) - counts)[system.i]
    of_one = values.nbytes + sum(leaf.value.nbytes for leaf in leaves)
    together = max(1, TOGETHER_BYTES // max(1, 3 * of_one))
    for ks in torch.arange(int(counts.max()), device=counts.device).split(together):
        directions = [torch.cat([leaf.moved(k_of_pair == k) for k in ks]) for leaf in leaves]
        yield from forward(directions).unflatten(0, (len(ks), 3))


@torch.no_grad()
def center_derivatives(
    descriptor: Descriptor, system: System
) -> Iterator[tuple[Int[Tensor, " pair"], Float[Tensor, "pair xyz feature"]]]:
    """``Descriptor.center_derivatives`` of a descriptor that has none of its own."""
    features, counts = descriptor(system), system.neighbor_counts
    first = counts.cumsum(0) - counts
    everything = torch.ones(len(features.values), dtype=torch.bool, device=counts.device)
    for k, of_rows in enumerate(pair_derivatives(descriptor, system, everything)):
        centers = (counts > k).nonzero()[:, 0]
        summed = [features.with_values(x, features.parity).sum_over_neighbors() for x in of_rows]
        yield first[centers] + k, torch.stack([x[centers] for x in summed], 1)


class Linearised:
    """Forward mode, as the derivative of reverse mode: Jᵀu is linear in u, and its graph gives J t.

    Only that graph is run through for each direction t, and not what was differentiated.
    """

    def __init__(self, values: Tensor, inputs: list[Tensor]) -> None:
        self._u = torch.zeros_like(values, requires_grad=True)
        products = torch.autograd.grad(
            values, inputs, self._u, create_graph=True, allow_unused=True
        )
        self._used = [k for k, product in enumerate(products) if product is not None]
        self._products = [products[k] for k in self._used]

    def __call__(self, directions: list[Tensor]) -> Float[Tensor, "direction ..."]:
        """J t for a batch of directions t, stacked for each of the inputs."""
        (derivatives,) = torch.autograd.grad(
            self._products,
            self._u,
            [directions[k] for k in self._used],
            retain_graph=True,
            is_grads_batched=True,
        )
        return derivatives


@dataclass(frozen=True)
class _Leaf:
    """Coefficients or densities that features are a function of, or the vectors themselves.

    ``derivative`` (xyz, pair, channel, lm) is of the coefficients of each pair, which ``pair``
    numbers, and which are added to the row ``to`` of ``value``.
    """

    value: Float[Tensor, "_ *coefficient"]
    derivative: Float[Tensor, "3 pair *coefficient"]
    pair: Int[Tensor, " pair"]
    to: Int[Tensor, " pair"]

    @classmethod
    def of_vectors(cls, r_ij: Float[Tensor, "pair xyz"]) -> "_Leaf":
        """The vectors, each of which moves along the axes."""
        pair = torch.arange(len(r_ij), device=r_ij.device)
        return cls(r_ij, torch.eye(3).to(r_ij)[:, None].expand(3, len(r_ij), 3), pair, pair)

    def moved(self, moves: Bool[Tensor, " all_pairs"]) -> Float[Tensor, "3 _ *coefficient"]:
        """The change of ``value`` as one pair of each centre moves along each axis."""
        here = moves[self.pair].nonzero()[:, 0]
        change = self.value.new_zeros(3, *self.value.shape)
        return change.index_copy_(1, self.to[here], self.derivative[:, here])


class _Recorder(Expansion):
    """Stands in for the expansion of a descriptor: what it gives are leaves of the graph."""

    def __init__(self, expansion: Expansion, r_ij: Tensor, n_centers: int) -> None:
        self.spec = expansion.spec
        self._expansion = expansion
        self._r_ij = r_ij
        self._n_centers = n_centers
        self.leaves: list[_Leaf] = []

    def pairs(self, system: System, cutoff: float | None = None) -> Tensor:
        g_ij = self._expansion.pairs(system, cutoff)
        return self._leaf(system, g_ij, g_ij, torch.arange(len(g_ij), device=g_ij.device))

    def density(self, system: System, g_ij: Tensor | None = None) -> Tensor:
        if g_ij is not None:  # made of leaves
            return self._expansion.density(system, g_ij)
        g_ij = self._expansion.pairs(system)
        return self._leaf(system, self._expansion.density(system, g_ij), g_ij, system.i)

    def _leaf(self, system: System, value: Tensor, g_ij: Tensor, to: Tensor) -> Tensor:
        forward = Linearised(g_ij, [self._r_ij])
        axes = torch.eye(3).to(g_ij)[:, None].expand(3, len(self._r_ij), 3)
        derivative = forward([axes])
        value = value.detach().requires_grad_()
        self.leaves.append(_Leaf(value, derivative, system.j - self._n_centers, to))
        return value


def _unfolded(system: System, r_ij: Float[Tensor, "pair xyz"]) -> System:
    """Every pair with a neighbour atom of its own, around centres at the origin."""
    n_centers = len(system.centers)
    atoms = torch.cat([system.centers, system.j])
    return replace(
        system,
        positions=torch.cat([r_ij.new_zeros(n_centers, 3), r_ij]),
        species=system.species[atoms],
        structure=system.structure[atoms],
        centers=torch.arange(n_centers, device=r_ij.device),
        j=torch.arange(n_centers, len(atoms), device=r_ij.device),
        shift=torch.zeros_like(system.shift),
    )
