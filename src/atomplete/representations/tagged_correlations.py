"""Correlations of N tagged neighbours and ν densities, of any equivariance (λ, σ).

(…((rho_i ⊗ rho_i ⊗ …) ⊗ g_{i i1}) ⊗ g_{i i2}) → (λ, σ): the ν densities are coupled one after the
other, once for each centre, then the tagged neighbours, once for each row.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from atomplete.o3 import lm_slice
from atomplete.representations.equivariants import blocks_of, couple, couplings
from atomplete.representations.expansion import Expansion
from atomplete.representations.features import Features
from atomplete.representations.specs import TaggedCorrelationsSpec
from atomplete.representations.tagged import neighbor_tuples
from atomplete.system import System

Key = tuple[int, int]


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


@dataclass(frozen=True)
class _Product:
    """Some features of a left block times all channels of one l, of which some are kept."""

    left: Key
    l: int
    features: Int[Tensor, " left"]
    kept: Int[Tensor, " product"]


_Step = dict[Key, list[_Product]]
_Labels = dict[Key, Int[Tensor, "_ _"]]  # (feature, label)


class TaggedCorrelations(nn.Module):
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
        self.expansion = Expansion(spec.expansion)
        self._steps: dict[int, tuple[list[_Step], _Labels]] = {}
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

    @property
    def tag_cutoff(self) -> float:
        """Radius of the tagged neighbours, Å."""
        return self.spec.tag_cutoff or self.spec.expansion.cutoff

    def n_rows(self, system: System) -> Int[Tensor, " center"]:
        """Rows of each centre: its number of tagged neighbours to the power N."""
        return system.within(self.tag_cutoff).neighbor_counts ** self.spec.n_tagged

    def row_bytes(self, system: System) -> Int[Tensor, " center"]:
        """Bytes that each centre's rows take while they are computed, at the least."""
        steps, labels = self._plan(0)
        left = {p.left: int(p.features.max()) + 1 for s in steps for ps in s.values() for p in ps}
        entries = 3 * sum(map(len, labels.values()))
        entries += 2 * sum((2 * key[0] + 1) * count for key, count in left.items())
        return self.n_rows(system).clamp_min(1) * entries * system.positions.element_size()

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
            blocks = _apply(step, blocks, rho_i)
        if nu and n_tagged:  # from centres to pairs
            blocks = _take(blocks, near.i)
            blocks = _apply(steps[nu - 1], blocks, g_ij)
        if n_tagged == 2:  # from pairs to pairs of pairs
            blocks = _apply(steps[-1], _take(blocks, tags[0]), g_ij[tags[1]])
        rows = Features.of_neighbors(near, tags, weight)
        ends = {key: blocks[key] for key in labels}
        return Equivariants(ends, labels, rows)

    def _plan(self, o3_lambda: int) -> tuple[list[_Step], _Labels]:
        """The products of each step that ends in λ, and the labels of what comes out."""
        if o3_lambda not in self._steps:
            self._steps[o3_lambda] = _plan(self.spec, o3_lambda)
        return self._steps[o3_lambda]


def _plan(spec: TaggedCorrelationsSpec, o3_lambda: int) -> tuple[list[_Step], _Labels]:
    basis = spec.expansion
    n_channels, max_angular = basis.n_channels, basis.max_angular
    max_lambda = spec.max_lambda if spec.max_lambda is not None else max_angular
    # vanishing products are found on a random density
    generator = torch.Generator().manual_seed(0)
    lm = (max_angular + 1) ** 2
    random = torch.randn(1, n_channels, lm, generator=generator, dtype=torch.float64)
    blocks = blocks_of(random)
    q = torch.arange(n_channels)
    labels = {
        key: torch.stack([q, torch.full_like(q, key[0]), torch.full_like(q, key[0])], 1)
        for key in blocks
    }
    steps: list[_Step] = []
    n_factors = spec.nu + spec.n_tagged
    for factor in range(1, n_factors):
        remaining = n_factors - 1 - factor
        reach = min(max_lambda, o3_lambda + remaining * max_angular)
        lambdas = range(reach + 1) if remaining else (o3_lambda,)
        is_density = factor < spec.nu
        step, labels = _step(labels, n_channels, max_angular, lambdas, ordered=is_density)
        if is_density:
            blocks = _apply(step, blocks, random)
            step, labels, blocks = _without_zeros(step, labels, blocks)
        steps.append(step)
    ends = {(o3_lambda, sigma): labels.get((o3_lambda, sigma)) for sigma in (1, -1)}
    return steps, {key: of_key for key, of_key in ends.items() if of_key is not None}


