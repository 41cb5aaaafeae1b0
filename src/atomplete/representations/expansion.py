"""Pair coefficients g_ij and neighbour densities rho_i: <nlm|r_ji> = R_nl(r) f_c(r) Y_lm(r̂)."""

import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from atomplete.basis import (
    CutoffFunction,
    GaussianTypeOrbitals,
    QuinticSpline,
    RadialBasis,
    ShiftedCosine,
)
from atomplete.errors import InputError
from atomplete.o3 import spherical_harmonics
from atomplete.system import System


class ExpansionSpec(BaseModel):
    """Everything that fixes the basis on which environments are expanded.

    The defaults are those of the paper: one species, Gaussian-smeared GTOs, cutoff 2 Å.

    Examples
    --------
    >>> ExpansionSpec(species=(1, 6)).n_channels
    12
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    cutoff: float = Field(default=2.0, gt=0, description="radius of an environment, Å")
    max_radial: int = Field(default=6, ge=1, description="number of radial functions")
    max_angular: int = Field(default=3, ge=0, description="largest l, inclusive")
    species: tuple[int, ...] = Field(default=(5,), description="atomic numbers of neighbours")
    radial: RadialBasis = GaussianTypeOrbitals()
    cutoff_function: CutoffFunction = ShiftedCosine()

    @property
    def n_channels(self) -> int:
        """Channels of g_ij: one for each species and radial function."""
        return len(self.species) * self.max_radial


class Expansion:
    """Maps a ``System`` to pair coefficients and densities.

    Species enter as channels: channel a·max_radial + n of g_ij is R_nl(r) where the neighbour
    is of the a-th species and zero elsewhere, so that everything downstream treats species and
    radial functions alike.

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
        self._angular_of_lm = torch.tensor(
            [l for l in range(spec.max_angular + 1) for _ in range(2 * l + 1)]
        )
        shape = (spec.max_radial, spec.max_angular)
        self._radial = QuinticSpline(
            lambda r: spec.radial.evaluate(
                r, cutoff=spec.cutoff, max_radial=shape[0], max_angular=shape[1]
            ).reshape(len(r), -1),
            upper=spec.cutoff,
        )

    def __repr__(self) -> str:
        return f"Expansion({self.spec!r})"

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
            If a neighbour is of a species that the spec does not name.
        """
        r_ij = system.r_ij
        r = torch.linalg.vector_norm(r_ij, dim=-1)
        radial = self._radial(r) * self.spec.cutoff_function(r, cutoff or self.spec.cutoff)[:, None]
        radial = radial.reshape(len(r), self.spec.max_radial, self.spec.max_angular + 1)
        harmonics = spherical_harmonics(r_ij / r[:, None], self.spec.max_angular)
        g_ij = radial[:, :, self._angular_of_lm.to(r.device)] * harmonics[:, None]
        species = self._species_index(system)
        if len(self.spec.species) == 1:
            return g_ij
        one_hot = torch.nn.functional.one_hot(species, len(self.spec.species)).to(g_ij.dtype)
        return torch.einsum("pa,pnm->panm", one_hot, g_ij).flatten(1, 2)

    def density(
        self, system: System, g_ij: Float[Tensor, "pair channel lm"] | None = None
    ) -> Float[Tensor, "center channel lm"]:
        """rho_i = Σ_j g_ij, (center, channel, lm); zero for a centre without neighbours."""
        if g_ij is None:
            g_ij = self.pairs(system)
        rho_i = g_ij.new_zeros(len(system.centers), *g_ij.shape[1:])
        return rho_i.index_add(0, system.i, g_ij)

    def _species_index(self, system: System) -> Tensor:
        known = torch.tensor(self.spec.species, device=system.species.device)
        match = system.species[system.j][:, None] == known
        unknown = ~match.any(-1)
        if unknown.any():
            atom = int(system.j[unknown][0])
            raise InputError(
                f"structure {int(system.structure[atom])}: atom of atomic number "
                f"{int(system.species[atom])}, but the representation knows "
                f"{', '.join(map(str, self.spec.species))}"
            )
        return match.to(torch.long).argmax(-1)
