"""Three-centre descriptors as a representation, as they are or contracted."""

from collections.abc import Callable, Iterator, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from atomplete.o3 import lm_slice
from atomplete.progress import progress_of
from atomplete.representations.contraction import radial_components, row_components
from atomplete.representations.expansion import Expansion
from atomplete.representations.features import Features
from atomplete.representations.specs import ThreeCenterSpec
from atomplete.representations.tagged import three_center, three_center_labels
from atomplete.system import System


class ThreeCenter(nn.Module):
    """One row for each (centre, neighbour 1, neighbour 2), as in ``tagged.three_center``.

    A contracted one must be fitted before it is used. Contractions are buffers, so that a
    state dict holds them.

    Parameters
    ----------
    spec
        Basis and contractions.

    Examples
    --------
    >>> import ase
    >>> representation = ThreeCenter(ThreeCenterSpec())
    >>> system = System.from_atoms(ase.Atoms("B2", [(0, 0, 0), (0, 0, 1.6)]), cutoff=2.0)
    >>> representation(system).values.shape
    torch.Size([2, 7344])
    >>> small = ThreeCenter(ThreeCenterSpec(radial_components=4, components=(20, 10)))
    >>> small.fit([system])(system).values.shape
    torch.Size([2, 30])
    """

    radial: Tensor | None
    even: Tensor | None
    odd: Tensor | None

    def __init__(self, spec: ThreeCenterSpec) -> None:
        super().__init__()
        self.spec = spec
        self.expansion = Expansion(spec.expansion)
        basis = spec.expansion
        channels = min(basis.n_channels, spec.radial_components or basis.n_channels)
        radial_shape = (basis.max_angular + 1, basis.n_channels, channels)
        #: (feature, 6): (q1, l1, q2, l2, q3, l3) of each feature before the projection.
        self.labels = three_center_labels(channels, basis.max_angular)
        n_odd = int((self.labels[:, 1::2].sum(1) % 2).sum())
        sizes = len(self.labels) - n_odd, n_odd
        kept = sizes if spec.components is None else spec.components
        self._kept = min(sizes[0], kept[0]), min(sizes[1], kept[1])
        contracted, projected = spec.radial_components is not None, spec.components is not None
        self.register_buffer("radial", _zeros(*radial_shape) if contracted else None)
        self.register_buffer("even", _zeros(sizes[0], self._kept[0]) if projected else None)
        self.register_buffer("odd", _zeros(sizes[1], self._kept[1]) if projected else None)

    def __repr__(self) -> str:
        cutoff = self.spec.expansion.cutoff
        return f"ThreeCenter({len(self.parity)} features, cutoff {cutoff} Å)"

    @property
    def parity(self) -> Int[Tensor, " feature"]:
        """(feature,) +1 for scalars, −1 for pseudoscalars."""
        if self.even is None:
            return 1 - 2 * (self.labels[:, 1::2].sum(1) % 2)
        return torch.tensor([1] * self._kept[0] + [-1] * self._kept[1])

    @property
    def tag_cutoff(self) -> float:
        """Radius of the tagged neighbours, Å."""
        return self.spec.tag_cutoff or self.spec.expansion.cutoff

    def n_rows(self, system: System) -> Int[Tensor, " center"]:
        """Rows of each centre: its number of tagged neighbours squared."""
        return system.within(self.tag_cutoff).neighbor_counts ** 2

    def row_bytes(self, system: System) -> Int[Tensor, " center"]:
        """Bytes that each centre's rows take while they are computed, at the least."""
        row = len(self.labels) * system.positions.element_size()
        # the coupled tensor of each neighbour is 2l+1 rows or so, the result is copied once
        counts = system.within(self.tag_cutoff).neighbor_counts
        return row * (2 * counts**2 + 3 * counts)

    def pairs(
        self, system: System, cutoff: float | None = None
    ) -> Float[Tensor, "pair channel lm"]:
        """Pair coefficients g_ij, their radial channels contracted if the spec says so."""
        g_ij = self.expansion.pairs(system, cutoff)
        if self.radial is None:
            return g_ij
        radial = self.radial.to(g_ij)
        blocks = [
            torch.einsum("pcm,ck->pkm", g_ij[:, :, lm_slice(o3_lambda)], radial[o3_lambda])
            for o3_lambda in range(len(radial))
        ]
        return torch.cat(blocks, 2)

    def tagged(self, system: System) -> tuple[System, Tensor, Tensor]:
        """The pairs of tagged neighbours, their coefficients g_ij, and the density of all."""
        g_ij = self.pairs(system)
        rho_i = self.expansion.density(system, g_ij)
        if self.spec.tag_cutoff is None:
            return system, g_ij, rho_i
        near = system.within(self.tag_cutoff)
        return near, self.pairs(near, self.tag_cutoff), rho_i

    def rows(self, system: System) -> Features:
        """Rows before the projection on components."""
        return three_center(
            *self.tagged(system),
            cutoff=self.tag_cutoff,
            cutoff_function=self.spec.expansion.cutoff_function,
        )

    def forward(self, system: System) -> Features:
        """All rows of every centre of ``system``: (row, feature)."""
        rows = self.rows(system)
        if self.even is None or self.odd is None:
            return rows
        return rows.project(self.even.to(rows.values), self.odd.to(rows.values))

    def fit(self, systems: Sequence[System], *, progress: bool = False) -> "ThreeCenter":
        """Fit the contractions that the spec names to training environments; returns itself.

        Streams twice over ``systems`` (a list of chunks, see ``streaming.split``): once for
        the radial contraction, once for the projection. Beside one chunk, two square matrices
        of the number of features are held.
        """
        if self.radial is not None:
            pairs = (self.expansion.pairs(system) for system in systems)
            self.radial = radial_components(pairs, self.radial.shape[2])
        if self.even is not None and self.odd is not None:
            kept = self.even.shape[1], self.odd.shape[1]
            with progress_of("components", len(systems), progress) as step:
                self.even, self.odd = row_components(self._stepwise(systems, step), kept)
        return self

    def _stepwise(self, systems: Sequence[System], step: Callable[[], None]) -> Iterator[Features]:
        for system in systems:
            yield self.rows(system)
            step()


def _zeros(*shape: int) -> Tensor:
    return torch.zeros(shape, dtype=torch.float64)
