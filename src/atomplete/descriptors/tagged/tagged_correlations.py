"""Correlations of N tagged neighbours and ν densities, of any equivariance (λ, σ).

(…((rho_i ⊗ rho_i ⊗ …) ⊗ g_{i i1}) ⊗ g_{i i2}) → (λ, σ): the ν densities are coupled one after the
other, once for each centre, then the tagged neighbours, once for each row.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from atomplete.descriptors.base import Descriptor
from atomplete.descriptors.equivariants import blocks_of
from atomplete.descriptors.expansion import Expansion
from atomplete.descriptors.features import Features
from atomplete.descriptors.specs import TaggedCorrelationsSpec, tag_cutoff_of
from atomplete.descriptors.tagged.products import Key, Labels, Step, apply, plan
from atomplete.descriptors.tagged.rows import neighbor_tuples
from atomplete.system import System


@dataclass(frozen=True)
class Equivariants:
    """Equivariant features of rows: blocks (λ, σ) of components μ.

    Attributes
    ----------
    blocks
        (λ, σ) → (row, feature, mu). Under R in O(3) a block turns with the Wigner matrix of λ,
        and under inversion changes by σ(−1)^λ.
    labels
        (λ, σ) → (feature, 3·factor): (q, l, k) of each factor in the order of coupling: channel,
        angular order, and the order k that it is coupled to.
    rows
        Which atoms each row describes, as in ``Features`` (its values are empty).

    Examples
    --------
    >>> import ase
    >>> system = System.from_atoms(ase.Atoms("B2", [(0, 0, 0), (0, 0, 1.6)]), cutoff=2.0)
    >>> density = TaggedCorrelations(TaggedCorrelationsSpec(n_tagged=0, nu=1))
    >>> vectors = density.equivariants(system, o3_lambda=1)
    >>> vectors.blocks[1, 1].shape, vectors.labels[1, 1][0].tolist()
    (torch.Size([2, 6, 3]), [0, 1, 1])
    """

    blocks: dict[Key, Float[Tensor, "row _ _"]]
    labels: dict[Key, Int[Tensor, "_ _"]]
    rows: Features

    def __repr__(self) -> str:
        sizes = (f"({l}, {s:+d}): {b.shape[1]}" for (l, s), b in self.blocks.items())
        return f"Equivariants({len(self.rows.values)} rows; features of {', '.join(sizes)})"


class TaggedCorrelations(Descriptor, spec=TaggedCorrelationsSpec):
    """Rows (i, i1, …, iN) of correlations of N tagged neighbours and ν densities.

    Called, it gives the invariants (λ = 0); ``equivariants`` gives any λ. The densities being
    equal, each multiset of their (l, q) is coupled in one order only, and what then vanishes for
    every density is left out. Intermediate orders k go up to ``max_lambda``; invariants of
    N + ν ≤ 3 factors need no more than ``max_angular``.

    Summed over a tagged neighbour, N with ν is N − 1 with ν + 1. The named descriptors are points
    of this family, which their own modules compute faster: the power spectrum is N = 0, ν = 2,
    the bispectrum ν = 3, and three-centre descriptors are N = 2, ν = 1 times √(2 l_1 + 1), with
    the density as first factor.

    Parameters
    ----------
    spec
        N, ν, basis and truncation.

    References
    ----------
    Nigam, Pozdnyakov, Huguenin-Dumittan, Ceriotti, arXiv:2302.14770; Nigam, Willatt, Ceriotti,
    J. Chem. Phys. 156, 014115 (2022).

    Examples
    --------
    >>> import ase
    >>> system = System.from_atoms(ase.Atoms("B2", [(0, 0, 0), (0, 0, 1.6)]), cutoff=2.0)
    >>> pairs = TaggedCorrelations(TaggedCorrelationsSpec(n_tagged=1, nu=1))
    >>> pairs(system)
    Features(2 rows × 144 features, 0 odd; rows labelled by structure, center, neighbor_1)
    >>> pairs.equivariants(system, o3_lambda=1)
    Equivariants(2 rows; features of (1, +1): 216, (1, -1): 108)
    """

    def __init__(self, spec: TaggedCorrelationsSpec) -> None:
        super().__init__()
        self.spec = spec
        #: Radius of the tagged neighbours, Å.
        self.tag_cutoff = tag_cutoff_of(spec)
        self.expansion = Expansion(spec.expansion)
        self._steps: dict[int, tuple[list[Step], Labels]] = {}
        labels = self._plan(0)[1]
        #: (feature, 3·factor): (q, l, k) of each factor of the invariants.
        self.labels = torch.cat(list(labels.values()))
        #: (feature,) +1 for scalars, −1 for pseudoscalars.
        self.parity: Int[Tensor, " feature"] = torch.cat(
            [torch.full((len(of_key),), sigma) for (_, sigma), of_key in labels.items()]
        )

    def __repr__(self) -> str:
        return (
            f"TaggedCorrelations(N = {self.spec.n_tagged}, ν = {self.spec.nu}, "
            f"{len(self.parity)} features, cutoff {self.spec.expansion.cutoff} Å)"
        )

    def rows_per_center(self, system: System) -> Int[Tensor, " center"]:
        """Rows of each centre: its number of tagged neighbours to the power N."""
        return system.within(self.tag_cutoff).neighbor_counts ** self.spec.n_tagged

    @property
    def one_row_per_center(self) -> bool:
        """Whether nothing is tagged."""
        return self.spec.n_tagged == 0

    @property
    def feature_labels(self) -> tuple[tuple[str, ...], Int[Tensor, "feature column"]]:
        """(q, l, k) of each factor of each invariant."""
        return ("q", "l", "k") * (self.labels.shape[1] // 3), self.labels

    def forward(self, system: System) -> Features:
        """The invariants, scalars before pseudoscalars: (row, feature)."""
        equivariants = self.equivariants(system, 0)
        values = torch.cat([block[:, :, 0] for block in equivariants.blocks.values()], 1)
        return equivariants.rows.with_values(values, self.parity)

    def equivariants(self, system: System, o3_lambda: int) -> Equivariants:
        """The blocks (λ, +1) and (λ, −1) of every row."""
        steps, labels = self._plan(o3_lambda)
        rho_i = self.expansion.density(system)
        near = system.within(self.tag_cutoff)
        g_ij = self.expansion.pairs(near, self.tag_cutoff)
        weight = self.spec.expansion.cutoff_function(
            torch.linalg.vector_norm(near.r_ij, dim=-1), self.tag_cutoff
        )
        tags = _tagged_pairs(near, self.spec.n_tagged)

        nu, n_tagged = self.spec.nu, self.spec.n_tagged
        blocks = blocks_of(rho_i if nu else g_ij)
        for step in steps[: max(nu - 1, 0)]:
            blocks = apply(step, blocks, rho_i)
        if nu and n_tagged:  # from centres to pairs
            blocks = _take(blocks, near.i)
            blocks = apply(steps[nu - 1], blocks, g_ij)
        if n_tagged == 2:  # from pairs to pairs of pairs
            blocks = apply(steps[-1], _take(blocks, tags[0]), g_ij[tags[1]])
        rows = Features.of_neighbors(near, tags, weight)
        ends = {key: blocks[key] for key in labels}
        return Equivariants(ends, labels, rows)

    def _plan(self, o3_lambda: int) -> tuple[list[Step], Labels]:
        """The products of each step that ends in λ, and the labels of what comes out."""
        if o3_lambda not in self._steps:
            self._steps[o3_lambda] = plan(self.spec, o3_lambda)
        return self._steps[o3_lambda]


def _take(blocks: dict[Key, Tensor], index: Int[Tensor, " row"]) -> dict[Key, Tensor]:
    return {key: block[index] for key, block in blocks.items()}


def _tagged_pairs(system: System, n_tagged: int) -> tuple[Int[Tensor, " row"], ...]:
    """Positions in the pair list of the tagged neighbours of each row."""
    if n_tagged == 0:
        return ()
    if n_tagged == 1:
        return (torch.arange(len(system.i), device=system.i.device),)
    return neighbor_tuples(system)
