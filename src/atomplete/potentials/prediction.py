"""Energies of structures with their derivatives, as potentials predict them."""

from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from atomplete.errors import InputError

Property = Literal[
    "energy",
    "forces",
    "stress",
    "atom_energies",
    "atom_virials",
    "energy_uncertainty",
    "forces_uncertainty",
    "stress_uncertainty",
    "extrapolation",
]

#: Properties that tell how sure a potential is of its predictions.
UNCERTAINTIES: tuple[Property, ...] = (
    "energy_uncertainty",
    "forces_uncertainty",
    "stress_uncertainty",
    "extrapolation",
)

#: Properties of atoms; others are those of structures.
OF_ATOMS = ("forces", "atom_energies", "atom_virials", "forces_uncertainty", "extrapolation")

#: ASE's order of the components of a stress: xx, yy, zz, yz, xz, xy.
VOIGT = ((0, 1, 2, 1, 0, 0), (0, 1, 2, 2, 2, 1))


@dataclass(frozen=True, eq=False)
class Prediction:
    """Properties of one structure or many; those that were not asked for are None.

    Attributes
    ----------
    structure
        (atom,) which structure an atom belongs to.
    energy
        (structure,), eV.
    forces
        −dE/dr, (atom, xyz), eV/Å.
    stress
        dE/dε / V in ASE's order xx, yy, zz, yz, xz, xy, (structure, 6), eV/Å³; NaN for a structure
        whose cell has no volume, such as a molecule.
    atom_energies
        (atom,), eV; their sum over a structure is its energy.
    atom_virials
        W_j = −Σ_i r_ij ⊗ dE/dr_ij over the centres i that have atom j as a neighbour, (atom, xyz,
        xyz), eV. Their sum over a structure is −V times its stress, and Σ_j W_j v_j is the
        potential part of a heat current (Fan et al., Phys. Rev. B 92, 094301 (2015)).
    energy_uncertainty, forces_uncertainty, stress_uncertainty
        Standard deviations over the posterior of a fit in closed form, calibrated on validation
        data: (structure,), eV; (atom, xyz), eV/Å; (structure, 6), eV/Å³.
    extrapolation
        (atom,) standard deviation that an atom's energy would have if energies of training atoms
        had been fitted to, over the largest of any such atom of its species: above 1 its
        environment is beyond the training data.

    Examples
    --------
    >>> both = Prediction(torch.tensor([0, 0, 1]), torch.tensor([-2.0, -1.0]).double())
    >>> both, both[1].energy
    (Prediction(2 structures: energy), tensor([-1.], dtype=torch.float64))
    """

    structure: Int[Tensor, " atom"]
    energy: Float[Tensor, " structure"]
    forces: Float[Tensor, "atom xyz"] | None = None
    stress: Float[Tensor, "structure voigt"] | None = None
    atom_energies: Float[Tensor, " atom"] | None = None
    atom_virials: Float[Tensor, "atom xyz xyz"] | None = None
    energy_uncertainty: Float[Tensor, " structure"] | None = None
    forces_uncertainty: Float[Tensor, "atom xyz"] | None = None
    stress_uncertainty: Float[Tensor, "structure voigt"] | None = None
    extrapolation: Float[Tensor, " atom"] | None = None

    def __repr__(self) -> str:
        found = [field.name for field in fields(self)[1:] if getattr(self, field.name) is not None]
        return f"Prediction({len(self)} structures: {', '.join(found)})"

    def __len__(self) -> int:
        """Return the number of structures."""
        return len(self.energy)

    def __getitem__(self, index: int) -> "Prediction":
        """Return the properties of a single structure."""
        chosen = torch.zeros(len(self), dtype=torch.bool, device=self.structure.device)
        chosen[range(len(self))[index]] = True
        return self.select(chosen)

    def select(self, chosen: Bool[Tensor, " structure"]) -> "Prediction":
        """Return the properties of some structures, which are numbered anew."""
        atoms = chosen[self.structure]
        parts: dict[str, Any] = {
            name: None if value is None else value[atoms if name in OF_ATOMS else chosen]
            for name, value in vars(self).items()
            if name != "structure"
        }
        return Prediction((chosen.cumsum(0) - 1)[self.structure[atoms]], **parts)

    def __add__(self, other: "Prediction") -> "Prediction":
        """Add what other centres of the same structures contribute."""
        sums: dict[str, Any] = {
            name: None if ours is None else ours + getattr(other, name)
            for name, ours in vars(self).items()
            if name != "structure"
        }
        return Prediction(self.structure, **sums)


def check_properties(properties: tuple[str, ...]) -> None:
    """Refuse a name that is none of a property.

    Examples
    --------
    >>> check_properties(("energy", "colour"))
    Traceback (most recent call last):
    atomplete.errors.InputError: 'colour' is none of energy, forces, stress, atom_energies, ...
    """
    for name in properties:
        if name not in get_args(Property):
            raise InputError(f"{name!r} is none of {', '.join(get_args(Property))}")
