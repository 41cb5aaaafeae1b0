"""Sums over rows of random cosines: a complete and smooth description in closed form."""

from collections.abc import Iterator, Sequence
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from atomplete.descriptors.base import Descriptor
from atomplete.descriptors.expansion import position_of_species
from atomplete.descriptors.features import Features
from atomplete.descriptors.memory import CHUNK_BYTES, MEMORY
from atomplete.descriptors.random_fourier.environments import (
    Environments,
    Expansion,
    environments,
    expansion,
    of_densities,
    of_tags,
    slopes,
    slopes_of_mixtures,
    tag_weights,
)
from atomplete.descriptors.random_fourier.mixing import couplings, radial_weights
from atomplete.descriptors.random_fourier.rows import (
    Rows,
    RowSlopes,
    derivatives_of_rows,
    rows_of,
)
from atomplete.descriptors.random_fourier.spec import RandomFourierSpec
from atomplete.system import System

#: Centres whose rows fix the scale of each channel, at most.
SAMPLE = 500

#: Deviations below that part of the largest one are of channels that vanish but for rounding.
NOISE = 1e-12

#: Tagged neighbours of smaller weight do not count for the scale.
LEAST_WEIGHT = 1e-3


class RandomFourier(Descriptor, spec=RandomFourierSpec):
    """xi~_d = Σ_rows w cos(Ω_d · h / σ + b_d), and Σ_rows w h / σ, for N = 0, 1 and 2 tags.

    h is a row of random invariants of a centre, N tagged neighbours and up to 3 − N densities;
    with two tagged neighbours some are squares of pseudoscalars. σ is their standard deviation
    over training rows, Ω_d is normal, the phase b_d is drawn for each choice of species of the
    tagged neighbours, and w is the product of their cutoff functions. A linear function of such
    features approximates a Gaussian process whose kernel is a sum over pairs of rows.

    Parameters
    ----------
    spec
        Basis and sizes.

    References
    ----------
    Rahimi, Recht, NIPS 2007; Nigam, Pozdnyakov, Huguenin-Dumittan, Ceriotti, arXiv:2302.14770.

    Examples
    --------
    >>> import ase
    >>> system = System.from_atoms(ase.Atoms("B2", [(0, 0, 0), (0, 0, 1.6)]), cutoff=5.0)
    >>> RandomFourier(RandomFourierSpec()).fit([system])(system)
    Features(2 rows × 1412 features, 0 odd; rows labelled by structure, center)
    """

    def __init__(self, spec: RandomFourierSpec) -> None:
        super().__init__()
        self.spec = spec
        #: Radius of the tagged neighbours, Å.
        self.tag_cutoff = spec.tag_cutoff or spec.cutoff
        #: Channels that are squared, the last ones, by the number of tagged neighbours.
        self.n_odd: list[int] = []
        generator = torch.Generator().manual_seed(spec.seed)
        n_species = len(spec.species)
        for n_tagged, level in enumerate(spec.levels):
            n_factors = 2 if n_tagged == 2 else 3
            shape = spec.max_radial, n_factors, level.channels, spec.max_angular + 1
            forms, odd = couplings(n_tagged, level.channels, spec.max_angular, generator)
            normal = torch.randn(
                level.channels, level.features, generator=generator, dtype=torch.float64
            )
            uniform = torch.rand(
                n_species**n_tagged, level.features, generator=generator, dtype=torch.float64
            )
            frequencies = normal * level.frequency / max(level.channels, 1) ** 0.5
            drawn = {
                "radial": radial_weights(spec.species, shape, generator),
                "forms": forms,
                "frequencies": frequencies,
                "phases": 2 * torch.pi * uniform,
                "deviations": torch.zeros(level.channels, dtype=torch.float64),
            }
            for name, value in drawn.items():
                self.register_buffer(f"{name}_{n_tagged}", value)
            self.n_odd.append(odd)

    def __repr__(self) -> str:
        return f"RandomFourier({self.spec.n_features} features, cutoff {self.cutoff:g} Å)"

    @property
    def parity(self) -> Int[Tensor, " feature"]:
        """(feature,) +1: all are scalars."""
        return torch.ones(self.spec.n_features, dtype=torch.long)

    @property
    def needs_fit(self) -> bool:
        """True: the scale of each channel is found from training structures."""
        return True

    @property
    def is_fitted(self) -> bool:
        """Whether scales were found."""
        return any(bool(self._of(n, "deviations").any()) for n in range(3))

    def _of(self, n_tagged: int, name: str) -> Tensor:
        found: Tensor = getattr(self, f"{name}_{n_tagged}")
        return found

    def fit(
        self, systems: Sequence[System], *, memory: int = MEMORY, progress: bool = False
    ) -> "RandomFourier":
        """Find the standard deviation of each channel over rows of some training environments."""
        if not systems:
            raise ValueError("no environments to fit to")
        found: list[list[Tensor]] = [[], [], []]
        for system in systems:
            chosen = torch.linspace(0, len(system.centers) - 1, min(SAMPLE, len(system.centers)))
            kept = chosen.long().unique()
            for table in self._tables(system):
                some = table.at(torch.isin(table.center, kept))
                expanded = self._expansion(some)
                for n_tagged in range(3):
                    rows = self._rows(some, expanded, n_tagged)
                    found[n_tagged].append(rows.values[rows.weight > LEAST_WEIGHT])
        for n_tagged, parts in enumerate(found):
            deviations = self._of(n_tagged, "deviations").fill_(1.0)
            values = torch.cat([deviations.new_zeros(0, len(deviations)), *parts])
            if values.numel():
                deviation = values.std(0, correction=0)
                # a channel that is the same in all rows is not blown up
                deviation = deviation.maximum(1e-3 * values.square().mean(0).sqrt())
                # nor one that vanishes but for rounding, as pseudoscalars of planar molecules do
                least = NOISE * deviation.max()
                deviations.copy_(deviation.where(deviation > least, 1.0))
        return self

    def forward(self, system: System) -> Features:
        """Features of all centres: (center, feature)."""
        parts, centers = [], []
        for table in self._tables(system):
            expanded = self._expansion(table)
            parts.append(torch.cat([self._summed(table, expanded, n) for n in range(3)], 1))
            centers.append(table.center)
        lone = torch.ones(len(system.centers), dtype=torch.bool, device=system.i.device)
        if centers:
            lone[torch.cat(centers)] = False
        left = lone.nonzero()[:, 0]
        parts.append(self._of_lone_centers(len(left), system))
        values = torch.cat(parts)[torch.cat([*centers, left]).argsort()]
        return Features.of_centers(system, values, self.parity)

    def _of_lone_centers(self, number: int, system: System) -> Tensor:
        """Features of centres without neighbours: all forms vanish, but a cosine is a constant."""
        values = torch.zeros(number, self.spec.n_features).to(system.r_ij)
        cosines = self._of(0, "phases")[0].cos().to(values)
        values[:, : len(cosines)] = cosines
        return values

    def _tables(self, system: System) -> Iterator[Environments]:
        species = position_of_species(system, self.spec.species)[system.j]
        return environments(system, species, self.cutoff, self.tag_cutoff)

    def _expansion(self, table: Environments) -> Expansion:
        spec = self.spec
        return expansion(table, len(spec.species), spec.max_radial, spec.max_angular, self.cutoff)

    def _rows(
        self, table: Environments, found: Expansion, n_tagged: int, *, partials: bool = False
    ) -> Rows:
        radial = self._of(n_tagged, "radial")
        return rows_of(
            of_tags(found, table.n_tags, radial),
            of_densities(found, radial[:, :, n_tagged - 3 :]),
            tag_weights(table.r[:, : table.n_tags], self.tag_cutoff),
            n_tagged,
            self._of(n_tagged, "forms").to(table.r),
            self.n_odd[n_tagged],
            partials=partials,
        )

    def _tagged_species(self, table: Environments, rows: Rows) -> Int[Tensor, "environment row"]:
        """Number of the choice of species of the tagged neighbours, whatever their order."""
        number = table.species.new_zeros(len(table.species), rows.tags.shape[1])
        tagged = [table.species[:, slots] for slots in rows.tags]
        if len(tagged) == 2:
            tagged = [torch.minimum(*tagged), torch.maximum(*tagged)]
        for species in tagged:
            number = number * len(self.spec.species) + species
        return number

    def _arguments(
        self, scaled: Float[Tensor, "environment row channel"], species: Tensor, n_tagged: int
    ) -> Float[Tensor, "environment row feature"]:
        """Arguments of the cosines."""
        phases = self._of(n_tagged, "phases").to(scaled)
        return scaled @ self._of(n_tagged, "frequencies").to(scaled) + phases[species]

    def _summed(
        self, table: Environments, expanded: Expansion, n_tagged: int
    ) -> Float[Tensor, "environment feature"]:
        """Cosines and channels of one kind of rows, summed over them."""
        rows = self._rows(table, expanded, n_tagged)
        scaled = rows.values / self._of(n_tagged, "deviations").to(rows.values)
        arguments = self._arguments(scaled, self._tagged_species(table, rows), n_tagged)
        return torch.cat(
            [torch.einsum("er,erf->ef", rows.weight, x) for x in (arguments.cos(), scaled)], 1
        )

    @torch.no_grad()
    def center_derivatives(
        self, system: System
    ) -> Iterator[tuple[Int[Tensor, " pair"], Float[Tensor, "pair xyz feature"]]]:
        """Derivatives of the features of each centre in the vectors to its neighbours, 1/Å."""
        self.check(system)
        n_pairs = len(system.i)
        size = (self.spec.max_angular + 1) ** 2
        widest = max(9 * size * level.channels + 3 * level.features for level in self.spec.levels)
        n_slots = CHUNK_BYTES // (8 * widest)
        for table in (part for whole in self._tables(system) for part in whole.split(n_slots)):
            found = torch.cat([self._derivatives(table, n) for n in range(3)], 3)
            kept = table.pair.flatten() < n_pairs
            yield table.pair.flatten()[kept], found.flatten(0, 1)[kept]

    def _derivatives(
        self, table: Environments, n_tagged: int
    ) -> Float[Tensor, "environment slot xyz feature"]:
        """Derivatives of the sums over one kind of rows."""
        rows = self._slopes(table, n_tagged)
        arguments = self._arguments(rows.values, rows.species, n_tagged)
        by_values, by_weight = rows.by_vectors, rows.weight_by_vectors
        frequencies = self._of(n_tagged, "frequencies").to(by_values)
        weighted = rows.weight[..., None] * arguments.sin()
        of_cosines = by_weight.flatten(2).transpose(1, 2) @ arguments.cos()
        # rows one by one: all together would not fit into the cache
        for row, of_row in enumerate(by_values.flatten(2, 3).unbind(1)):
            moved = (of_row.flatten(0, 1) @ frequencies).view_as(of_cosines)
            of_cosines.addcmul_(weighted[:, row, None], moved, value=-1)
        of_channels = torch.einsum("er,ermxc->emxc", rows.weight, by_values)
        of_channels += torch.einsum("ermx,erc->emxc", by_weight, rows.values)
        return torch.cat([of_cosines.unflatten(1, by_weight.shape[2:]), of_channels], 3)

    def _slopes(self, table: Environments, n_tagged: int) -> RowSlopes:
        """Scaled rows of one kind and their derivatives in the vectors to all neighbours."""
        rows = self._rows(table, self._expansion(table), n_tagged, partials=True)
        near = table.r[:, : table.n_tags]
        weight = partial(tag_weights, tag_cutoff=self.tag_cutoff)
        by_values, by_weight = derivatives_of_rows(
            rows,
            slopes_of_mixtures(table.r, table.species, self._of(n_tagged, "radial"), self.cutoff),
            weight(near),
            slopes(weight, near),
        )
        deviations = self._of(n_tagged, "deviations").to(by_values)
        species = self._tagged_species(table, rows)
        return RowSlopes(
            rows.values / deviations, rows.weight, by_values / deviations, by_weight, species
        )

    @torch.no_grad()
    def row_slopes(
        self, system: System, most_tagged: int
    ) -> Iterator[tuple[Environments, list[RowSlopes]]]:
        """Tables of environments with their rows of 0 to so many tagged neighbours.

        They depend on no frequency or phase, nor do their derivatives, which are given as well.
        """
        self.check(system)
        for table in self._tables(system):
            yield table, [self._slopes(table, n_tagged) for n_tagged in range(most_tagged + 1)]
