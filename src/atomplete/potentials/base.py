"""The contract of potentials: energies of structures; all else follows by differentiation."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any, ClassVar

import ase
import torch
from ase.calculators.calculator import Calculator
from jaxtyping import Float, Int
from torch import Tensor

from atomplete.descriptors.evaluate import split
from atomplete.descriptors.memory import CHUNK_BYTES, Measurements
from atomplete.errors import InputError
from atomplete.potentials.committee import Committee
from atomplete.potentials.pair_slopes import prediction_of_slopes, stress_of
from atomplete.potentials.prediction import (
    UNCERTAINTIES,
    Prediction,
    Property,
    check_properties,
)
from atomplete.potentials.spread import spread
from atomplete.registry import Registered
from atomplete.system import Centers, System

#: Structures that a potential which is not local evaluates at once.
STRUCTURES_AT_ONCE = 100


class Potential(Registered):
    """Energy of structures as a function of positions and cell.

    A potential owes ``atom_energies``, or ``energies`` if its energy is no sum over atoms.
    Both count the centres of a system alone, so that parts of a system add up.

    Attributes
    ----------
    cutoff
        Pairs within it are listed in the systems that the potential takes, Å.
    species
        Atomic numbers of the centres that it knows.
    centers
        Atoms that carry the energy.
    local
        Whether the energy is a sum over centres, each a function of its own ``System.r_ij``: then
        there are energies and virials of atoms.
    periodic
        Whether cells are understood.
    smoothness
        How many derivatives of the energy are continuous where a neighbour leaves the cutoff.

    Examples
    --------
    >>> class Ones(Potential):
    ...     "One eV for each atom."
    ...     cutoff, species = 2.0, (5,)
    ...     def atom_energies(self, system: System) -> Tensor:
    ...         return torch.ones(len(system.positions))
    >>> Ones().predict(ase.Atoms("B2", [(0, 0, 0), (0, 0, 1.6)])).energy
    tensor([2.], dtype=torch.float64)
    """

    cutoff: float
    species: tuple[int, ...]
    centers: Centers = "all"
    local: ClassVar[bool] = True
    periodic: ClassVar[bool] = True
    smoothness: int = 2

    def __init__(self) -> None:
        super().__init__()
        #: Drawn from the posterior of a fit in closed form, where there can be one.
        self.committee: Committee | None = None
        # memory of centres by properties, once measured; see ``descriptors.evaluate.split``
        self._measured: dict[tuple[str, ...], Measurements] = {}

    def measured(self, *properties: str) -> Measurements:
        """Memory of centres that was measured while these were computed."""
        return self._measured.setdefault(properties, {})

    @property
    def uncertainties(self) -> tuple[Property, ...]:
        """Properties that tell how sure it is: all of them after a fit in closed form."""
        return UNCERTAINTIES if self.committee is not None and self.committee.is_fitted else ()

    @property
    def shortest(self) -> dict[tuple[int, int], float]:
        """Distances of two species, smaller number first, below which no data reach, Å.

        By default none is known.
        """
        return {}

    def atom_energies(self, system: System) -> Float[Tensor, " atom"]:
        """Energies of all atoms, eV, differentiable in ``system.r_ij``; zero for no centre."""
        raise InputError(f"{type(self).__name__} has no energies of atoms")

    def energies(self, system: System) -> Float[Tensor, " structure"]:
        """Energies of all structures, eV, float64, differentiable in positions and cell."""
        of_atoms = self.atom_energies(system).double()
        return of_atoms.new_zeros(len(system.cell)).index_add(0, system.structure, of_atoms)

    def forward(
        self,
        system: System,
        properties: tuple[str, ...] = ("energy",),
        *,
        differentiable: bool = False,
    ) -> Prediction:
        """Predict properties of the structures of a system.

        Parameters
        ----------
        system
            Structures, as ``Potential.system`` makes them.
        properties
            Fields of the ``Prediction`` beside the energy.
        differentiable
            Whether the results can be differentiated further, as training needs it.

        Raises
        ------
        InputError
            For a property that is unknown, that the potential does not have or that ``predict``
            alone gives, as uncertainties, or pairs that were listed with another cutoff.
        """
        check_properties(properties)
        for name in properties:
            if name in UNCERTAINTIES:
                raise InputError(f"{name} is of whole structures: ask predict for it, not forward")
        system.refuse_other_cutoff(self.cutoff)
        if "atom_virials" in properties:
            return self._by_vectors(system, properties, differentiable)
        with_forces, with_stress = "forces" in properties, "stress" in properties
        with torch.set_grad_enabled(differentiable or with_forces or with_stress):
            x = system.positions
            if not (differentiable and x.requires_grad):
                x = x.detach().requires_grad_(with_forces)
            strain = x.new_zeros(len(system.cell), 3, 3).requires_grad_(with_stress)
            moved = system.with_positions(x)
            of_atoms, energy = self._energies(
                moved.strained(strain) if with_stress else moved, properties
            )
            by_x, by_strain = _derivatives(energy, (x, strain), differentiable)
        found = Prediction(
            system.structure,
            energy,
            forces=-by_x if with_forces else None,
            stress=stress_of(by_strain, system) if with_stress else None,
            atom_energies=of_atoms,
        )
        return found if differentiable else _detached(found)

    def _energies(
        self, system: System, properties: tuple[str, ...]
    ) -> tuple[Tensor | None, Float[Tensor, " structure"]]:
        """Energies of atoms where they are asked for, and of structures."""
        if "atom_energies" not in properties:
            return None, self.energies(system)
        of_atoms = self.atom_energies(system).double()
        zero = of_atoms.new_zeros(len(system.cell))
        return of_atoms, zero.index_add(0, system.structure, of_atoms)

    def _by_vectors(
        self, system: System, properties: tuple[str, ...], differentiable: bool
    ) -> Prediction:
        """All properties by differentiation in the vectors of single pairs."""
        if not self.local:
            raise InputError(f"{type(self).__name__} has no virials of atoms")
        with torch.enable_grad():
            r_ij = system.r_ij.detach().requires_grad_()
            of_atoms, energy = self._energies(replace(system, vectors=r_ij), properties)
            (slope,) = _derivatives(energy, (r_ij,), differentiable)
        found = prediction_of_slopes(system, energy, of_atoms, slope, properties)
        return found if differentiable else _detached(found)

    def set_references(self, energies: Float[Tensor, " species"], scale: Tensor) -> None:
        """Take over energies of atoms and the scale of what is left, eV, before a fit.

        By default they are not used: the potential fits whole energies.
        """

    def keep_off(self, structures: Sequence[ase.Atoms]) -> None:
        """Keep a repulsion of short distances off structures of a fit; by default there is none."""

    def prepare(self, system: System, seed: int) -> None:
        """Fix what is found from training structures once, before a fit; by default nothing."""

    def finish(self) -> None:
        """Undo after a fit what ``prepare`` did to the form of parameters; by default nothing."""

    def system(
        self, structures: ase.Atoms | Sequence[ase.Atoms], dtype: torch.dtype = torch.float64
    ) -> System:
        """Build the record of structures with the cutoff and centres of the potential.

        Raises
        ------
        InputError
            For a centre of unknown species, a cell where none is understood, or as
            ``System.from_atoms``; names the structure.
        """
        system = System.from_atoms(structures, self.cutoff, centers=self.centers, dtype=dtype)
        self.check(system)
        return system

    def check(self, system: System) -> None:
        """Refuse a system that the potential does not understand, and name the structure."""
        species = system.species[system.centers]
        unknown = ~torch.isin(species, torch.tensor(self.species, device=species.device))
        if unknown.any():
            first = int(unknown.nonzero()[0, 0])
            raise InputError(
                f"structure {int(system.structure[system.centers[first]])}: a center of atomic "
                f"number {int(species[first])}, but the potential knows "
                f"{', '.join(map(str, self.species))}"
            )
        cells = system.cell.flatten(1).any(1)
        if not self.periodic and cells.any():
            raise InputError(
                f"structure {int(cells.nonzero()[0, 0])}: periodic, but the potential is one of "
                "molecules"
            )

    def rows_per_center(self, system: System) -> Int[Tensor, " center"]:
        """Numbers that the memory of each centre goes with: squares of numbers of neighbours."""
        return system.neighbor_counts**2

    def parts(
        self, system: System, properties: tuple[str, ...], memory: int = CHUNK_BYTES
    ) -> list[System]:
        """Cut a system into parts that are evaluated one by one, each in bounded memory.

        Local potentials take runs of centres, by what was measured of a few; others whole
        structures.
        """
        if self.local:
            function: Any = partial(self, properties=properties)
            function.measured = self.measured(*properties)
            return split(function, system, memory, self.rows_per_center)
        of_center = system.structure[system.centers]
        ends = torch.bincount(of_center, minlength=len(system.cell)).cumsum(0)
        bounds = [0, *ends[STRUCTURES_AT_ONCE - 1 :: STRUCTURES_AT_ONCE].tolist(), len(of_center)]
        return [system.select_centers(*bound) for bound in pairwise(bounds)]

    def predict(
        self,
        structures: ase.Atoms | Sequence[ase.Atoms],
        properties: tuple[str, ...] = ("energy",),
        *,
        dtype: torch.dtype = torch.float64,
        memory: int = CHUNK_BYTES,
        kernel: bool | None = False,
    ) -> Prediction:
        """Predict properties of structures, part by part.

        Parameters
        ----------
        structures
            One or many, periodic or not.
        properties
            Fields of the ``Prediction`` beside the energy.
        dtype
            Of the computation; energies are summed in float64.
        memory
            Bound on what is held beside structures, pairs and results, bytes; one environment
            may need more.
        kernel
            False for torch, True for the compiled kernel, None for the kernel where there is one;
            see ``PotentialCalculator``.

        Raises
        ------
        InputError
            As ``Potential.system`` and ``Potential.forward``, for uncertainties of a potential
            that was not fitted in closed form, and for a kernel that there is not.
        """
        check_properties(properties)
        system = self.system(structures, dtype)
        direct = tuple(name for name in properties if name not in UNCERTAINTIES)
        sure = {} if direct == properties else spread(self, system, properties, memory)
        from atomplete.kernel.library import kernel_of  # is made of this package

        compiled = None if kernel is False else kernel_of(self, dtype, bool(kernel))
        if compiled is not None:
            return replace(compiled(system, direct), **sure)
        total: Prediction | None = None
        for part in self.parts(system, direct, memory):
            found = self(part, direct)
            total = found if total is None else total + found
        assert total is not None
        return replace(total, **sure)

    def calculator(
        self, dtype: torch.dtype = torch.float64, kernel: bool | None = None
    ) -> Calculator:
        """ASE calculator of the potential; see ``PotentialCalculator``."""
        from atomplete.potentials.calculator import PotentialCalculator  # is made of this class

        return PotentialCalculator(self, dtype, kernel)


def _derivatives(
    energy: Float[Tensor, " structure"], variables: tuple[Tensor, ...], differentiable: bool
) -> list[Tensor]:
    """Derivatives of the total energy, zero where it does not depend on a variable."""
    wanted = [x for x in variables if x.requires_grad]
    if not (wanted and energy.requires_grad):
        return [torch.zeros_like(x) for x in variables]
    found = torch.autograd.grad(
        energy.sum(), wanted, create_graph=differentiable, allow_unused=True
    )
    slopes = dict(zip(map(id, wanted), found, strict=True))
    given = [slopes.get(id(x)) for x in variables]
    return [torch.zeros_like(x) if y is None else y for x, y in zip(variables, given, strict=True)]


def _detached(found: Prediction) -> Prediction:
    parts: dict[str, Any] = {
        name: None if x is None else x.detach() for name, x in vars(found).items()
    }
    return Prediction(**parts)
