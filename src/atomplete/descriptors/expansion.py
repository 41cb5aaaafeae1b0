"""Pair coefficients g_ij and neighbour densities rho_i: <nlm|r_ji> = R_nl(r) f_c(r) Y_lm(r̂)."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from atomplete.descriptors.slots import slots_of_groups
from atomplete.errors import InputError
from atomplete.o3 import spherical_harmonics
from atomplete.radial import (
    ChebyshevSeries,
    CutoffFunction,
    GaussianTypeOrbitals,
    RadialBasis,
    ShiftedCosine,
)
from atomplete.registry import Species
from atomplete.system import System
from atomplete.units import Cutoff

#: Consecutive l whose radial functions and harmonics are multiplied all with all: a few large
#: products are quicker than many small ones, although only those of equal l are kept.
ORDERS = 4


#: A basis for a cutoff of more widths of the density, or for a wider one, takes minutes to build.
MOST_WIDTHS = 500


class ExpansionSpec(BaseModel):
    """Everything that fixes the basis on which environments are expanded.

    The defaults are those of the paper: one species, Gaussian-smeared GTOs, cutoff 2 Å.

    Examples
    --------
    >>> ExpansionSpec(species=(1, 6)).n_channels
    12
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    cutoff: Cutoff = Field(default=2.0, description="radius of an environment, Å")
    max_radial: int = Field(default=6, ge=1, description="number of radial functions")
    max_angular: int = Field(default=3, ge=0, le=16, description="largest l, inclusive")
    species: Species = Field(default=(5,), min_length=1, description="atomic numbers of neighbours")
    embedding: tuple[tuple[float, ...], ...] | None = Field(
        default=None,
        description="weights of the channels for each of the species; None: a channel for each",
    )
    radial: RadialBasis = GaussianTypeOrbitals()
    cutoff_function: CutoffFunction = ShiftedCosine()

    @model_validator(mode="after")
    def _no_more_than_the_basis_has(self) -> "ExpansionSpec":
        if self.max_radial > self.radial.most:
            raise ValueError(
                f"max_radial {self.max_radial}: a {self.radial.type!r} basis has no more than "
                f"{self.radial.most} radial functions"
            )
        return self

    @model_validator(mode="after")
    def _one_row_for_each_species(self) -> "ExpansionSpec":
        if self.embedding is None:
            return self
        if len(self.embedding) != len(self.species):
            raise ValueError(
                f"embedding: {len(self.embedding)} rows for {len(self.species)} species"
            )
        lengths = sorted({len(row) for row in self.embedding})
        if len(lengths) > 1 or lengths[0] == 0:
            raise ValueError(f"embedding: rows of equal length, not {lengths}")
        return self

    @model_validator(mode="after")
    def _lengths_are_comparable(self) -> "ExpansionSpec":
        width = getattr(self.radial, "density_width", self.cutoff)
        if not 1 / MOST_WIDTHS <= self.cutoff / width <= MOST_WIDTHS:
            raise ValueError(
                f"cutoff {self.cutoff:g} Å and a density of width {width:g} Å differ by more than "
                f"a factor of {MOST_WIDTHS}"
            )
        return self

    @property
    def n_channels(self) -> int:
        """Channels of g_ij: one for each radial function and species, or weight of species."""
        weights = self.species if self.embedding is None else self.embedding[0]
        return len(weights) * self.max_radial


