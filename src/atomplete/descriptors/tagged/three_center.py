"""Three-centre descriptors, as they are or contracted."""

from collections.abc import Callable, Sequence
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from atomplete.descriptors.base import Descriptor, FitCost
from atomplete.descriptors.contraction.contraction import (
    Kept,
    principal_components,
    radial_kept,
    radial_moments,
    row_components,
)
from atomplete.descriptors.contraction.exchange import exchanged_sizes, exchanges
from atomplete.descriptors.contraction.method import Plan, plan
from atomplete.descriptors.evaluate import refuse_larger, split
from atomplete.descriptors.expansion import Expansion
from atomplete.descriptors.features import Features
from atomplete.descriptors.memory import CHUNK_BYTES, MEMORY, OVERHEAD, Measurements, center_bytes
from atomplete.descriptors.specs import ThreeCenterSpec, tag_cutoff_of
from atomplete.descriptors.tagged.rows import (
    neighbor_tuples,
    three_center,
    three_center_labels,
    three_center_parity,
)
from atomplete.o3 import lm_slice
from atomplete.runs.progress import progress_of
from atomplete.system import System


class ThreeCenter(Descriptor, spec=ThreeCenterSpec):
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
    >>> descriptor = ThreeCenter(ThreeCenterSpec())
    >>> system = System.from_atoms(ase.Atoms("B2", [(0, 0, 0), (0, 0, 1.6)]), cutoff=2.0)
    >>> descriptor(system).values.shape
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
        basis = spec.expansion
        self.spec = spec
        #: Radius of the tagged neighbours, Å.
        self.tag_cutoff = tag_cutoff_of(spec)
        self.expansion = Expansion(basis)
        channels = min(basis.n_channels, spec.radial_components or basis.n_channels)
        radial_shape = (basis.max_angular + 1, basis.n_channels, channels)
        self._channels = channels
        #: Of both parities: sums and differences of features that an exchange of neighbours swaps.
        self._sizes = exchanged_sizes(channels, basis.max_angular)
        sizes = sum(self._sizes[0]), sum(self._sizes[1])
        kept = sizes if spec.components is None else spec.components
        self._kept = min(sizes[0], kept[0]), min(sizes[1], kept[1])
        self._kept_of_fit: tuple[Kept, ...] = ()
        self._measured_rows: Measurements = {}
        contracted, projected = spec.radial_components is not None, spec.components is not None
        self.register_buffer("radial", _unfitted(*radial_shape) if contracted else None)
        self.register_buffer("even", _unfitted(sizes[0], self._kept[0]) if projected else None)
        self.register_buffer("odd", _unfitted(sizes[1], self._kept[1]) if projected else None)

    def __repr__(self) -> str:
        cutoff = self.spec.expansion.cutoff
        return f"ThreeCenter({self.n_features} features, cutoff {cutoff} Å)"

    @cached_property
    def labels(self) -> Int[Tensor, "feature 6"]:
        """(feature, 6): (q1, l1, q2, l2, q3, l3) of each feature before the projection."""
        return three_center_labels(self._channels, self.spec.expansion.max_angular)

    @property
    def n_features(self) -> int:
        """Number of features."""
        return sum(self._kept)

    @property
    def numbers_per_row(self) -> int:
        """Features of a row before the projection."""
        return sum(map(sum, self._sizes))

    @property
    def parity(self) -> Int[Tensor, " feature"]:
        """(feature,) +1 for scalars, −1 for pseudoscalars."""
        if self.even is None:
            return three_center_parity(self._channels, self.spec.expansion.max_angular)
        return torch.tensor([1] * self._kept[0] + [-1] * self._kept[1])

    @property
    def kept(self) -> tuple[Kept, ...]:
        """Components that the contractions have kept of the data that they were fitted to here."""
        return self._kept_of_fit

    def rows_per_center(self, system: System) -> Int[Tensor, " center"]:
        """Rows of each centre: its number of tagged neighbours squared."""
        return self._near(system).neighbor_counts ** 2

    @property
    def one_row_per_center(self) -> bool:
        """False: neighbours are tagged."""
        return False

    @property
    def needs_fit(self) -> bool:
        """Whether the spec names contractions."""
        return self.radial is not None or self.even is not None

    @property
    def is_fitted(self) -> bool:
        """Whether there are no contractions, or all were fitted."""
        contractions = [self.radial, self.even, self.odd]
        # one column tells, and is quick to look through
        return not any(
            bool(columns[..., :1].isnan().any()) for columns in contractions if columns is not None
        )

    @property
    def feature_labels(self) -> tuple[tuple[str, ...], Int[Tensor, "feature column"]] | None:
        """(q, l) of each of the three factors; components of rows have no factors."""
        return None if self.even is not None else (("q", "l") * 3, self.labels)

    def projected(
        self,
        even: Float[Tensor, "even even_output"],
        odd: Float[Tensor, "odd odd_output"],
    ) -> Callable[[System], Features]:
        """Linear functions of the rows, without the rows."""
        from atomplete.descriptors.tagged.fused import FusedRows  # which is made of this

        self.refuse_unfitted()
        return FusedRows(self, even, odd)

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
        near = self._near(system)
        if near is not system or self.tag_cutoff < self.spec.expansion.cutoff:
            g_ij = self.pairs(near, self.tag_cutoff)
        return near, g_ij, rho_i

    def _near(self, system: System) -> System:
        """The pairs of tagged neighbours."""
        return system.within(self.tag_cutoff)

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

    def fit(
        self, systems: Sequence[System], *, memory: int = MEMORY, progress: bool = False
    ) -> "ThreeCenter":
        """Fit the contractions that the spec names to training environments; returns itself.

        Streams over ``systems``: once for the radial contraction, once for exact components,
        twice for those of a sketch. What was kept is then in ``kept``.

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
            If components and the rows of one centre do not fit the memory.
        ValueError
            If there are no environments.
        """
        if not systems:
            raise ValueError("no environments to fit to")
        with torch.no_grad():
            kept: tuple[Kept, ...] = ()
            if self.radial is not None:
                parts = (part for system in systems for part in self._parts(system))
                moments = radial_moments(map(self.expansion.pairs, parts))
                columns = [principal_components(m, self.radial.shape[2]) for m in moments]
                self.radial = torch.stack(columns)
                kept = radial_kept(moments, self.radial)
            if self.even is not None:
                kept += self._fit_components(systems, memory, progress)
        self._kept_of_fit = kept
        return self

    def cost_of_fit(self, systems: Sequence[System], memory: int = MEMORY) -> FitCost:
        """Memory that ``fit`` will take, and its method; refused if that is too much."""
        if self.even is None:
            return FitCost(self._refuse_larger(systems, memory))
        way = self.contraction_plan(systems, memory)
        words = f"components: {way.method}, {way.operations:.1g} operations"
        return FitCost(max(way.peak, way.held + way.chunk_bytes), words)

    def contraction_plan(self, systems: Sequence[System], memory: int = MEMORY) -> Plan:
        """Method by which ``fit`` finds components of the rows of ``systems`` within ``memory``."""
        tagged = torch.cat([self._near(system).neighbor_counts for system in systems])
        return plan(
            self._sizes,
            self._kept,
            n_rows=int((tagged * (tagged + 1)).sum()) // 2,
            largest=self._refuse_larger(systems, memory) - OVERHEAD,
            memory=memory,
        )

    def _refuse_larger(self, systems: Sequence[System], memory: int) -> int:
        """Bytes that the rows of the largest environment take, if that is no more than memory."""
        largest = max(systems, key=lambda system: int(self.rows_per_center(system).max()))
        with torch.no_grad():
            need = center_bytes(
                self._distinct_rows,
                largest,
                self.rows_per_center,
                self._measured_rows,
                self.numbers_per_row,
            )
        refuse_larger(largest, need, memory - OVERHEAD)
        return OVERHEAD + int(need.max())

    def _fit_components(
        self, systems: Sequence[System], memory: int, progress: bool
    ) -> tuple[Kept, ...]:
        way = self.contraction_plan(systems, memory)
        parts = [part for system in systems for part in self._parts(system, way.chunk_bytes)]
        with progress_of("components", way.n_passes * len(parts), progress) as step:

            def rows(part: System) -> Tensor:
                found = self._distinct_rows(part)
                step()
                return found

            self.even, self.odd, kept = row_components(
                lambda: map(rows, parts), exchanges(self.labels), self._kept, way
            )
        return kept

    def _parts(self, system: System, chunk_bytes: int = CHUNK_BYTES) -> list[System]:
        """Chunks of centres whose rows are multiplied at a time."""
        return split(
            self._distinct_rows,
            system,
            chunk_bytes,
            self.rows_per_center,
            self._measured_rows,
            self.numbers_per_row,
        )

    def _distinct_rows(self, system: System) -> Float[Tensor, "row feature"]:
        """Rows i1 ≤ i2, those that stand for two rows times √2."""
        first, second = neighbor_tuples(self._near(system))
        values = self.rows(system).values[first <= second]
        values[(first < second)[first <= second]] *= 2**0.5
        return values


def _unfitted(*shape: int) -> Tensor:
    """Columns that no fit has found: what is made of them is no number either."""
    return torch.full(shape, torch.nan, dtype=torch.float64)
