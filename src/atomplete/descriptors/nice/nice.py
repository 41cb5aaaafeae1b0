"""N-body iterative contraction of equivariants: density correlations of high order ν (N = 0).

rho_i^{⊗(ν+1)} = rho_i^{⊗ν} ⊗ rho_i, block by block (λ, σ), each contracted before the next step.
"""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from atomplete.descriptors.base import Descriptor, FitCost
from atomplete.descriptors.contraction.contraction import radial_components
from atomplete.descriptors.equivariants import blocks_of
from atomplete.descriptors.evaluate import split
from atomplete.descriptors.expansion import Expansion
from atomplete.descriptors.features import Features
from atomplete.descriptors.memory import CHUNK_BYTES, MEMORY
from atomplete.descriptors.nice.block import BlockReport, Blocks, Key, NiceBlock
from atomplete.descriptors.nice.sizes import block_sizes, fit_bytes
from atomplete.descriptors.specs import NiceSpec
from atomplete.errors import InputError
from atomplete.runs.progress import progress_of
from atomplete.system import System


class Nice(Descriptor, spec=NiceSpec):
    """Invariants of rho_i of the orders ν = 1..``max_nu``, scalars first, then pseudoscalars.

    It must be fitted before it is used. The channels of each l are turned to their principal
    components; then each block of each order is made of the products of largest root mean
    square, contracted to principal components about zero, without whitening. λ is taken no
    further than can still come back to an invariant at ``max_nu``. Neither contracted nor
    bounded, all products are kept: inner products of the features are then Haar integrals,
    Σ ξ(A) ξ(A') = Σ_ν ∫ dR <rho(A)|R|rho(A')>^ν.

    Parameters
    ----------
    spec
        Orders, basis and contractions.

    References
    ----------
    Nigam, Pozdnyakov, Ceriotti, J. Chem. Phys. 153, 121101 (2020).

    Examples
    --------
    >>> import ase
    >>> from atomplete.descriptors import ExpansionSpec
    >>> square = ase.Atoms("B4", [(0, 0, 0), (0, 0, 1.6), (0, 1.6, 0), (0, 1.6, 1.6)])
    >>> system = System.from_atoms(square, cutoff=2.0)
    >>> basis = ExpansionSpec(cutoff=2.0, max_radial=2, max_angular=2)
    >>> spec = NiceSpec(expansion=basis, max_nu=4, components=0.999)
    >>> Nice(spec).fit([system])(system).values.shape[0]
    4
    """

    radial: Tensor

    def __init__(self, spec: NiceSpec) -> None:
        super().__init__()
        self.spec = spec
        self.expansion = Expansion(spec.expansion)
        n_channels, max_angular = spec.expansion.n_channels, spec.expansion.max_angular
        shape = max_angular + 1, n_channels, n_channels
        # not a number until a fit: nor is what is made of it
        self.register_buffer("radial", torch.full(shape, torch.nan, dtype=torch.float64))
        #: Of each order ν = 2..max_nu, its blocks by key.
        self.orders: list[dict[Key, NiceBlock]] = []
        for nu, sizes in enumerate(block_sizes(spec), 2):
            blocks = {
                key: NiceBlock(
                    of_key.pairs,
                    key[0],
                    n_channels,
                    n_candidates=of_key.n_candidates,
                    n_kept=of_key.n_kept,
                    contracted=spec.components is not None,
                )
                for key, of_key in sizes.items()
            }
            for (o3_lambda, o3_sigma), block in blocks.items():
                self.add_module(f"nu{nu}_{o3_lambda}{'+' if o3_sigma > 0 else '-'}", block)
            self.orders.append(blocks)

    def __repr__(self) -> str:
        cutoff = self.spec.expansion.cutoff
        found = f"{len(self.parity)} features" if self.is_fitted else "not fitted"
        return f"Nice(ν ≤ {self.spec.max_nu}, {found}, cutoff {cutoff} Å)"

    @property
    def nu(self) -> Int[Tensor, " feature"]:
        """(feature,) order ν of each feature."""
        nu, _, size = self._sizes.unbind(1)
        return torch.repeat_interleave(nu, size)

    @property
    def parity(self) -> Int[Tensor, " feature"]:
        """(feature,) +1 for scalars, −1 for pseudoscalars; before a fit, as many as may be."""
        _, sigma, size = self._sizes.unbind(1)
        return torch.repeat_interleave(sigma, size)

    @property
    def _sizes(self) -> Int[Tensor, "invariants 3"]:
        """(ν, σ, number) of the invariants, in the order of the features."""
        found = [(1, 1, self.spec.expansion.n_channels)] + [
            (nu, sigma, blocks[0, sigma].n_kept)
            for sigma in (1, -1)
            for nu, blocks in enumerate(self.orders, 2)
            if (0, sigma) in blocks
        ]
        return torch.tensor(found)

    @property
    def kept(self) -> tuple[BlockReport, ...]:
        """Components and variance of each block of each order ν ≥ 2; before a fit, nothing."""
        if not self.is_fitted:
            return ()
        return tuple(
            block.report(nu, o3_sigma)
            for nu, blocks in enumerate(self.orders, 2)
            for (_, o3_sigma), block in blocks.items()
        )

    @property
    def needs_fit(self) -> bool:
        """True: products and components are chosen by a fit."""
        return True

    @property
    def is_fitted(self) -> bool:
        """Whether a fit was made."""
        return not bool(self.radial.isnan().any())

    def blocks(self, system: System) -> list[dict[Key, Float[Tensor, "center feature mu"]]]:
        """The equivariant blocks (λ, σ) of the orders ν = 1..max_nu, from which all is made."""
        self.refuse_unfitted()
        return [
            {key: block.transpose(1, 2) for key, block in blocks.items()}
            for blocks in self._iterate(self._density(system))
        ]

    def forward(self, system: System) -> Features:
        """Invariants of every centre of ``system``: (center, feature)."""
        even, odd = [], []
        for blocks in self._iterate(self._density(system)):
            even.append(blocks[0, 1][:, 0])
            if (0, -1) in blocks:
                odd.append(blocks[0, -1][:, 0])
        return Features.of_centers(system, torch.cat(even + odd, 1), self.parity)

    def _density(self, system: System) -> Blocks:
        """Blocks of rho_i, their channels turned to principal components."""
        return self._turned(self.expansion.density(system))

    def _turned(self, rho_i: Float[Tensor, "center channel lm"]) -> Blocks:
        return {
            key: block.transpose(1, 2) @ self.radial[key[0]].to(block)
            for key, block in blocks_of(rho_i).items()
        }

    def _iterate(self, density: Blocks) -> Iterator[Blocks]:
        """Blocks of one order after the other."""
        left = density
        yield left
        for blocks in self.orders:
            left = {key: block(left, density) for key, block in blocks.items()}
            yield left

    def _training_densities(self, systems: Sequence[System]) -> Float[Tensor, "center channel lm"]:
        """Densities of at most ``fit_environments`` centres, drawn with a fixed seed."""
        density = self.expansion.density
        parts = [part for system in systems for part in split(density, system, CHUNK_BYTES)]
        sizes = [len(part.centers) for part in parts]
        drawn = torch.randperm(sum(sizes), generator=torch.Generator().manual_seed(0))
        taken = torch.zeros(sum(sizes), dtype=torch.bool)
        taken[drawn[: self.spec.fit_environments]] = True
        return torch.cat(
            [
                self.expansion.density(part)[chosen].double()
                for part, chosen in zip(parts, taken.split(sizes), strict=True)
                if chosen.any()
            ]
        )

    def fit(
        self, systems: Sequence[System], *, memory: int = MEMORY, progress: bool = False
    ) -> "Nice":
        """Fit products and contractions to training environments; returns itself.

        If there are more than the spec's ``fit_environments``, a random subset is used, the
        same each time. All blocks of two orders of these are held, and a second moment of
        the products of a block. What was kept is then in ``kept``.

        Parameters
        ----------
        systems
            Training environments, as one system or many.
        memory
            Bound on what is held beside them, bytes.
        progress
            Whether to show how far it is.

        Raises
        ------
        InputError
            If so many environments, products and components do not fit the memory.
        ValueError
            If there are no environments.
        """
        n_centers = sum(len(system.centers) for system in systems)
        if not n_centers:
            raise ValueError("no environments to fit to")
        self.cost_of_fit(systems, memory)
        self.measured.clear()
        with torch.no_grad():
            rho_i = self._training_densities(systems)
        self.radial = radial_components([rho_i], self.spec.expansion.n_channels)
        left = density = self._turned(rho_i)
        total = sum(map(len, self.orders))
        retained = self.spec.components if isinstance(self.spec.components, float) else None
        with progress_of("NICE blocks", total, progress) as step, torch.no_grad():
            for blocks in self.orders:
                fitted = {}
                for key, block in blocks.items():
                    fitted[key] = block.fit(
                        left, density, limit=self.spec.candidates, retained=retained
                    )
                    step()
                left = fitted
        return self

    def cost_of_fit(self, systems: Sequence[System], memory: int = MEMORY) -> FitCost:
        """Memory that ``fit`` will take; refused if that is too much."""
        n_centers = min(sum(len(system.centers) for system in systems), self.spec.fit_environments)
        need = fit_bytes(self.spec, n_centers)
        if need > memory:
            raise InputError(
                f"a fit of NICE to {n_centers} environments "
                f"takes up to {need / 1e9:.2g} GB, more than the {memory / 1e9:.2g} GB allowed; "
                "keep fewer components or candidates, fit to fewer environments "
                "(fit_environments), or allow more memory"
            )
        return FitCost(need)
