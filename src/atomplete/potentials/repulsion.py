"""Repulsion of screened nuclei at distances that no data reach."""

from collections.abc import Sequence

import ase
import torch
from ase.data import covalent_radii
from ase.units import Bohr, Hartree
from jaxtyping import Float, Int
from torch import Tensor

from atomplete.potentials.base import Potential
from atomplete.radial import PolynomialCutoff
from atomplete.system import System

#: Shares and decays of the universal screening function.
SCREENING = ((0.18175, 3.19980), (0.50986, 0.94229), (0.28022, 0.40290), (0.02817, 0.20162))

#: Screening length over 1 / (Z_i^0.23 + Z_j^0.23), Å.
LENGTH = 0.8854 * Bohr

#: From half the reach of a pair on the repulsion is switched off.
SWITCH = PolynomialCutoff(width=0.5)

#: Part of the shortest distance of two species in data that the repulsion reaches to at the most:
#: a margin for what is hotter than the data, where a fit still holds.
MARGIN = 0.9


class ZBL(Potential):
    """E = ½ Σ_ij f_ij · Z_i Z_j e² / r_ij · φ(r_ij / a_ij), half of each pair for each atom.

    Ziegler, Biersack and Littmark's a = 0.8854 a_0 / (Z_i^0.23 + Z_j^0.23) and universal φ. The
    factor f falls from one at half the reach of the pair to zero at the reach, with two continuous
    derivatives. The reach is the sum of the two covalent radii, or less where data come closer:
    the repulsion of all structures of a fit is zero, so that no fit counts it twice.

    Parameters
    ----------
    cutoff
        Bound on all reaches, Å.
    species
        Atomic numbers of the atoms.

    Attributes
    ----------
    reach
        (species, species), Å.

    References
    ----------
    Ziegler, Biersack, Littmark, The Stopping and Range of Ions in Matter, vol. 1 (1985).

    Examples
    --------
    >>> import ase
    >>> dimers = [ase.Atoms("CO", [(0, 0, 0), (0, 0, r)]) for r in (0.4, 0.8, 1.2, 1.5)]
    >>> repulsion = ZBL(5.0, (6, 8))
    >>> repulsion.predict(dimers).energy
    tensor([265.2869,  38.7817,   1.7320,   0.0000], dtype=torch.float64)
    >>> repulsion.keep_off(dimers[2:])
    >>> repulsion.predict(dimers).energy
    tensor([265.2869,  21.0882,   0.0000,   0.0000], dtype=torch.float64)
    """

    def __init__(self, cutoff: float, species: Sequence[int]) -> None:
        super().__init__()
        self.species = tuple(species)
        radii = torch.tensor(covalent_radii, dtype=torch.float64)[list(species)]
        reach = (radii[:, None] + radii).clamp(max=cutoff)
        self.cutoff = float(reach.max())  # pairs that are further apart need not be listed
        self.reach: Tensor
        self.register_buffer("reach", reach)

    def keep_off(self, structures: Sequence[ase.Atoms]) -> None:
        """Reach no pair of some structures, with a margin of a tenth of the shortest distances."""
        system = self.system(structures)
        pairs = self._species_of_pairs(system)
        flat = len(self.species) * pairs[0] + pairs[1]
        r = torch.linalg.vector_norm(system.r_ij.detach(), dim=1).to(self.reach)
        self.reach.view(-1).scatter_reduce_(0, flat, MARGIN * r, "amin")

    def atom_energies(self, system: System) -> Float[Tensor, " atom"]:
        """Half of the energies of the pairs of each atom, eV; zero for no centre."""
        r = torch.linalg.vector_norm(system.r_ij, dim=1)
        pairs = self._species_of_pairs(system)
        charges = r.new_tensor(self.species)[pairs]
        x = r / LENGTH * charges.pow(0.23).sum(0)
        screening = torch.stack([share * torch.exp(-decay * x) for share, decay in SCREENING])
        whole = Hartree * Bohr * charges.prod(0) / r * screening.sum(0)
        of_pairs = whole * SWITCH(r / self.reach[pairs[0], pairs[1]].to(r), 1.0)
        zero = of_pairs.new_zeros(len(system.positions))
        return zero.index_add(0, system.centers[system.i], of_pairs / 2)

    def _species_of_pairs(self, system: System) -> Int[Tensor, "member pair"]:
        """Positions of both species of each pair among those of the potential."""
        numbers = torch.stack([system.species[system.centers[system.i]], system.species[system.j]])
        known = numbers.new_tensor(self.species)
        return (numbers[..., None] == known).int().argmax(-1)
