"""Density correlations as a descriptor: one row for each centre (N = 0)."""

import torch
from jaxtyping import Int
from torch import Tensor

from atomplete.descriptors.base import Descriptor
from atomplete.descriptors.density.correlations import nu1, nu2, nu3
from atomplete.descriptors.expansion import Expansion
from atomplete.descriptors.features import Features
from atomplete.descriptors.specs import DensityCorrelationsSpec
from atomplete.system import System


class DensityCorrelations(Descriptor, spec=DensityCorrelationsSpec):
    """The invariants of rho_i of the orders ν that the spec names, side by side.

    Parameters
    ----------
    spec
        Orders and basis.

    Examples
    --------
    >>> import ase
    >>> descriptor = DensityCorrelations(DensityCorrelationsSpec(nu=(2,)))
    >>> descriptor(System.from_atoms(ase.Atoms("B2", [(0, 0, 0), (0, 0, 1.6)]), cutoff=2.0))
    Features(2 rows × 84 features, 0 odd; rows labelled by structure, center)
    """

    def __init__(self, spec: DensityCorrelationsSpec) -> None:
        super().__init__()
        self.spec = spec
        self.expansion = Expansion(spec.expansion)
        lm = (spec.expansion.max_angular + 1) ** 2
        nothing = torch.zeros(0, spec.expansion.n_channels, lm)
        #: (feature,) +1 for scalars, −1 for pseudoscalars.
        self.parity: Int[Tensor, " feature"] = self._invariants(nothing)[1]

    def __repr__(self) -> str:
        cutoff = self.spec.expansion.cutoff
        return f"DensityCorrelations({len(self.parity)} features, cutoff {cutoff} Å)"

    def forward(self, system: System) -> Features:
        """Features of every centre of ``system``: (center, feature)."""
        values, parity = self._invariants(self.expansion.density(system))
        return Features.of_centers(system, values, parity)

    def _invariants(self, rho_i: Tensor) -> tuple[Tensor, Tensor]:
        blocks, parities = [], []
        for nu in self.spec.nu:
            if nu == 3:
                block, parity = nu3(rho_i)
            else:
                block = nu1(rho_i) if nu == 1 else nu2(rho_i)
                parity = torch.ones(block.shape[1], dtype=torch.long, device=rho_i.device)
            blocks.append(block)
            parities.append(parity)
        values = blocks[0] if len(blocks) == 1 else torch.cat(blocks, 1)
        return values, torch.cat(parities)
