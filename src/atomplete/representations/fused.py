"""Linear functions of three-centre rows without the rows: the first layer of a network.

h_c(A_{i i1 i2}) = Σ_q W_qc xi_q(A_{i i1 i2})
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from atomplete.o3 import lm_slice
from atomplete.representations.coupling import Couplings, couple, couplings_of
from atomplete.representations.features import Features
from atomplete.representations.row_groups import equal_centers, in_order
from atomplete.representations.tagged import rows_of_pairs
from atomplete.representations.three_center import ThreeCenter
from atomplete.system import System

#: Pairs computed at a time, so that what is temporary stays in the cache of a processor.
PAIRS_IN_CACHE = 80

#: Of one l1: the blocks that couple it to (l2, l3), and the weights.
Step = tuple[int, Couplings, Float[Tensor, "_l2_l3_q2_q3 _q1 _output"]]


class FusedRows:
    """``representation(system).project(even, odd)``, without the rows and for fewer operations.

    The weights are contracted before the first neighbour comes in (unless there are very few
    neighbours), once for each neighbour and m1 and not for each row. With l1 ≤ l2::

        P[i i2; m1; l2 l3 q2 q3] = Σ_{m2 m3} C[l1 m1; l2 m2; l3 m3] g_{i i2} rho_i
        Q[i i2; m1 q1; c] = Σ_{l2 l3 q2 q3} P[i i2; m1; l2 l3 q2 q3] W[l2 l3 q2 q3; q1; c]
        h[i i1 i2; c] = Σ_{l1 m1 q1} g_{i i1}[q1 l1 m1] Q[i i2; m1 q1; c]

    Features with l1 > l2 are those with l1 < l2 of the exchanged neighbours, times their parity.
    Derivatives reach positions, cell and weights.

    Parameters
    ----------
    representation
        Whose rows are meant; one with components must have been fitted.
    even, odd
        (feature, output): weights of its scalars and of its pseudoscalars.

    Examples
    --------
    >>> import ase
    >>> from atomplete.representations import ThreeCenterSpec
    >>> system = System.from_atoms(ase.Atoms("B2", [(0, 0, 0), (0, 0, 1.6)]), cutoff=2.0)
    >>> representation = ThreeCenter(ThreeCenterSpec())
    >>> even, odd = torch.ones(4968, 8).double(), torch.ones(2376, 8).double()
    >>> fused = FusedRows(representation, even, odd)(system)
    >>> torch.allclose(fused.values, representation(system).project(even, odd).values)
    True
    """

    def __init__(
        self,
        representation: ThreeCenter,
        even: Float[Tensor, "even even_output"],
        odd: Float[Tensor, "odd odd_output"],
    ) -> None:
        self.representation = representation
        if representation.even is not None and representation.odd is not None:
            even = representation.even.to(even) @ even
            odd = representation.odd.to(odd) @ odd
        #: (output,) +1 for scalars, −1 for pseudoscalars.
        self.parity = torch.tensor([1] * even.shape[1] + [-1] * odd.shape[1])
        is_odd = representation.labels[:, 1::2].sum(1) % 2 == 1
        self._parities = [
            (even.shape[1], *_steps(representation.labels[~is_odd], even, 1)),
            (odd.shape[1], *_steps(representation.labels[is_odd], odd, -1)),
        ]

    def row_bytes(self, system: System) -> Int[Tensor, " center"]:
        """Bytes that each centre's rows take while they are computed."""
        rows = self.representation.n_rows(system)
        return 2 * len(self.parity) * rows * system.positions.element_size()

    def __call__(self, system: System) -> Features:
        """(row, output), in the dtype of the positions."""
        near, g_ij, rho_i = self.representation.tagged(system)
        parities = [(n, _to(g_ij, a), _to(g_ij, b)) for n, a, b in self._parities]
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
            cutoff=self.representation.tag_cutoff,
            cutoff_function=self.representation.spec.expansion.cutoff_function,
        )


def _outputs(
    g: Float[Tensor, "center neighbor channel lm"],
    rho: Float[Tensor, "center channel lm"],
    n_outputs: int,
    direct: list[Step],
    exchanged: list[Step],
) -> Float[Tensor, "center neighbor_1 neighbor_2 output"]:
    """h of one parity, for centres with the same number of neighbours."""
    n_centers, n = g.shape[:2]
    h = _add(g.new_zeros(n_centers, n, n, n_outputs), g, rho, direct)
    return _add(h.transpose(1, 2), g, rho, exchanged)


def _add(
    h: Float[Tensor, "center neighbor_2 neighbor_1 output"],
    g: Float[Tensor, "center neighbor channel lm"],
    rho: Float[Tensor, "center channel lm"],
    steps: list[Step],
) -> Float[Tensor, "center neighbor_2 neighbor_1 output"]:
    """Add what the steps give."""
    (n_centers, n, n_q, _), n_outputs = g.shape, h.shape[3]
    h = h.reshape(n_centers * n, n, n_outputs)
    for l1, couplings, weights in steps:
        p = couple(g, rho, couplings)  # center neighbor_2 m1 (l2 l3 q2 q3)
        first = g[..., lm_slice(l1)]
        if n < 2 * l1 + 1:  # there are fewer first neighbours than m1: these come in before
            rows = first.flatten(1, 2)[:, None] @ p  # center neighbor_2 (neighbor_1 q1) (l2 …)
            rows = rows.view(n_centers * n, n, n_q, p.shape[3])
            h = h + torch.einsum("rnqk,kqc->rnc", rows, weights)
        else:
            q = (p @ weights.flatten(1)).view(n_centers * n, (2 * l1 + 1) * n_q, n_outputs)
            first = first.transpose(2, 3).flatten(2)  # center neighbor_1 (m1 q1)
            h = h.baddbmm_(first.repeat_interleave(n, 0), q)
    return h.view(n_centers, n, n, n_outputs)


def _steps(
    labels: Int[Tensor, "feature 6"], weights: Float[Tensor, "feature output"], sign: int
) -> tuple[list[Step], list[Step]]:
    """Weights of the features of one parity by l1: where l1 ≤ l2, and the others exchanged."""
    direct, exchanged = {}, {}
    orders = labels[:, 1::2]
    for l1, l2, l3 in orders.unique(dim=0).tolist():
        of_triple = (orders == torch.tensor([l1, l2, l3])).all(1)
        n_q = int(labels[of_triple, 0].max()) + 1
        block = weights[of_triple].unflatten(0, [n_q] * 3)
        if l1 <= l2:
            direct[l1, l2, l3] = block.permute(1, 2, 0, 3)  # q2 q3 q1 output
        else:
            exchanged[l2, l1, l3] = sign * block.permute(0, 2, 1, 3)
    return _by_first_order(direct), _by_first_order(exchanged)


def _by_first_order(
    blocks: dict[tuple[int, int, int], Float[Tensor, "q2 q3 q1 output"]],
) -> list[Step]:
    """Weights of the triples of one l1 as one matrix."""
    steps = []
    for l1 in sorted({triple[0] for triple in blocks}):
        of_l1 = sorted(triple for triple in blocks if triple[0] == l1)
        weights = torch.cat([blocks[triple].flatten(0, 1) for triple in of_l1])
        exact = weights.new_empty(0, dtype=torch.float64)
        couplings = couplings_of(l1, [(l2, l3) for _, l2, l3 in of_l1], exact)
        steps.append((l1, couplings, weights))
    return steps


def _to(like: Tensor, steps: list[Step]) -> list[Step]:
    return [
        (l1, [(l2, c.to(like)) for l2, c in couplings], w.to(like)) for l1, couplings, w in steps
    ]
