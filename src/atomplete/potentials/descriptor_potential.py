"""The energy of a structure: a descriptor, a readout of its rows, and reference energies."""

from collections.abc import Sequence
from typing import Literal

import ase
import torch
from jaxtyping import Float, Int
from pydantic import Field, model_validator
from torch import Tensor

from atomplete.descriptors import AnyDescriptorSpec, Descriptor, Features
from atomplete.nn.readout import AnyReadoutSpec, Readout
from atomplete.potentials.base import Potential
from atomplete.potentials.committee import Committee
from atomplete.potentials.repulsion import ZBL
from atomplete.registry import Spec, Species, build, restore
from atomplete.system import Centers, System


class DescriptorPotentialSpec(Spec):
    """Plain data that, with a state dict, is the whole potential.

    Examples
    --------
    >>> from atomplete.descriptors import ThreeCenterSpec
    >>> from atomplete.nn import LinearSpec
    >>> spec = DescriptorPotentialSpec(
    ...     descriptor=ThreeCenterSpec(), readout=LinearSpec(), species=(5,)
    ... )
    >>> DescriptorPotentialSpec.model_validate(spec.model_dump(mode="json")) == spec
    True
    """

    type: Literal["descriptor_potential"] = "descriptor_potential"
    descriptor: AnyDescriptorSpec
    readout: AnyReadoutSpec
    species: Species = Field(min_length=1, description="atomic numbers of centres")
    centers: Centers = Field(default="all", description="which atoms carry the energy")
    repulsion: Literal["zbl"] | None = Field(
        default=None, description="of atoms closer than their covalent radii and than in any data"
    )

    @model_validator(mode="after")
    def _every_pair_has_two_halves(self) -> "DescriptorPotentialSpec":
        if self.repulsion is not None and self.centers != "all":
            raise ValueError(
                "repulsion gives each atom half of its pairs, so that all atoms must be centers"
            )
        return self