def _step(
    labels: _Labels, n_channels: int, max_angular: int, lambdas: range | tuple[int], ordered: bool
) -> tuple[_Step, _Labels]:
    """All products of the blocks so far with one more factor; of equal factors, one order."""
    step: _Step = {}
    joined: _Labels = {}
    right = [(l, 1) for l in range(max_angular + 1)]
    q = torch.arange(n_channels)
    for o3_lambda in lambdas:
        for sigma in (1, -1):
            products, new = [], []
            for left, (l, _) in couplings(list(labels), right, o3_lambda, sigma):
                last_q, last_l = labels[left][:, -3], labels[left][:, -2]
                features = (last_l <= l).nonzero()[:, 0] if ordered else torch.arange(len(last_l))
                a, b = (x.flatten() for x in torch.meshgrid(features, q, indexing="ij"))
                in_order = (last_l[a] < l) | (last_q[a] <= b)
                kept = (in_order if ordered else torch.ones_like(in_order)).nonzero()[:, 0]
                added = torch.stack([b, torch.full_like(b, l), torch.full_like(b, o3_lambda)], 1)
                products.append(_Product(left, l, features, kept))
                new.append(torch.cat([labels[left][a], added], 1)[kept])
            if products:
                step[o3_lambda, sigma] = products
                joined[o3_lambda, sigma] = torch.cat(new)
    return step, joined


def _apply(
    step: _Step, left: dict[Key, Tensor], right: Float[Tensor, "row channel lm"]
) -> dict[Key, Tensor]:
    """One more factor: ν → ν + 1, or N → N + 1."""
    return {
        key: torch.cat(
            [
                couple(left[p.left][:, p.features], right[:, :, lm_slice(p.l)], key[0])[:, p.kept]
                for p in products
            ],
            1,
        )
        for key, products in step.items()
    }


def _without_zeros(
    step: _Step, labels: _Labels, blocks: dict[Key, Tensor]
) -> tuple[_Step, _Labels, dict[Key, Tensor]]:
    """Leave out products that vanish for every density, such as ρ_a ⊗ ρ_a to an odd order."""
    kept_step: _Step = {}
    kept = {key: block.abs().amax((0, 2)) > 1e-10 for key, block in blocks.items()}
    for key, products in step.items():
        sizes = [len(p.kept) for p in products]
        parts = kept[key].split(sizes)
        pairs = zip(products, parts, strict=True)
        left = [_Product(p.left, p.l, p.features, p.kept[part]) for p, part in pairs if part.any()]
        if left:
            kept_step[key] = left
    return (
        kept_step,
        {key: labels[key][kept[key]] for key in kept_step},
        {key: blocks[key][:, kept[key]] for key in kept_step},
    )


def _take(blocks: dict[Key, Tensor], index: Int[Tensor, " row"]) -> dict[Key, Tensor]:
    return {key: block[index] for key, block in blocks.items()}


def _tagged_pairs(system: System, n_tagged: int) -> tuple[Int[Tensor, " row"], ...]:
    """Positions in the pair list of the tagged neighbours of each row."""
    if n_tagged == 0:
        return ()
    if n_tagged == 1:
        return (torch.arange(len(system.i), device=system.i.device),)
    return neighbor_tuples(system)
