"""Forces, stresses and virials from derivatives of the energy in the vectors of single pairs."""

import torch
from jaxtyping import Float
from torch import Tensor

from atomplete.potentials.prediction import VOIGT, Prediction
from atomplete.system import System


def prediction_of_slopes(
    system: System,
    energy: Float[Tensor, " structure"],
    atom_energies: Float[Tensor, " atom"] | None,
    slopes: Float[Tensor, "pair xyz"],
    properties: tuple[str, ...],
) -> Prediction:
    """Properties of structures whose energy is a sum over centres, each with its own pairs.

    Parameters
    ----------
    system
        Structures with their pairs.
    energy, atom_energies
        Of structures and, where they are asked for, of atoms, eV, float64.
    slopes
        Derivatives of the energy in ``system.r_ij``, eV/Å.
    properties
        Fields of the ``Prediction`` that are asked for.
    """
    slopes, r_ij = slopes.double(), system.r_ij.detach().double()
    forces = stress = virials = None
    if "forces" in properties:
        forces = torch.zeros_like(system.positions)
        forces = forces.index_add(0, system.centers[system.i], slopes)
        forces = forces.index_add(0, system.j, -slopes)
    if "stress" in properties or "atom_virials" in properties:
        products = torch.einsum("px,py->pxy", r_ij, slopes)
        zeros = slopes.new_zeros(len(system.positions), 3, 3)
        virials = zeros.index_add(0, system.j, -products)
        if "stress" in properties:
            by_strain = slopes.new_zeros(len(system.cell), 3, 3)
            by_strain = by_strain.index_add(0, system.structure[system.j], products)
            stress = stress_of(by_strain, system)
    return Prediction(
        system.structure,
        energy,
        forces=forces,
        stress=stress,
        atom_energies=atom_energies,
        atom_virials=virials if "atom_virials" in properties else None,
    )


def stress_of(
    by_strain: Float[Tensor, "structure xyz xyz"], system: System
) -> Float[Tensor, "structure voigt"]:
    """Stress, eV/Å³, from derivatives in a strain, eV; NaN for a structure without volume."""
    volume = torch.linalg.det(system.cell.detach()).abs()
    stress = (by_strain + by_strain.transpose(1, 2))[:, *VOIGT] / (2 * volume[:, None])
    return stress.masked_fill((volume == 0)[:, None], torch.nan)
