"""Spread over a committee of energies, forces and stresses: how sure a potential is of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from atomplete.descriptors.evaluate import split
from atomplete.errors import InputError
from atomplete.potentials.committee import Committee, contract
from atomplete.potentials.prediction import VOIGT
from atomplete.system import System

if TYPE_CHECKING:  # is made with this module
    from atomplete.potentials.base import Potential


@dataclass(frozen=True, eq=False)
class Changes:
    """Predictions of members relative to those of the potential.

    Attributes
    ----------
    energy
        (structure, member), eV.
    forces
        (atom, xyz, member), eV/Å; None if not asked for.
    stress
        (structure, voigt, member), eV/Å³, NaN without a volume; None if not asked for.
    extrapolation
        (atom,) grades of atoms; there are no members of these.
    """

    energy: Float[Tensor, "structure member"]
    extrapolation: Float[Tensor, " atom"]
    forces: Float[Tensor, "atom xyz member"] | None = None
    stress: Float[Tensor, "structure voigt member"] | None = None

    def __add__(self, other: "Changes") -> "Changes":
        """Add what other centres of the same structures contribute."""
        sums: dict[str, Any] = {
            name: None if ours is None else ours + getattr(other, name)
            for name, ours in vars(self).items()
        }
        return Changes(**sums)


def committee_of(potential: "Potential") -> Committee:
    """The committee of a potential.

    Raises
    ------
    InputError
        If it has none, as it was not fitted in closed form.
    """
    if potential.committee is None or not potential.committee.is_fitted:
        kind = type(potential).__name__
        raise InputError(f"no fit in closed form: this {kind} does not know how sure it is")
    return potential.committee


def changes(
    potential: "Potential", system: System, properties: Sequence[str], memory: int
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

    Raises
    ------
    InputError
        For a potential without a committee.
    """
    system = system.to(torch.float64)  # members cancel what rounding would not
    function: Any = partial(_of_part, potential, properties=tuple(properties))
    function.measured = potential.measured("members", *properties)
    n_members = len(committee_of(potential).coefficients)
    per_atom = 8 * n_members * (4 if properties else 1)
    ends = torch.bincount(system.structure, minlength=len(system.cell)).cumsum(0)
    run = (ends - 1).clamp_min(0) // max(1, memory // per_atom)
    for number in run.unique_consecutive().tolist() or [0]:  # also of no structure
        chosen = system.select_structures((run == number).nonzero()[:, 0])
        total: Changes | None = None
        for part in split(function, chosen, memory, potential.rows_per_center):
            found = function(part)
            total = found if total is None else total + found
        assert total is not None
        yield total


@torch.no_grad()
def _of_part(potential: Any, system: System, properties: tuple[str, ...]) -> Changes:
    """Changes that the centres of a system contribute."""
    committee, readout = potential.committee, potential.readout
    features = potential.descriptor(system)
    inputs, block = potential.inputs(features).double(), readout.block(features)
    position = features.center_position(potential.species, "the potential")
    of_centers = contract(inputs, committee.coefficients, block) * potential.scale
    of_centers += committee.references.T[position]
    n_atoms, n_structures, n_members = len(system.positions), len(system.cell), of_centers.shape[1]
    zero, owner = of_centers.new_zeros(()), system.structure[system.centers]
    energy = zero.new_zeros(n_structures, n_members).index_add(0, owner, of_centers)
    grades = zero.new_zeros(n_atoms).index_add(0, system.centers, committee.grades(inputs, block))
    if not properties:
        return Changes(energy, grades)
    kept = readout.columns(potential.descriptor.parity)
    factor = potential.feature_scale * potential.scale
    forces = zero.new_zeros(n_atoms, 3, n_members)
    by_strain = zero.new_zeros(n_structures, 3, 3, n_members)
    r_ij = system.r_ij
    for pair, derivatives in potential.descriptor.center_derivatives(system):
        kinds = block[system.i[pair]]
        slope = factor * contract(derivatives[:, :, kept], committee.coefficients, kinds)
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
        grades,
        forces if "forces" in properties else None,
        stress if "stress" in properties else None,
    )


def spread(
    potential: "Potential", system: System, properties: Sequence[str], memory: int
) -> dict[str, Tensor]:
    """Uncertainties by name: see ``Prediction``; root mean squares over members, calibrated."""
    committee = committee_of(potential)
    kinds = [kind for kind in ("forces", "stress") if f"{kind}_uncertainty" in properties]
    parts: dict[str, list[Tensor]] = {field.name: [] for field in fields(Changes)}
    for run in changes(potential, system, kinds, memory):
        for name, values in vars(run).items():
            if name == "extrapolation":
                parts[name].append(values)
            elif values is not None:
                parts[name].append(values.square().mean(-1).sqrt())
    found = {name: torch.cat(values) for name, values in parts.items() if values}
    for name, factor in zip(("energy", "forces", "stress"), committee.calibration, strict=True):
        if name in found:
            found[f"{name}_uncertainty"] = factor * found.pop(name)
    return {name: values for name, values in found.items() if name in properties}
