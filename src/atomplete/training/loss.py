"""Weighted squared errors of energies, forces and stresses, each over its own variance."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from atomplete.data.dataset import Dataset
from atomplete.errors import InputError
from atomplete.potentials.prediction import Prediction, Property


class Loss(BaseModel):
    """Weights of the terms; each squared error counts over the variance of what it is an error of.

    Examples
    --------
    >>> Loss(energy_per_atom=1.0, forces=10.0).asked_for
    ('energies', 'forces')
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    energy: float = Field(default=0.0, ge=0, description="weight of the energies of structures")
    energy_per_atom: float = Field(default=0.0, ge=0, description="weight of the energies per atom")
    forces: float = Field(default=0.0, ge=0, description="weight of the components of forces")
    stress: float = Field(default=0.0, ge=0, description="weight of the components of stresses")
    pair_difference: float | None = Field(
        default=None,
        ge=0,
        description="weight of the differences of energies within pairs, whose energies then "
        "count by their mean; null for the energies of single structures",
    )

    @property
    def asked_for(self) -> tuple[str, ...]:
        """Labels that a fit needs: energies, forces, stresses."""
        wanted = {
            "energies": self.energy or self.energy_per_atom,
            "forces": self.forces,
            "stresses": self.stress,
        }
        return tuple(name for name, weight in wanted.items() if weight)

    @property
    def properties(self) -> tuple[Property, ...]:
        """Properties that a potential must predict."""
        wanted: tuple[Property, ...] = ("energy",)
        wanted += ("forces",) if self.forces else ()
        return wanted + (("stress",) if self.stress else ())


@dataclass(frozen=True)
class Objective:
    """Squared errors of groups of structures: pairs, or singles.

    Attributes
    ----------
    targets
        (structure,) or (structure, target), in the model's units; squares are summed over the
        targets of a structure.
    difference_weight
        Weight of the squared pair difference against the squared pair mean; None for the plain
        squared error of structures, and ignored for groups of one.
    difference_spread
        Standard deviation of the pair difference of ``targets`` in the training data.

    Examples
    --------
    >>> objective = Objective(torch.tensor([1.0, 0.5]), 0.1, difference_spread=0.5)
    >>> objective.loss(torch.tensor([[0.75, 0.75]]), torch.tensor([[0, 1]]))
    tensor(0.1000)
    """

    targets: Float[Tensor, "structure *target"]
    difference_weight: float | None
    difference_spread: float

    @classmethod
    def of(
        cls,
        targets: Float[Tensor, "structure *target"],
        groups: Int[Tensor, "group member"],
        difference_weight: float | None,
        dtype: torch.dtype,
    ) -> "Objective":
        """Objective of targets, with the spread of their differences in the training groups."""
        spread = 1.0
        if groups.shape[1] == 2:
            difference = (targets[groups[:, 0]] - targets[groups[:, 1]]).reshape(len(groups), -1)
            spread = max(difference.var(0).sum().sqrt().item(), 1e-12)
        return cls(targets.to(dtype), difference_weight, spread)

    def to(self, device: torch.device) -> "Objective":
        """The same with its targets elsewhere."""
        return replace(self, targets=self.targets.to(device))

    def loss(
        self, predicted: Float[Tensor, "group member *target"], groups: Int[Tensor, "group member"]
    ) -> Float[Tensor, ""]:
        """Mean over groups of the squared errors."""
        error = (predicted - self.targets[groups]).reshape(*groups.shape, -1)
        if self.difference_weight is None or groups.shape[1] == 1:
            return _mean_square(error.flatten(0, 1))
        difference = (error[:, 0] - error[:, 1]) / self.difference_spread
        return _mean_square(error.mean(1)) + self.difference_weight * _mean_square(difference)


def _mean_square(error: Float[Tensor, "row target"]) -> Float[Tensor, ""]:
    return error.square().sum(1).mean()


