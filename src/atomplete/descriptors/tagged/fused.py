"""Linear functions of three-centre rows without the rows: the first layer of a network.

h_c(A_{i i1 i2}) = Σ_q W_qc xi_q(A_{i i1 i2})
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from atomplete.descriptors.features import Features
from atomplete.descriptors.tagged.coupling import Couplings, couple, couplings_of
from atomplete.descriptors.tagged.row_groups import equal_centers, in_order
from atomplete.descriptors.tagged.rows import rows_of_pairs
from atomplete.descriptors.tagged.three_center import ThreeCenter
from atomplete.o3 import lm_slice
from atomplete.system import System

#: Pairs coupled to the density at a time, so that what is temporary stays in a processor's cache.
PAIRS_IN_CACHE = 120

#: Numbers of Q computed at a time, so that they are still in the cache when they are summed.
NUMBERS_IN_CACHE = 2**17


class Step(NamedTuple):
    """Contribution of one l1 to the outputs of one parity."""

    l1: int
    #: To all (l2, l3) with l2 ≥ l1.
    couplings: Couplings
    direct: Float[Tensor, "_l2_l3_q2_q3 _q1 _output"]
    #: Those where l2 > l1, the last of the couplings, for exchanged neighbours.
    exchanged: Float[Tensor, "_larger_l2_l3_q2_q3 _q1 _output"]

    def to(self, like: Tensor) -> "Step":
        """Convert to the dtype and the device of a tensor."""
        couplings = [(l2, blocks.to(like)) for l2, blocks in self.couplings]
        return Step(self.l1, couplings, self.direct.to(like), self.exchanged.to(like))


class FusedRows:
    """``descriptor(system).project(even, odd)``, without the rows and for fewer operations.

    The weights are contracted before the first neighbour comes in (unless there are very few
    neighbours), once for each neighbour and m1 and not for each row. With l1 ≤ l2::

        P[i i2; m1; l2 l3 q2 q3] = Σ_{m2 m3} C[l1 m1; l2 m2; l3 m3] g_{i i2} rho_i
        Q[i i2; m1 q1; c] = Σ_{l2 l3 q2 q3} P[i i2; m1; l2 l3 q2 q3] W[l2 l3 q2 q3; q1; c]
        h[i i1 i2; c] = Σ_{l1 m1 q1} g_{i i1}[q1 l1 m1] Q[i i2; m1 q1; c]

    Features with l1 > l2 are those with l1 < l2 of the exchanged neighbours, times their parity.
    Derivatives reach positions, cell and weights.

    Parameters
    ----------
    descriptor
        Whose rows are meant; one with components must have been fitted.
    even, odd
        (feature, output): weights of its scalars and of its pseudoscalars.

    Examples
    --------
    >>> import ase
    >>> from atomplete.descriptors import ThreeCenterSpec
    >>> system = System.from_atoms(ase.Atoms("B2", [(0, 0, 0), (0, 0, 1.6)]), cutoff=2.0)
    >>> descriptor = ThreeCenter(ThreeCenterSpec())
    >>> even, odd = torch.ones(4968, 8).double(), torch.ones(2376, 8).double()
    >>> fused = FusedRows(descriptor, even, odd)(system)
    >>> torch.allclose(fused.values, descriptor(system).project(even, odd).values)
    True
    """

    def __init__(
        self,
        descriptor: ThreeCenter,
        even: Float[Tensor, "even even_output"],
        odd: Float[Tensor, "odd odd_output"],
    ) -> None:
        descriptor.refuse_unfitted()
        self.descriptor = descriptor
        if descriptor.even is not None and descriptor.odd is not None:
            even = descriptor.even.to(even) @ even
            odd = descriptor.odd.to(odd) @ odd
        #: (output,) +1 for scalars, −1 for pseudoscalars.
        self.parity = torch.tensor([1] * even.shape[1] + [-1] * odd.shape[1])
        is_odd = descriptor.labels[:, 1::2].sum(1) % 2 == 1
        self._parities = [
            (even.shape[1], _steps(descriptor.labels[~is_odd], even, 1)),
            (odd.shape[1], _steps(descriptor.labels[is_odd], odd, -1)),
        ]

    def rows_per_center(self, system: System) -> Int[Tensor, " center"]:
        """Number of rows of each centre."""
        return self.descriptor.rows_per_center(system)

    def __call__(self, system: System) -> Features:
        """(row, output), in the dtype of the positions."""
        self.descriptor.check(system)
        near, g_ij, rho_i = self.descriptor.tagged(system)
        parities = [(n, [step.to(g_ij) for step in steps]) for n, steps in self._parities]
        counts = near.neighbor_counts
        groups = (
            (rows, [_outputs(g_ij[pairs], rho_i[centers], *parity) for parity in parities])
            for centers, pairs, rows in equal_centers(counts, lambda n: PAIRS_IN_CACHE // n)
        )
        values = in_order(
            groups,
            int((counts**2).sum()),
            len(self.parity),
            g_ij,
            differentiable=torch.is_grad_enabled(),
        )
        return rows_of_pairs(
            near,
            values,
            self.parity,
            cutoff=self.descriptor.tag_cutoff,
            cutoff_function=self.descriptor.spec.expansion.cutoff_function,
        )


def _outputs(
    g: Float[Tensor, "center neighbor channel lm"],
    rho: Float[Tensor, "center channel lm"],
    n_outputs: int,
    steps: list[Step],
) -> Float[Tensor, "center neighbor_1 neighbor_2 output"]:
    """h of one parity, for centres with the same number of neighbours."""
    n_centers, n = g.shape[:2]
    direct = g.new_zeros(n_centers * n, n, n_outputs)  # (center neighbor_2) neighbor_1 output
    exchanged = torch.zeros_like(direct)  # (center neighbor_1) neighbor_2 output
    for l1, couplings, *weights in steps:
        p = couple(g, rho, couplings).flatten(0, 1)  # pair m1 (l2 l3 q2 q3)
        others = g[..., lm_slice(l1)].transpose(2, 3)[:, None].expand(-1, n, -1, -1, -1)
        others = others.flatten(0, 1)  # pair neighbor m1 q1
        for h, w in zip((direct, exchanged), weights, strict=True):
            if len(w) > 0:
                _add(h, others, p[..., -len(w) :], w)
    shape = n_centers, n, n, n_outputs
    return exchanged.view(shape).add_(direct.view(shape).transpose(1, 2))


def _add(
    h: Float[Tensor, "pair neighbor output"],
    others: Float[Tensor, "pair neighbor m1 q1"],
    p: Float[Tensor, "pair m1 l2_l3_q2_q3"],
    weights: Float[Tensor, "l2_l3_q2_q3 q1 output"],
) -> None:
    """Add what one step gives to all neighbours of the centres of pairs."""
    n, n_m, n_q = others.shape[1:]
    if n < n_m:  # there are fewer neighbours than m1: these come in before the weights
        rows = others.transpose(2, 3).flatten(1, 2) @ p
        h.add_(torch.einsum("pnqk,kqc->pnc", rows.unflatten(1, (n, n_q)), weights))
        return
    blocks = [(h, others.flatten(2), p)]
    if h.device.type == "cpu" and not torch.is_grad_enabled():
        at_once = max(1, NUMBERS_IN_CACHE // (n_m * weights[0].numel()))
        blocks = list(zip(*(whole.split(at_once) for whole in blocks[0]), strict=True))
    for some, first, rest in blocks:
        q = rest.flatten(0, 1) @ weights.flatten(1)
        some.baddbmm_(first, q.view(len(some), n_m * n_q, h.shape[2]))


def _steps(
    labels: Int[Tensor, "feature 6"], weights: Float[Tensor, "feature output"], sign: int
) -> list[Step]:
    """The weights of the features of one parity, by the smaller of l1 and l2."""
    orders, blocks = labels[:, 1::2], {}
    for triple in orders.unique(dim=0).tolist():
        of_triple = (orders == torch.tensor(triple)).all(1)
        n_q = int(labels[of_triple, 0].max()) + 1
        blocks[tuple(triple)] = weights[of_triple].unflatten(0, [n_q] * 3)
    steps = []
    for smaller in sorted({min(l1, l2) for l1, l2, _ in blocks}):
        larger = sorted((l2, l3) for l1, l2, l3 in blocks if l1 == smaller <= l2)
        direct = [blocks[smaller, l2, l3].permute(1, 2, 0, 3) for l2, l3 in larger]
        exchanged = [
            sign * blocks[l2, smaller, l3].permute(0, 2, 1, 3) for l2, l3 in larger if l2 > smaller
        ]
        joined = torch.cat([of_triple.flatten(0, 1) for of_triple in direct + exchanged])
        n_direct = sum(of_triple.shape[:2].numel() for of_triple in direct)
        exact = weights.new_empty(0, dtype=torch.float64)
        couplings = couplings_of(smaller, larger, exact)
        steps.append(Step(smaller, couplings, joined[:n_direct], joined[n_direct:]))
    return steps
