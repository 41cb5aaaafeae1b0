"""Committees of linear potentials, drawn from a posterior, and the spread of what they predict."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from atomplete.descriptors import Features
from atomplete.descriptors.evaluate import split
from atomplete.potentials.prediction import VOIGT
from atomplete.system import System

if TYPE_CHECKING:  # holds one of these
    from atomplete.potentials.descriptor_potential import DescriptorPotential

#: Members of a committee: a standard deviation over them is known to 12 %.
MEMBERS = 32


class Committee(nn.Module):
    """Coefficients and references of members, relative to those of their potential.

    Parameters
    ----------
    coefficients
        Of the potential, (block, feature).
    n_species
        Number of its reference energies.

    Attributes
    ----------
    coefficients
        (member, block, feature), drawn from the posterior but for a factor.
    references
        (member, species), eV.
    largest
        (species,) the largest standard deviation of the energy of an atom in training data, eV.
    calibration
        (3,) factors of the standard deviations of energies, forces and stresses; NaN before a fit.
    """

    def __init__(self, coefficients: Float[Tensor, "block feature"], n_species: int) -> None:
        super().__init__()
        self.coefficients: Tensor
        self.references: Tensor
        self.largest: Tensor
        self.calibration: Tensor
        zero = torch.zeros((), dtype=torch.float64)
        self.register_buffer("coefficients", zero.new_zeros(MEMBERS, *coefficients.shape))
        self.register_buffer("references", zero.new_zeros(MEMBERS, n_species))
        self.register_buffer("largest", zero.new_zeros(n_species))
        self.register_buffer("calibration", zero.new_full((3,), torch.nan))

    @property
    def is_fitted(self) -> bool:
        """Whether members were drawn and calibrated."""
        return bool(self.calibration.isfinite().all())

    def contract(
        self, derivatives: Float[Tensor, "item *direction feature"], block: Int[Tensor, " item"]
    ) -> Float[Tensor, "item *direction member"]:
        """Products of derivatives in the coefficients of a block with those of all members."""
        found = derivatives.new_zeros(*derivatives.shape[:-1], len(self.coefficients))
        for number in block.unique().tolist():
            here = block == number
            found[here] = derivatives[here] @ self.coefficients[:, number].T
        return found


@dataclass(frozen=True, eq=False)
class Changes:
    """Predictions of members relative to those of the potential.

    Attributes
    ----------
    energy, atom_energies
        (structure, member) and (atom, member), eV.
    forces
        (atom, xyz, member), eV/Å; None if not asked for.
    stress
        (structure, voigt, member), eV/Å³, NaN without a volume; None if not asked for.
    """

    energy: Float[Tensor, "structure member"]
    atom_energies: Float[Tensor, "atom member"]
    forces: Float[Tensor, "atom xyz member"] | None = None
    stress: Float[Tensor, "structure voigt member"] | None = None

    def __add__(self, other: "Changes") -> "Changes":
        """Add what other centres of the same structures contribute."""
        sums: dict[str, Any] = {
            name: None if ours is None else ours + getattr(other, name)
            for name, ours in vars(self).items()
        }
        return Changes(**sums)


def changes(
    potential: "DescriptorPotential", system: System, properties: Sequence[str], memory: int
) -> Iterator[Changes]:
    """Changes of consecutive runs of whole structures, each evaluated part by part.

    Parameters
    ----------
    potential
        One with a committee.
    system
        Structures.
    properties
        Those beside energies, of "forces" and "stress".
    memory
        Bound on what is held, beside a single structure, bytes.
    """
    system = system.to(torch.float64)  # members cancel what rounding would not
    function: Any = partial(_of_part, potential, properties=tuple(properties))
    function.measured = potential.measured("members", *properties)
    assert potential.committee is not None
    n_members = len(potential.committee.coefficients)
    per_atom = 8 * n_members * (4 if "forces" in properties else 1)
    ends = torch.bincount(system.structure, minlength=len(system.cell)).cumsum(0)
    run = (ends - 1).clamp_min(0) // max(1, memory // per_atom)
    for number in run.unique_consecutive():
        chosen = system.select_structures((run == number).nonzero()[:, 0])
        total: Changes | None = None
        for part in split(function, chosen, memory, potential.rows_per_center):
            found = function(part)
            total = found if total is None else total + found
        assert total is not None
        yield total


def of_centers(
    potential: "DescriptorPotential", features: Features
) -> Float[Tensor, "center member"]:
    """Changes of the energies of centres, eV, from their features."""
    committee = potential.committee
    assert committee is not None
    inputs = potential.inputs(features).double()
    relative = committee.contract(inputs, potential.readout.block(features))
    position = features.center_position(potential.species, "the potential")
    return relative * potential.scale + committee.references.T[position]


@torch.no_grad()
def _of_part(
    potential: "DescriptorPotential", system: System, properties: tuple[str, ...]
) -> Changes:
    """Changes that the centres of a system contribute."""
    features = potential.descriptor(system)
    energies = of_centers(potential, features)
    n_atoms, n_structures, members = len(system.positions), len(system.cell), energies.shape[1]
    of_atoms = energies.new_zeros(n_atoms, members).index_add(0, system.centers, energies)
    energy = energies.new_zeros(n_structures, members).index_add(0, system.structure, of_atoms)
    if not properties:
        return Changes(energy, of_atoms)
    committee, readout = potential.committee, potential.readout
    assert committee is not None
    kept, block = readout.columns(potential.descriptor.parity), readout.block(features)
    factor = potential.feature_scale * potential.scale
    forces = energies.new_zeros(n_atoms, 3, members)
    by_strain = energies.new_zeros(n_structures, 3, 3, members)
    r_ij = system.r_ij
    for pair, derivatives in potential.descriptor.center_derivatives(system):
        slope = factor * committee.contract(derivatives[:, :, kept], block[system.i[pair]])
        forces.index_add_(0, system.centers[system.i[pair]], slope)
        forces.index_add_(0, system.j[pair], -slope)
        if "stress" in properties:
            products = r_ij[pair][:, :, None, None] * slope[:, None]
            by_strain.index_add_(0, system.structure[system.j[pair]], products)
    volume = torch.linalg.det(system.cell).abs()
    volume = torch.where(volume > 0, volume, torch.nan)[:, None, None]
    stress = (by_strain + by_strain.transpose(1, 2))[:, *VOIGT] / 2 / volume
    return Changes(
        energy,
        of_atoms,
        forces if "forces" in properties else None,
        stress if "stress" in properties else None,
    )


def spread(
    potential: "DescriptorPotential", system: System, properties: Sequence[str], memory: int
) -> dict[str, Tensor]:
    """Uncertainties by name: see ``Prediction``; root mean squares over members, calibrated."""
    committee = potential.committee
    assert committee is not None
    kinds = [kind for kind in ("forces", "stress") if f"{kind}_uncertainty" in properties]
    found: dict[str, list[Tensor]] = {field.name: [] for field in fields(Changes)}
    for run in changes(potential, system, kinds, memory):
        for name, values in vars(run).items():
            if values is not None:
                found[name].append(values.square().mean(-1).sqrt())
    deviation = {name: torch.cat(parts) for name, parts in found.items() if parts}
    of_energy, of_forces, of_stress = committee.calibration
    largest = deviation["energy"].new_zeros(len(system.positions))
    known = torch.tensor(potential.species, device=largest.device)
    centers = system.centers
    position = (system.species[centers, None] == known).long().argmax(1)
    largest[centers] = committee.largest[position]
    everything = {
        "energy_uncertainty": of_energy * deviation["energy"],
        "forces_uncertainty": of_forces * deviation.get("forces", largest),
        "stress_uncertainty": of_stress * deviation.get("stress", largest),
        # nothing unknown of an atom alone, even where training data had none
        "extrapolation": (deviation["atom_energies"] / largest).nan_to_num(0.0, posinf=torch.inf),
    }
    return {name: values for name, values in everything.items() if name in properties}