class DescriptorPotential(Potential, spec=DescriptorPotentialSpec):
    """E = Σ_i (E_ref(species of i) + scale · E_i) over the centres of a structure, eV.

    To this the repulsion of the spec is added, if there is one.

    E_i, too, is another function of its rows for each species of centre, see the readouts.
    A deep set of three-centre descriptors is evaluated without forming their rows, see
    ``descriptors.tagged.fused``.

    Parameters
    ----------
    spec
        Descriptor, readout and species.
    seed
        Of the initial weights.
    descriptor
        A fitted one of that spec; a fit may find fewer features than the spec allows.

    Examples
    --------
    >>> import ase
    >>> from atomplete.descriptors import ThreeCenterSpec
    >>> from atomplete.nn import DeepSetSpec
    >>> spec = DescriptorPotentialSpec(
    ...     descriptor=ThreeCenterSpec(radial_components=2), readout=DeepSetSpec(), species=(5,)
    ... )
    >>> DescriptorPotential(
    ...     spec.model_copy(update={"descriptor": ThreeCenterSpec()})
    ... ).predict(ase.Atoms("B2", [(0, 0, 0), (0, 0, 1.6)]), ("energy", "forces"))
    Prediction(1 structures: energy, forces)
    """

    def __init__(
        self, spec: DescriptorPotentialSpec, seed: int = 0, descriptor: Descriptor | None = None
    ) -> None:
        super().__init__()
        self.spec = spec
        self.descriptor: Descriptor = descriptor or build(spec.descriptor)
        self.readout: Readout = build(
            spec.readout, parity=self.descriptor.parity, species=spec.species, seed=seed
        )
        self.cutoff = self.descriptor.cutoff
        self.species, self.centers = spec.species, spec.centers
        expansion = getattr(self.descriptor.spec, "expansion", None)
        if expansion is not None:
            self.smoothness = expansion.cutoff_function.smoothness
        self.repulsion = None if spec.repulsion is None else ZBL(self.cutoff, self.species)
        self.reference: Tensor
        self.scale: Tensor
        self.feature_scale: Tensor
        # one energy for each species of centre, all in float64: they are large
        self.register_buffer("reference", torch.zeros(len(spec.species), dtype=torch.float64))
        self.register_buffer("scale", torch.ones((), dtype=torch.float64))
        self.register_buffer("feature_scale", torch.ones((), dtype=torch.float64))
        if self.readout.is_linear:
            self.committee = Committee(self.readout.coefficients, len(spec.species))

    @classmethod
    def from_state(
        cls, spec: DescriptorPotentialSpec, state: dict[str, Tensor]
    ) -> "DescriptorPotential":
        """Potential of a spec and a state dict; a fit may have found fewer features."""
        prefix = "descriptor."
        own = {name.removeprefix(prefix): v for name, v in state.items() if name.startswith(prefix)}
        potential = cls(spec, descriptor=restore(spec.descriptor, own))
        potential.load_state_dict(state)
        return potential

    @property
    def shortest(self) -> dict[tuple[int, int], float]:
        """Reaches of the repulsion, which no pair of a fit is within."""
        if self.repulsion is None:
            return {}
        reach = self.repulsion.reach.tolist()
        return {
            (a, b): reach[i][j]
            for i, a in enumerate(self.species)
            for j, b in enumerate(self.species)
            if a <= b
        }

    def rows_per_center(self, system: System) -> Int[Tensor, " center"]:
        """Rows of the descriptor, which the memory of a centre goes with."""
        return self.descriptor.rows_per_center(system)

    def atom_energies(self, system: System) -> Float[Tensor, " atom"]:
        """Energies of all atoms, eV, float64; zero for those that are no centres."""
        features, relative = self.readout.of_system(self.descriptor, system, self.feature_scale)
        of_centers = relative.double() * self.scale + self.reference[self._position(features)]
        zero = of_centers.new_zeros(len(system.positions))
        of_atoms = zero.index_add(0, system.centers, of_centers)
        if self.repulsion is None:
            return of_atoms
        return of_atoms + self.repulsion.atom_energies(system).double()

    def _position(self, features: Features) -> Int[Tensor, " center"]:
        """Position of the species of each centre among those that are known."""
        return features.center_position(self.species, "the potential")

    # features that were computed before

    def relative_energies(
        self, features: Features, n_structures: int
    ) -> Float[Tensor, " structure"]:
        """Energies in units of ``scale`` and relative to the references."""
        of_centers = self.readout(features.scaled(self.feature_scale))
        zero = of_centers.new_zeros(n_structures)
        return zero.index_add(0, features.center_structure, of_centers)

    def energies_of(self, features: Features, n_structures: int) -> Float[Tensor, " structure"]:
        """Energies without repulsion, (structure,), eV, float64, of features computed before."""
        relative = self.relative_energies(features, n_structures)
        references = self.reference[self._position(features)]
        zero = references.new_zeros(n_structures)
        sums = zero.index_add(0, features.center_structure, references)
        return relative.double() * self.scale + sums

    def inputs(self, features: Features) -> Float[Tensor, "center feature"]:
        """Derivatives of E_i in the coefficients of a linear readout."""
        return self.readout.inputs(features.scaled(self.feature_scale))

    # what fits settle

    def set_references(self, energies: Float[Tensor, " species"], scale: Tensor) -> None:
        """Fix the energy of an atom of each species and the scale of what is left, eV."""
        self.reference.copy_(energies)
        self.scale.copy_(scale)

    def set_linear(
        self, coefficients: Float[Tensor, " coefficient"], energies: Float[Tensor, " species"]
    ) -> None:
        """Fix the coefficients of a linear readout, and the energy of an atom of each species."""
        self.readout.coefficients.copy_(coefficients.view_as(self.readout.coefficients))
        self.reference.copy_(energies)

    def normalise(self, features: Features, train: Int[Tensor, " train"]) -> None:
        """Scale features as a whole: their mean square is one over all training structures."""
        norms = torch.linalg.vector_norm(features.values, dim=1).double()
        norms = norms[torch.isin(features.center_structure[features.center_of_row], train)]
        n_centers = int(torch.isin(features.center_structure, train).sum())
        self.readout.count_rows(len(norms), n_centers)
        if norms.any():
            self.feature_scale = features.values.shape[1] ** 0.5 / norms.square().mean().sqrt()

    def keep_off(self, structures: Sequence[ase.Atoms]) -> None:
        """Limit the repulsion, if there is one, to distances that structures do not have."""
        if self.repulsion is not None:
            self.repulsion.keep_off(structures)

    @torch.no_grad()
    def prepare(self, system: System, seed: int) -> None:
        """Scale features, and let the readout adapt to them, before training."""
        features = self.descriptor(system)
        self.normalise(features, torch.arange(len(system.cell)))
        self.readout.start(features.scaled(self.feature_scale), seed)

    def finish(self) -> None:
        """Undo what ``prepare`` did to the form of the readout."""
        self.readout.finish()
