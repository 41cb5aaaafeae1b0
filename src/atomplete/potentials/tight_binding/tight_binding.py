"""A tight-binding energy whose integrals depend on the surroundings of each pair of atoms."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, NamedTuple

import ase
import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from atomplete.potentials.base import Potential
from atomplete.potentials.tight_binding.overlaps import slater_overlaps
from atomplete.potentials.tight_binding.pair_features import (
    PairBasisSpec,
    PairFeatures,
    pair_features,
)
from atomplete.potentials.tight_binding.self_consistent_charges import (
    SHELL_OF,
    SHELLS,
    NoGroundStateError,
    ground_state,
)
from atomplete.potentials.tight_binding.slater_koster import between_atoms, on_atoms
from atomplete.registry import Spec
from atomplete.system import System
from atomplete.units import BOHR, COULOMB, HARTREE

#: Kinds of integrals of a pair, and of what a neighbour adds to an atom.
BETWEEN, ON_SITE = 4, 4
#: Structures whose Hamiltonians are held at once.
CHUNK = 100
#: Wolfsberg and Helmholz: H_ab = 1.75 S_ab (ε_a + ε_b) / 2, to which the fitted integrals add.
BOND = 1.75


class TightBindingSpec(Spec):
    """Molecules of one species of the second shell, and the free atoms that a fit starts from.

    Examples
    --------
    >>> TightBindingSpec(species=5, electrons=3).basis.cutoff
    4.5
    """

    type: Literal["tight_binding"] = "tight_binding"
    species: int = Field(default=5, ge=3, le=10, description="atomic number")
    electrons: int = Field(default=3, ge=1, le=8, description="valence electrons of an atom")
    smearing: float = Field(default=0.01 * HARTREE, gt=0, description="kT of the electrons, eV")
    levels: tuple[float, float] = Field(default=(-12.0, -7.0), description="of s and p, eV")
    hardness: float = Field(default=10.0, gt=0, description="of both shells, eV")
    exponent: float = Field(
        default=1.3, gt=0, description="of the orbitals, by Slater's rules, 1/Bohr"
    )
    basis: PairBasisSpec = PairBasisSpec()


class Elements(NamedTuple):
    """Elements of the tight-binding Hamiltonian, beside directions and distances.

    Attributes
    ----------
    between, on_site
        Integrals and fields of pairs, eV, (structure, i, j, kind).
    levels, hardness
        Of s and p, eV, (structure, 2).
    exponent
        Of their orbitals, 1/Bohr, (structure, 1).
    """

    between: Tensor
    on_site: Tensor
    levels: Tensor
    hardness: Tensor
    exponent: Tensor


class TightBinding(Potential, spec=TightBindingSpec):
    """E = E_electrons(H, S, γ) + Σ_pairs v_ij + n e: charges in their own field, and pairs.

    The electrons minimise their Helmholtz energy with the Coulomb energy of the charges of their
    shells. Overlaps S are those of Slater orbitals; H is Wolfsberg's and Helmholz's, and what it
    lacks, like v, is linear in the features of ``pair_features``. Two tagged atoms are correlated
    with the density of the others, and the energy is a non-linear function of all such pairs:
    nothing of a structure is averaged out before. All is invariant under rotation, reflection,
    translation and permutation.

    Parameters
    ----------
    spec
        Species, electrons and basis.

    References
    ----------
    Elstner et al., Phys. Rev. B 58, 7260 (1998); Nigam, Willatt, Ceriotti, J. Chem. Phys. 156,
    014115 (2022).

    Examples
    --------
    >>> model = TightBinding(TightBindingSpec())
    >>> boron = ase.Atoms("B2", [(0, 0, 0), (0, 0, 1.6)])
    >>> found = model.predict(boron, ("energy", "forces"))
    >>> bool(torch.allclose(found.forces[0], -found.forces[1]))
    True
    """

    local = False
    periodic = False

    def __init__(self, spec: TightBindingSpec) -> None:
        super().__init__()
        self.spec = spec
        self.species, self.cutoff = (spec.species,), spec.basis.cutoff
        self.smoothness = spec.basis.cutoff_function.smoothness
        features = pair_features(torch.eye(3, dtype=torch.float64)[None], spec.basis)
        self.n_between = features.between.shape[-1]
        self.n_seen_from = features.seen_from.shape[-1]
        #: Of integrals, of fields, levels, hardness, exponent, of the pair energy, one constant.
        self.sizes = (
            BETWEEN * self.n_between, ON_SITE * self.n_seen_from, SHELLS, SHELLS, 1,
            self.n_between, 1,
        )  # fmt: skip
        coefficients = torch.zeros(sum(self.sizes), dtype=torch.float64)
        atom = torch.tensor([*spec.levels, spec.hardness, spec.hardness, spec.exponent])
        start = sum(self.sizes[:2])
        coefficients[start : start + len(atom)] = atom
        self.coefficients: Tensor
        self.register_buffer("coefficients", coefficients)

    def __repr__(self) -> str:
        return f"TightBinding({ase.Atom(self.spec.species).symbol}, {sum(self.sizes)} coefficients)"

    def linearised(
        self, positions: Float[Tensor, "structure atom xyz"]
    ) -> tuple[Float[Tensor, " structure"], Float[Tensor, "structure coefficient"]]:
        """Energies, and their derivatives in the coefficients: densities give them."""
        parts = [self._linearised(part) for part in positions.split(CHUNK)]
        return torch.cat([e for e, _ in parts]), torch.cat([d for _, d in parts])

    def _linearised(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        features = pair_features(positions, self.spec.basis)
        elements = Elements(*(e.detach().clone() for e in self._elements(features)))
        for element in elements:
            element.requires_grad_()
        with torch.enable_grad():
            energy = self._of_electrons(features, elements)
            slopes = torch.autograd.grad(energy.sum(), elements)
        pair, atoms = self._pair_sums(features), torch.full_like(energy, positions.shape[1])
        derivatives = (
            torch.einsum("sijt,sijf->stf", slopes[0], features.between).flatten(1),
            torch.einsum("sijt,sijf->stf", slopes[1], features.seen_from).flatten(1),
            *slopes[2:], pair, atoms[:, None],
        )  # fmt: skip
        own, constant = self.coefficients.split(self.sizes)[5:]
        return energy.detach() + pair @ own + atoms * constant, torch.cat(derivatives, 1)

    def _elements(self, features: PairFeatures) -> Elements:
        between, on_site, *of_atoms = self.coefficients.split(self.sizes)[:5]
        return Elements(
            features.between @ between.view(BETWEEN, -1).T,
            features.seen_from @ on_site.view(ON_SITE, -1).T,
            *(part.expand(len(features.distance), -1) for part in of_atoms),
        )

    def _of_electrons(self, features: PairFeatures, elements: Elements) -> Tensor:
        """Energy of the electrons, that can be differentiated once in all it depends on."""
        distance, direction = features.distance, features.direction
        n = distance.shape[1]
        x = elements.exponent[:, :, None] * distance / BOHR
        atoms = torch.eye(n, dtype=distance.dtype)
        overlap = between_atoms(direction, slater_overlaps(x) * (1 - atoms)[..., None])
        level = _mean_of_two(elements.levels[:, SHELL_OF].repeat(1, n))
        matrix = (
            between_atoms(direction, elements.between) + on_atoms(direction, elements.on_site)
            + level * (torch.eye(level.shape[1], dtype=level.dtype) + BOND * overlap)
        )  # fmt: skip
        overlap = overlap + torch.eye(overlap.shape[1], dtype=overlap.dtype)
        repulsion = _repulsion(distance, elements.hardness)
        s = min(self.spec.electrons, 2)
        free_atoms = torch.tensor([s, self.spec.electrons - s] * n, dtype=distance.dtype)
        with torch.no_grad():
            state = ground_state(matrix, overlap, repulsion, free_atoms, self.spec.smearing)
        # at a minimum the energy changes as its parts do at the same density
        change = state.density * state.potential - state.energy_density
        parts = (matrix * state.density + overlap * change).sum((1, 2))
        parts = parts + torch.einsum("sk,skl,sl->s", state.charge, repulsion, state.charge) / 2
        return state.energy + (parts - parts.detach())

    @staticmethod
    def _pair_sums(features: PairFeatures) -> Float[Tensor, "structure feature"]:
        return features.between.sum((1, 2)) / 2

    def energy(self, positions: Float[Tensor, "structure atom xyz"]) -> Float[Tensor, " structure"]:
        """Energies, eV, that can be differentiated once in the positions."""
        features = pair_features(positions, self.spec.basis)
        electrons = self._of_electrons(features, self._elements(features))
        own, constant = self.coefficients.split(self.sizes)[5:]
        return electrons + self._pair_sums(features) @ own + positions.shape[1] * constant

    def energies(self, system: System) -> Float[Tensor, " structure"]:
        """Energies of the structures that have centres, eV, differentiable once in positions.

        Raises
        ------
        InputError
            For charges that do not converge; names the structure.
        """
        sizes = torch.bincount(system.structure, minlength=len(system.cell))
        here = torch.zeros_like(sizes, dtype=torch.bool)
        here[system.structure[system.centers]] = True
        energies = system.positions.new_zeros(len(sizes), dtype=torch.float64)
        for size in sizes[here].unique().tolist():
            for members in (here & (sizes == size)).nonzero()[:, 0].split(CHUNK):
                atoms = system.first_atom[members][:, None] + torch.arange(size)
                with _named(members):
                    found = self.energy(system.positions[atoms].double())
                energies = energies.index_add(0, members, found)
        return energies


@contextmanager
def _named(members: Tensor) -> Iterator[None]:
    """Errors that name a structure by its number among all."""
    try:
        yield
    except NoGroundStateError as error:
        raise NoGroundStateError(int(members[error.structure]), error.reason) from error


def _mean_of_two(values: Float[Tensor, "structure entry"]) -> Tensor:
    return (values[:, :, None] + values[:, None]) / 2


def _repulsion(
    distance: Float[Tensor, "structure i j"], hardness: Float[Tensor, "structure 2"]
) -> Float[Tensor, "structure shell shell"]:
    """Coulomb's law far apart, the mean hardness where two shells are at one place (Ohno)."""
    size = SHELLS * distance.shape[1]
    r = distance[:, :, None, :, None]
    softened = (r**2 + (COULOMB / _mean_of_two(hardness)[:, None, :, None]) ** 2).sqrt()
    return (COULOMB / softened).reshape(len(distance), size, size)
