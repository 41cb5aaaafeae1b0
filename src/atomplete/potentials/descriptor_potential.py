"""The energy of a structure: a representation, a model of its rows, and reference energies."""

from collections.abc import Sequence
from typing import Annotated, Literal

import ase
import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from atomplete.descriptors import (
    AnyDescriptorSpec,
    Descriptor,
    Features,
    FusedRows,
    ThreeCenter,
    split,
)
from atomplete.errors import InputError
from atomplete.latents.autoencoder import scaled
from atomplete.nn.deep_set import DeepSet, DeepSetSpec
from atomplete.nn.linear import Linear, LinearSpec, fit_ridge
from atomplete.potentials.base import Potential
from atomplete.registry import Spec, build, restore
from atomplete.system import Centers, System

ModelSpec = Annotated[DeepSetSpec | LinearSpec, Field(discriminator="type")]


class EnergyModelSpec(Spec):
    """Plain data that, with a state dict, is the whole model.

    Examples
    --------
    >>> from atomplete.descriptors import ThreeCenterSpec
    >>> spec = EnergyModelSpec(representation=ThreeCenterSpec(), model=LinearSpec(), species=(5,))
    >>> EnergyModelSpec.model_validate(spec.model_dump(mode="json")) == spec
    True
    """

    type: Literal["descriptor_potential"] = "descriptor_potential"
    representation: AnyDescriptorSpec
    model: ModelSpec
    species: tuple[int, ...] = Field(min_length=1, description="atomic numbers of centres")
    centers: Centers = Field(default="all", description="which atoms carry the energy")