class Expansion:
    """Maps a ``System`` to pair coefficients and densities.

    Species enter as channels: channel a·max_radial + n of g_ij is R_nl(r) where the neighbour
    is of the a-th species and zero elsewhere, so that everything downstream treats species and
    radial functions alike. With an embedding, it is R_nl(r) times the weight a of the
    neighbour's species.

    Parameters
    ----------
    spec
        The basis.

    Examples
    --------
    >>> import ase
    >>> expansion = Expansion(ExpansionSpec())
    >>> system = System.from_atoms(ase.Atoms("B2", [(0, 0, 0), (0, 0, 1.6)]), cutoff=2.0)
    >>> expansion.pairs(system).shape, expansion.density(system).shape
    (torch.Size([2, 6, 16]), torch.Size([2, 6, 16]))
    """

    def __init__(self, spec: ExpansionSpec) -> None:
        self.spec = spec
        orders = range(spec.max_angular + 1)
        self._angular_of_lm = torch.tensor([l for l in orders for _ in range(2 * l + 1)])
        sizes = {"max_radial": spec.max_radial, "max_angular": spec.max_angular}
        self._radial = ChebyshevSeries(
            lambda r: (
                spec.radial.evaluate(r, cutoff=spec.cutoff, **sizes)
                .transpose(0, 2, 1)
                .reshape(len(r), -1)
            ),
            upper=spec.cutoff,
        )
        # where l of the harmonic and of the radial function agree, among all products of a run
        self._equal_orders = []
        for first in range(0, spec.max_angular + 1, ORDERS):
            run = orders[first : first + ORDERS]
            order = torch.tensor([l - first for l in run for _ in range(2 * l + 1)])
            self._equal_orders.append(torch.arange(len(order)) * len(run) + order)
        embedding = np.eye(len(spec.species)) if spec.embedding is None else spec.embedding
        self._embedding = torch.tensor(embedding, dtype=torch.float64)  # species, a

    def __repr__(self) -> str:
        return f"Expansion({self.spec!r})"

    def radial(
        self, r: Float[Tensor, " pair"], factor: Float[Tensor, " pair"] | None = None
    ) -> Float[Tensor, "pair l n"]:
        """R_nl at the distances ``r``, times a factor if there is one, in their dtype."""
        shape = self.spec.max_angular + 1, self.spec.max_radial
        return self._radial(r, factor).unflatten(1, shape)

    def pairs(
        self, system: System, cutoff: float | None = None
    ) -> Float[Tensor, "pair channel lm"]:
        """g_ij, (pair, channel, lm), in the dtype of the positions.

        Parameters
        ----------
        system
            Atoms and pairs.
        cutoff
            Where the cutoff function ends, Å; by default the cutoff of the spec. Tagged
            neighbours may have a shorter one.

        Raises
        ------
        InputError
            If a neighbour is of a species that the spec does not name, or pairs were listed with
            another cutoff.
        """
        cutoff = cutoff or self.spec.cutoff
        system.refuse_other_cutoff(cutoff)
        r_ij = system.r_ij
        r = torch.linalg.vector_norm(r_ij, dim=-1)
        radial = self.radial(r, self.spec.cutoff_function(r, cutoff))
        radial = radial.transpose(1, 2)[:, :, self._angular_of_lm.to(r.device)]
        harmonics = spherical_harmonics(r_ij / r[:, None], self.spec.max_angular)
        g_ij = radial * harmonics.contiguous()[:, None]
        species = position_of_species(system, self.spec.species)
        if self.spec.embedding is None and len(self.spec.species) == 1:
            return g_ij
        weights = self._embedding.to(g_ij)[species[system.j]]
        return torch.einsum("pa,pnm->panm", weights, g_ij).flatten(1, 2)

    def density(
        self, system: System, g_ij: Float[Tensor, "pair channel lm"] | None = None
    ) -> Float[Tensor, "center channel lm"]:
        """rho_i = Σ_j g_ij, (center, channel, lm); zero for a centre without neighbours.

        Without given g_ij, these are never formed: for each centre and species of neighbours,
        the sum over j is a matrix product of radial functions and spherical harmonics. The
        result may be strided.
        """
        if g_ij is not None:
            rho_i = g_ij.new_zeros(len(system.centers), *g_ij.shape[1:])
            return rho_i.index_add(0, system.i, g_ij)
        system.refuse_other_cutoff(self.spec.cutoff)
        n_species = len(self.spec.species)
        n_groups = len(system.centers) * n_species
        species, group_of_pair = position_of_species(system, self.spec.species), system.i
        if n_species > 1:
            group_of_pair = system.i * n_species + species.index_select(0, system.j)
        groups, tables = slots_of_groups(group_of_pair, n_groups)
        # a slot without a neighbour holds one beyond the cutoff, where f_c = 0
        xyz = torch.nn.functional.pad(system.r_ij.T, (0, 1), value=self.spec.cutoff)
        shape = len(self._angular_of_lm), self.spec.max_radial
        sums = [self._sum_over_slots(xyz.index_select(1, t.flatten()), len(t)) for t in tables]
        sums.append(xyz.new_zeros(n_groups - sum(map(len, tables)), *shape))
        rho_i = torch.cat(sums)
        if (groups[1:] < groups[:-1]).any():
            rho_i = rho_i.index_select(0, groups.argsort())
        rho_i = rho_i.view(len(system.centers), n_species, *shape).transpose(2, 3)
        if self.spec.embedding is not None:
            rho_i = torch.einsum("isnx,sa->ianx", rho_i, self._embedding.to(rho_i))
        return rho_i.flatten(1, 2)

    def _sum_over_slots(
        self, xyz: Float[Tensor, "xyz slot"], n_groups: int
    ) -> Float[Tensor, "group lm n"]:
        """Σ_j R_nl(r) f_c(r) Y_lm(r̂) over the slots of each group."""
        r = xyz.square().sum(0).sqrt()
        radial = self._radial(r, self.spec.cutoff_function(r, self.spec.cutoff))
        radial = radial.unflatten(0, (n_groups, -1))
        harmonics = spherical_harmonics((xyz / r).T, self.spec.max_angular)
        harmonics = harmonics.T.unflatten(1, (n_groups, -1)).transpose(0, 1)
        blocks = [
            (some_harmonics @ some_radial)
            .view(n_groups, -1, self.spec.max_radial)
            .index_select(1, equal.to(r.device))
            for some_harmonics, some_radial, equal in zip(
                harmonics.split([len(equal) for equal in self._equal_orders], 1),
                radial.split(ORDERS * self.spec.max_radial, 2),
                self._equal_orders,
                strict=True,
            )
        ]
        return blocks[0] if len(blocks) == 1 else torch.cat(blocks, 1)


def position_of_species(system: System, known: Sequence[int]) -> Int[Tensor, " atom"]:
    """Position of each atom's species among those that a descriptor knows.

    Raises
    ------
    InputError
        If a neighbour is of another species; names the structure.

    Examples
    --------
    >>> import ase
    >>> system = System.from_atoms(ase.Atoms("BN", [(0, 0, 0), (0, 0, 1.6)]), cutoff=2.0)
    >>> position_of_species(system, (7, 5))
    tensor([1, 0])
    """
    match = system.species[:, None] == torch.tensor(known, device=system.species.device)
    unknown = ~match.any(-1)
    if unknown.any() and unknown[system.j].any():
        atom = int(system.j[unknown[system.j]][0])
        raise InputError(
            f"structure {int(system.structure[atom])}: atom of atomic number "
            f"{int(system.species[atom])}, but the descriptor knows {', '.join(map(str, known))}"
        )
    return match.to(torch.long).argmax(-1)
