"""A tight-binding energy whose integrals depend on the surroundings of each pair of atoms."""

from collections.abc import Sequence

import ase
import numpy as np
import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from atomplete.errors import InputError
from atomplete.models.pair_surroundings import PairBasisSpec, PairFeatures, pair_features
from atomplete.models.slater_koster import free_energy, hamiltonian
from atomplete.units import HARTREE

#: Kinds of integrals of a pair, of what a neighbour adds to an atom, and the pair's own energy.
BETWEEN, ON_SITE, OWN = 4, 4, 1
#: Structures whose Hamiltonians are held at once.
CHUNK = 250


class TightBindingSpec(BaseModel):
    """Molecules of one species with s and p orbitals.

    Examples
    --------
    >>> TightBindingSpec(species=5, electrons=3).basis.cutoff
    4.5
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    species: int = Field(default=5, ge=1, description="atomic number")
    electrons: int = Field(default=3, ge=1, le=8, description="valence electrons of an atom")
    smearing: float = Field(default=0.01 * HARTREE, gt=0, description="kT of the electrons, eV")
    basis: PairBasisSpec = PairBasisSpec()


class TightBinding(nn.Module):
    """E = F(H) + Σ_pairs v_ij + n e: electrons on the levels of a Hamiltonian, and pairs.

    The elements of H and v are linear in the features of ``pair_features``; the coefficients are
    what is fitted. Two tagged atoms are correlated with the density of the others, and the levels
    of H are a non-linear function of all such pairs: nothing of a structure is averaged out
    before. All is invariant under rotation, reflection, translation and permutation.

    Parameters
    ----------
    spec
        Species, electrons and basis.

    References
    ----------
    Slater, Koster, Phys. Rev. 94, 1498 (1954); Nigam, Willatt, Ceriotti, J. Chem. Phys. 156,
    014115 (2022).

    Examples
    --------
    >>> model = TightBinding(TightBindingSpec())
    >>> boron = ase.Atoms("B2", [(0, 0, 0), (0, 0, 1.6)])
    >>> energies, forces = model.energies_and_forces([boron])
    >>> energies.shape, bool(torch.allclose(forces[0][0], -forces[0][1]))
    (torch.Size([1]), True)
    """

    def __init__(self, spec: TightBindingSpec) -> None:
        super().__init__()
        self.spec = spec
        features = pair_features(torch.eye(3, dtype=torch.float64)[None], spec.basis)
        self.n_between = features.between.shape[-1]
        self.n_seen_from = features.seen_from.shape[-1]
        #: Of integrals, of on-site terms, of the pair energy, levels of s and p, one constant.
        self.sizes = (BETWEEN * self.n_between, ON_SITE * self.n_seen_from, self.n_between, 2, 1)
        self.coefficients: Tensor
        self.register_buffer("coefficients", self._of_free_atoms())

    def __repr__(self) -> str:
        return f"TightBinding({ase.Atom(self.spec.species).symbol}, {sum(self.sizes)} coefficients)"

    def _of_free_atoms(self) -> Float[Tensor, " coefficient"]:
        """Where a fit starts: universal integrals, d² apart, and a repulsion; nothing else."""
        basis = self.spec.basis
        r = torch.linspace(1.0, 0.9 * basis.cutoff, 100, dtype=torch.float64)
        line = torch.zeros(100, 2, 3, dtype=torch.float64)
        line[:, 1, 0] = r
        alone = basis.model_copy(update={"max_radial_surroundings": 1, "widths": (1e-3,)})
        radial = pair_features(line, alone).between[:, 0, 1, : basis.max_radial]
        integral = 7.62 / r**2 * torch.exp(-((r / 3.0) ** 4))
        wanted = [eta * integral for eta in (-1.32, 1.42, 2.22, -0.63)]
        wanted.append(30 * torch.exp(-2 * (r - 1.5)))
        solution = torch.linalg.lstsq(radial, torch.stack(wanted, 1)).solution.T
        between = torch.zeros(BETWEEN + OWN, self.n_between, dtype=torch.float64)
        between[:, : basis.max_radial] = solution
        on_site = torch.zeros(ON_SITE * self.n_seen_from, dtype=torch.float64)
        levels = torch.tensor([-12.0, -7.0, 0.0], dtype=torch.float64)
        return torch.cat([between[:BETWEEN].flatten(), on_site, between[BETWEEN], levels])

    def linearised(
        self, positions: Float[Tensor, "structure atom xyz"]
    ) -> tuple[Float[Tensor, " structure"], Float[Tensor, "structure coefficient"]]:
        """Energies, and their derivatives in the coefficients: the density matrix gives them."""
        parts = [self._linearised(part) for part in positions.split(CHUNK)]
        return torch.cat([e for e, _ in parts]), torch.cat([d for _, d in parts])

    def _linearised(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        features = pair_features(positions, self.spec.basis)
        *elements, levels = self._elements(features)
        inputs = [part.detach().requires_grad_() for part in elements]
        with torch.enable_grad():
            matrix = hamiltonian(features.direction, inputs[0], inputs[1], levels)
            energy, density = free_energy(
                matrix.detach(), self._n_electrons(positions), self.spec.smearing
            )
            between, on_site = torch.autograd.grad((matrix * density).sum(), inputs)
        pair = features.between.sum((1, 2)) / 2
        slopes = (
            torch.einsum("sijt,sijf->stf", between, features.between).flatten(1),
            torch.einsum("sijt,sijf->stf", on_site, features.seen_from).flatten(1),
            pair,
            _level_slopes(density),
            torch.full_like(energy, positions.shape[1])[:, None],
        )
        own, _, constant = self.coefficients.split(self.sizes)[2:]
        return energy + pair @ own + positions.shape[1] * constant, torch.cat(slopes, 1)

    def _elements(self, features: PairFeatures) -> tuple[Tensor, Tensor, Tensor]:
        """What makes the Hamiltonian: integrals, on-site terms, levels."""
        between, on_site, _, levels, _ = self.coefficients.split(self.sizes)
        return (
            features.between @ between.view(BETWEEN, -1).T,
            features.seen_from @ on_site.view(ON_SITE, -1).T,
            levels,
        )

    def _n_electrons(self, positions: Tensor) -> int:
        return self.spec.electrons * positions.shape[1]

    def energy(self, positions: Float[Tensor, "structure atom xyz"]) -> Float[Tensor, " structure"]:
        """Energies, eV, that can be differentiated once in the positions."""
        features = pair_features(positions, self.spec.basis)
        matrix = hamiltonian(features.direction, *self._elements(features))
        with torch.no_grad():
            energy, density = free_energy(matrix, self._n_electrons(positions), self.spec.smearing)
        own, _, constant = self.coefficients.split(self.sizes)[2:]
        # the value of the first term, with the derivative of the second
        electrons = (matrix * density).sum((1, 2))
        pairs = (features.between.sum((1, 2)) / 2) @ own
        return energy + (electrons - electrons.detach()) + pairs + positions.shape[1] * constant

    def predict(self, structures: Sequence[ase.Atoms]) -> Float[Tensor, " structure"]:
        """Energies of structures, eV.

        Raises
        ------
        InputError
            For a cell, another species, or atoms at one place.
        """
        energies = torch.zeros(len(structures), dtype=torch.float64)
        for members, positions in batches(structures, self.spec):
            with torch.no_grad():
                parts = [self.energy(part) for part in positions.split(CHUNK)]
            energies[members] = torch.cat(parts)
        return energies

    def energies_and_forces(
        self, structures: Sequence[ase.Atoms]
    ) -> tuple[Float[Tensor, " structure"], list[Float[Tensor, "atom xyz"]]]:
        """Energies of structures, eV, and the forces on their atoms, eV/Å."""
        energies = torch.zeros(len(structures), dtype=torch.float64)
        forces: list[Tensor] = [torch.zeros(0, 3)] * len(structures)
        for members, positions in batches(structures, self.spec):
            for chosen, part in zip(members.split(CHUNK), positions.split(CHUNK), strict=True):
                x = part.clone().requires_grad_()
                energy = self.energy(x)
                (gradient,) = torch.autograd.grad(energy.sum(), x)
                energies[chosen] = energy.detach()
                for index, of_atoms in zip(chosen.tolist(), -gradient, strict=True):
                    forces[index] = of_atoms
        return energies, forces


def batches(
    structures: Sequence[ase.Atoms], spec: TightBindingSpec
) -> list[tuple[Tensor, Float[Tensor, "structure atom xyz"]]]:
    """Structures that have as many atoms, together: their numbers and their positions.

    Examples
    --------
    >>> batches([ase.Atoms("B2", [(0, 0, 0), (0, 0, 2)]), ase.Atoms("B")], TightBindingSpec())[0][0]
    tensor([0])
    >>> batches([ase.Atoms("BN", [(0, 0, 0), (0, 0, 2)])], TightBindingSpec())
    Traceback (most recent call last):
    atomplete.errors.InputError: structure 0: an atom of atomic number 7, but the model knows 5
    """
    for index, atoms in enumerate(structures):
        _check(f"structure {index}", atoms, spec)
    sizes = np.array([len(atoms) for atoms in structures])
    found = []
    for size in dict.fromkeys(sizes.tolist()):
        members = np.flatnonzero(sizes == size)
        positions = np.stack([structures[index].positions for index in members.tolist()])
        found.append((torch.from_numpy(members), torch.from_numpy(positions)))
    return found


def _check(name: str, atoms: ase.Atoms, spec: TightBindingSpec) -> None:
    if atoms.pbc.any():
        raise InputError(f"{name}: periodic, but the model is one of molecules")
    unknown = sorted({int(number) for number in atoms.numbers} - {spec.species})
    if unknown:
        raise InputError(
            f"{name}: an atom of atomic number {unknown[0]}, but the model knows {spec.species}"
        )
    if not np.isfinite(atoms.positions).all():
        raise InputError(f"{name}: positions that are not finite")
    distances = atoms.get_all_distances()[np.triu_indices(len(atoms), 1)]
    if len(distances) and distances.min() < 1e-3:
        raise InputError(f"{name}: two atoms {distances.min():.1e} Å apart")


def _level_slopes(density: Float[Tensor, "structure orbital orbital"]) -> Tensor:
    """How many electrons are in s and in p."""
    occupation = density.diagonal(dim1=1, dim2=2).unflatten(1, (-1, 4)).sum(1)
    return torch.stack([occupation[:, 0], occupation[:, 1:].sum(1)], 1)