class EnergyModel(Potential, spec=EnergyModelSpec):
    """E = Σ_i (E_ref(species of i) + scale · E_i) over the centres of a structure, eV.

    Parameters
    ----------
    spec
        Representation, model and species.
    seed
        Of the initial weights.
    representation
        A fitted one of that spec; a fit may find fewer features than the spec allows.

    Examples
    --------
    >>> from atomplete.descriptors import ThreeCenterSpec
    >>> spec = EnergyModelSpec(
    ...     representation=ThreeCenterSpec(radial_components=2), model=DeepSetSpec(), species=(5,)
    ... )
    >>> model = EnergyModel(spec, seed=0)
    >>> model.predict([ase.Atoms("B2", [(0, 0, 0), (0, 0, 1.6)])]).shape
    torch.Size([1])
    """

    def __init__(
        self,
        spec: EnergyModelSpec,
        seed: int = 0,
        representation: Descriptor | None = None,
    ) -> None:
        super().__init__()
        self.spec = spec
        self.representation = representation or build(spec.representation)
        n_odd = int((self.representation.parity < 0).sum())
        n_even = len(self.representation.parity) - n_odd
        self.model: DeepSet | Linear
        if isinstance(spec.model, LinearSpec):
            self.model = Linear(spec.model, n_even, n_odd)
        else:
            generator = torch.Generator().manual_seed(seed)
            self.model = DeepSet(spec.model, n_even, n_odd, generator).double()
        self.reference: Tensor
        self.scale: Tensor
        self.feature_scale: Tensor
        # one energy for each species of centre, all in float64: they are large
        self.register_buffer("reference", torch.zeros(len(spec.species), dtype=torch.float64))
        self.register_buffer("scale", torch.ones((), dtype=torch.float64))
        self.register_buffer("feature_scale", torch.ones((), dtype=torch.float64))

    @classmethod
    def from_state(cls, spec: EnergyModelSpec, state: dict[str, Tensor]) -> "EnergyModel":
        """Model of a spec and a state dict; a fit may have found fewer features than it allows."""
        prefix = "representation."
        own = {name.removeprefix(prefix): v for name, v in state.items() if name.startswith(prefix)}
        model = cls(spec, representation=restore(spec.representation, own))
        model.load_state_dict(state)
        return model

    def forward(self, features: Features, n_structures: int) -> Float[Tensor, " structure"]:  # type: ignore[override]
        """Energies in units of ``scale`` and relative to the references, (structure,)."""
        return _summed(self.model(scaled(features, self.feature_scale)), features, n_structures)

    def relative(
        self, energies: Float[Tensor, " structure"], features: Features
    ) -> Float[Tensor, " structure"]:
        """Energies relative to the references, in units of ``scale``."""
        references = self.composition(features, len(energies)) @ self.reference
        return (energies - references) / self.scale

    def normalise(
        self,
        features: Features,
        energies: Float[Tensor, " structure"],
        train: Int[Tensor, " train"],
    ) -> None:
        """Fix references and scales on the training structures.

        References solve the least squares of energy against the composition of the centres;
        the scale is the spread of what is left; features are scaled as a whole, so that the
        mean square over all of them is one.
        """
        composition, energies = self.composition(features, len(energies))[train], energies[train]
        self.reference = _least_squares(composition, energies[:, None])[:, 0]
        self.scale = (energies - composition @ self.reference).std().clamp_min(1e-12)
        norms = torch.linalg.vector_norm(features.values, dim=1).double()
        norms = norms[torch.isin(features.center_structure[features.center_of_row], train)]
        if isinstance(self.model, DeepSet):
            n_centers = int(torch.isin(features.center_structure, train).sum())
            self.model.count_rows(len(norms), n_centers)
        if norms.any():
            self.feature_scale = features.values.shape[1] ** 0.5 / norms.square().mean().sqrt()

    def fit_linear(
        self,
        features: Features,
        energies: Float[Tensor, " structure"],
        train: Int[Tensor, "train *member"],
        validation: Int[Tensor, "validation *member"],
        difference_weight: float | None = None,
    ) -> float:
        """Fit a linear model in closed form; returns the strength of the penalty.

        The references are fitted along with it and carry no penalty.

        Parameters
        ----------
        features
            Of all structures, float64.
        energies
            (structure,), eV.
        train, validation
            Structures to fit, and to choose the strength of the penalty on: (structure,), or
            (pair, 2).
        difference_weight
            Of the squared difference of a pair against its squared mean, each over its own
            variance; None for the plain squared error of structures.
        """
        if not isinstance(self.model, Linear):
            raise TypeError("only a linear model can be fitted in closed form")
        composition, fitted = self.composition(features, len(energies)), train.flatten()
        self.normalise(features, energies, fitted)
        per_center = self.model.inputs(scaled(features, self.feature_scale))
        inputs = per_center.new_zeros(len(energies), per_center.shape[1])
        inputs = inputs.index_add(0, features.center_structure, per_center)

        def explained_by_composition(values: Tensor) -> Tensor:
            return _least_squares(composition[fitted], values[fitted])

        inputs_part = explained_by_composition(inputs)
        targets_part = explained_by_composition(energies[:, None])
        residual = (energies - (composition @ targets_part)[:, 0]) / self.scale
        inputs = inputs - composition @ inputs_part
        if train.ndim == 1 or difference_weight is None:
            weights, strength = fit_ridge(inputs, residual, fitted, validation.flatten())
        else:
            ratio = difference_weight**0.5 / max(_differences(residual, train).std().item(), 1e-12)
            x, y = (
                torch.cat([_means_and_differences(v, g, ratio) for g in (train, validation)])
                for v in (inputs, residual)
            )
            first, second = torch.arange(len(x)).split([2 * len(train), 2 * len(validation)])
            weights, strength = fit_ridge(x, y, first, second)
        self.model.weights = weights
        self.reference = targets_part[:, 0] - self.scale * (inputs_part @ weights)
        return strength

    def composition(
        self, features: Features, n_structures: int
    ) -> Float[Tensor, "structure species"]:
        """How many centres of each species every structure has, float64."""
        known = torch.tensor(self.spec.species)
        match = features.center_species[:, None] == known
        unknown = ~match.any(1)
        if unknown.any():
            first = int(unknown.nonzero()[0, 0])
            raise InputError(
                f"structure {int(features.center_structure[first])}: a center of atomic number "
                f"{int(features.center_species[first])}, but the model knows "
                f"{', '.join(map(str, self.spec.species))}"
            )
        zero = torch.zeros(n_structures, len(known), dtype=torch.float64)
        return zero.index_add(0, features.center_structure, match.double())

    def energies(self, features: Features, n_structures: int) -> Float[Tensor, " structure"]:  # type: ignore[override]
        """Energies, (structure,), eV, float64, from features that were computed before."""
        return self._absolute(self(features, n_structures), features)

    def evaluate(self, system: System) -> Float[Tensor, " structure"]:
        """Energies of the structures of a system, (structure,), eV, float64.

        They can be differentiated in positions and cell. A deep set of three-centre descriptors
        is evaluated without forming their rows, see ``descriptors.tagged.fused``.

        Raises
        ------
        InputError
            For a species that the model does not know.

        Examples
        --------
        >>> from atomplete.descriptors import ThreeCenterSpec
        >>> spec = EnergyModelSpec(
        ...     representation=ThreeCenterSpec(), model=DeepSetSpec(hidden=(8,)), species=(5,)
        ... )
        >>> system = System.from_atoms(ase.Atoms("B2", [(0, 0, 0), (0, 0, 1.6)]), cutoff=2.0)
        >>> positions = system.positions.requires_grad_()
        >>> energy = EnergyModel(spec).evaluate(system)[0]
        >>> forces = -torch.autograd.grad(energy, positions)[0]
        >>> bool(torch.allclose(forces[0], -forces[1]))
        True
        """
        return self._evaluate(self._source(), system)

    def _source(self) -> Descriptor | FusedRows:
        """The representation, with the first layer of the model where that is a shorter way."""
        if not isinstance(self.model, DeepSet) or not isinstance(self.representation, ThreeCenter):
            return self.representation
        even, odd = (weights * self.feature_scale.to(weights) for weights in self.model.first_layer)
        return FusedRows(self.representation, even, odd)

    def _evaluate(
        self, source: Descriptor | FusedRows, system: System
    ) -> Float[Tensor, " structure"]:
        rows, n_structures = source(system), len(system.cell)
        if not isinstance(source, FusedRows) or not isinstance(self.model, DeepSet):
            return self.energies(rows, n_structures)
        relative = _summed(self.model.after_first_layer(rows), rows, n_structures)
        return self._absolute(relative, rows)

    def _absolute(
        self, relative: Float[Tensor, " structure"], features: Features
    ) -> Float[Tensor, " structure"]:
        references = self.composition(features, len(relative)) @ self.reference
        return relative.double() * self.scale + references

    @torch.no_grad()
    def predict(  # type: ignore[override]
        self, structures: Sequence[ase.Atoms], dtype: torch.dtype = torch.float64
    ) -> Float[Tensor, " structure"]:
        """Energies of structures, (structure,), eV.

        Raises
        ------
        InputError
            For a species that the model does not know, or positions that cannot be described.
        """
        system = System.from_atoms(
            structures,
            self.representation.spec.expansion.cutoff,
            centers=self.spec.centers,
            dtype=dtype,
        )
        energies = torch.zeros(len(structures), dtype=torch.float64)
        source = self._source()
        for part in split(source, system):
            energies += self._evaluate(source, part)
        return energies


def _differences(values: Tensor, pairs: Int[Tensor, "pair 2"]) -> Tensor:
    return values[pairs[:, 0]] - values[pairs[:, 1]]


def _means_and_differences(values: Tensor, pairs: Int[Tensor, "pair 2"], ratio: float) -> Tensor:
    """Of each pair its mean, then of each pair its difference times ``ratio``."""
    return torch.cat([values[pairs].mean(1), ratio * _differences(values, pairs)])


def _summed(
    per_center: Float[Tensor, " center"], features: Features, n_structures: int
) -> Float[Tensor, " structure"]:
    total = per_center.new_zeros(n_structures)
    return total.index_add(0, features.center_structure, per_center)


def _least_squares(
    inputs: Float[Tensor, "row column"], targets: Float[Tensor, "row target"]
) -> Float[Tensor, "column target"]:
    """The solution of least norm; torch's default driver rounds differently from call to call."""
    return torch.linalg.lstsq(inputs, targets, driver="gelsd").solution