@dataclass(frozen=True)
class Scales:
    """Standard deviations of the labels of training structures, which errors are measured in.

    Attributes
    ----------
    energy, energy_per_atom
        Of energies relative to the references, of a structure and per atom, eV.
    forces
        Of all components, about zero, eV/Å.
    stress
        Of all components, eV/Å³.
    """

    energy: float
    energy_per_atom: float
    forces: float
    stress: float

    @classmethod
    def of(
        cls,
        dataset: Dataset,
        residual: Float[Tensor, " structure"],
        structures: Int[Tensor, " chosen"],
    ) -> "Scales":
        """Scales of some structures of a data set.

        Parameters
        ----------
        dataset
            Labels.
        residual
            (structure,) energies of all structures relative to the references, eV.
        structures
            Those that are trained on.
        """
        forces = dataset.forces[dataset.atoms_of(structures)]
        return cls(
            _spread(residual[structures]),
            _spread(residual[structures] / dataset.n_atoms[structures]),
            max(forces[forces.isfinite()].square().mean().sqrt().nan_to_num().item(), 1e-12),
            _spread(dataset.stresses[structures].flatten()),
        )


class BatchLoss:
    """The loss of a batch of structures, each term a mean over the labels that there are.

    Parameters
    ----------
    dataset
        Labels.
    loss
        Weights.
    scales
        Standard deviations that errors are measured in.
    train
        (group, member) structures that are trained on.
    """

    def __init__(
        self, dataset: Dataset, loss: Loss, scales: Scales, train: Int[Tensor, "group member"]
    ) -> None:
        self.dataset, self.weights, self.scales = dataset, loss, scales
        self.objective = Objective.of(
            dataset.energies / scales.energy, train, loss.pair_difference, torch.float64
        )

    def __call__(
        self,
        found: Prediction,
        structures: Int[Tensor, " chosen"],
        groups: Int[Tensor, "group member"],
    ) -> Float[Tensor, ""]:
        """Loss of a prediction for some structures, whose positions among them ``groups`` give."""
        weights, scales, dataset = self.weights, self.scales, self.dataset
        n = dataset.n_atoms[structures]
        energies = dataset.energies[structures]
        weight = weights.energy_per_atom / scales.energy_per_atom**2
        terms = [(weight, found.energy / n, energies / n)]
        if found.forces is not None:
            labels = dataset.forces[dataset.atoms_of(structures)]
            terms.append((weights.forces / scales.forces**2, found.forces, labels))
        if found.stress is not None:
            labels = dataset.stresses[structures]
            terms.append((weights.stress / scales.stress**2, found.stress, labels))
        total = found.energy.new_zeros(())
        if weights.energy:
            predicted = (found.energy / scales.energy)[groups]
            total = total + weights.energy * self.objective.loss(predicted, structures[groups])
        for weight, values, labels in terms:
            has = labels.isfinite()
            if weight and has.any():
                total = total + weight * (values[has] - labels[has]).square().mean()
        return total


def _spread(values: Float[Tensor, " value"]) -> float:
    """Standard deviation of the values that there are; 1 if all are alike."""
    found = values[values.isfinite()]
    spread = found.std().item() if len(found) > 1 else 0.0
    return spread if spread > 1e-12 else 1.0


def check_labels(dataset: Dataset, loss: Loss, structures: Int[Tensor, " chosen"]) -> None:
    """Refuse data without the labels that a loss asks for.

    Raises
    ------
    InputError
        If no structure has labels of a kind that has a weight.

    Examples
    --------
    >>> from ase import Atoms
    >>> dataset = Dataset.from_structures([Atoms("H", info={"energy": -13.6})])
    >>> check_labels(dataset, Loss(energy=1.0, forces=1.0), torch.tensor([0]))
    Traceback (most recent call last):
    atomplete.errors.InputError: no structure has forces, but the loss asks for them (forces 1)
    """
    for name in loss.asked_for:
        if not dataset.labelled[name][structures].any():
            weight = {"energies": "energy", "forces": "forces", "stresses": "stress"}[name]
            value = getattr(loss, weight) or loss.energy_per_atom
            raise InputError(
                f"no structure has {name}, but the loss asks for them ({weight} {value:g})"
            )
