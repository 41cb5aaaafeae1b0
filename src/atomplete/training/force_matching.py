"""Training on energies and forces: the derivative of a model is fitted along with the model."""

from collections.abc import Sequence
from pathlib import Path

import ase
import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn

from atomplete.descriptors import Features, concatenate, split
from atomplete.errors import InputError
from atomplete.nn import DeepSet
from atomplete.potentials import EnergyModel
from atomplete.system import System
from atomplete.training.train import Objective, TrainSpec, minimise

#: Training structures that references, scales and components of features are found from.
STRUCTURES = 500


class ForceMatchingSpec(TrainSpec):
    """Options of training on energies and forces.

    Examples
    --------
    >>> ForceMatchingSpec(epochs=10).force_weight
    10.0
    """

    epochs: int = Field(default=40, ge=1)
    batch_structures: int = Field(default=32, ge=1, description="structures in a batch")
    learning_rate: float = Field(default=3e-3, gt=0)
    force_weight: float = Field(
        default=10.0,
        ge=0,
        description="weight of the squared force components against the squared energies, each "
        "over its own variance",
    )
    components: int = Field(
        default=120, ge=1, description="principal components of the features to start from"
    )
    whitening: float = Field(
        default=0.25,
        ge=0,
        le=1,
        description="0 keeps the spread of the components, 1 makes all alike",
    )


def match_forces(
    model: EnergyModel,
    structures: Sequence[ase.Atoms],
    energies: Float[Tensor, " structure"],
    train_groups: Int[Tensor, "train member"],
    validation_groups: Int[Tensor, "validation member"],
    spec: ForceMatchingSpec,
    folder: Path,
    *,
    seed: int,
    progress: bool = True,
) -> None:
    """Train a deep set on energies and forces; it ends where its validation energies are best.

    Descriptors and their derivatives are computed anew for every batch, so that memory does not
    grow with the number of structures. The network trains on principal components of the
    descriptors, which become part of its first layer in the end. An interrupted run is resumed
    as by ``train``, and pairs are weighted as there.

    Parameters
    ----------
    model
        A deep set of any representation that needs no fit, or has been fitted.
    structures
        Structures, periodic or not; those that are trained on have forces, eV/Å.
    energies
        (structure,), eV.
    train_groups, validation_groups
        Structures of each group: pairs, or singles.
    spec
        Options.
    folder
        Where ``training.pt`` and ``log.jsonl`` are kept.
    seed
        Of the initial weights, of the batches' order, and of the structures that scales and
        components are found from.
    progress
        Whether to show how far it is.

    Raises
    ------
    InputError
        For a training structure without forces, labels that are not finite, and if the loss
        becomes so.

    References
    ----------
    Ercolessi, Adams, Europhys. Lett. 26, 583 (1994); Behler, Parrinello, Phys. Rev. Lett. 98,
    146401 (2007).

    Examples
    --------
    >>> from atomplete.nn import DeepSetSpec
    >>> from atomplete.potentials import EnergyModelSpec
    >>> from atomplete.descriptors import DensityCorrelationsSpec
    >>> spec = EnergyModelSpec(
    ...     representation=DensityCorrelationsSpec(nu=(2,)), model=DeepSetSpec(), species=(5,)
    ... )
    >>> pair = [ase.Atoms("B2", [(0, 0, 0), (0, 0, r)]) for r in (1.6, 1.7)]
    >>> one = torch.arange(2)[:, None]
    >>> match_forces(
    ...     EnergyModel(spec), pair, torch.zeros(2).double(), one, one, ForceMatchingSpec(),
    ...     Path("run"), seed=0,
    ... )
    Traceback (most recent call last):
    atomplete.errors.InputError: structure 0: no forces to train on
    """
    if not isinstance(model.model, DeepSet):
        raise TypeError("only a deep set can be trained on forces")
    fit = _Fit(model, structures, energies, train_groups, spec)
    learner = fit.learner(seed)
    positions = torch.cat([torch.from_numpy(atoms.positions) for atoms in structures])
    minimise(
        learner,
        lambda groups: fit.loss(learner, groups),
        train_groups,
        validation_groups,
        spec,
        folder,
        depends_on=(model.spec, positions, energies, torch.cat(list(fit.forces.values()))),
        seed=seed,
        progress=progress,
    )
    learner.fold_into(model.model)


class _Projected(nn.Module):
    """A deep set of features whose even part is projected: (x − mean) @ projection."""

    def __init__(
        self, network: DeepSet, mean: Tensor, projection: Tensor, odd_scale: Tensor
    ) -> None:
        super().__init__()
        self.network = network
        self.mean: Tensor
        self.projection: Tensor
        self.odd_scale: Tensor
        # in the checkpoint, for an eigensolver may round differently in another process
        self.register_buffer("mean", mean)
        self.register_buffer("projection", projection)
        self.register_buffer("odd_scale", odd_scale)

    def forward(self, features: Features) -> Float[Tensor, " center"]:
        """E_i of each centre, in the model's own scale."""
        even = (features.even - self.mean) @ self.projection
        values = torch.cat([even, features.odd * self.odd_scale], 1)
        signs = torch.ones(values.shape[1], dtype=torch.long)
        signs[even.shape[1] :] = -1
        return self.network(features.with_values(values, signs))

    def fold_into(self, model: DeepSet) -> None:
        """Make the projection a part of the first layer of a model of the features themselves."""
        state = self.network.state_dict()
        weight = state["even.weight"] @ self.projection.T
        state["even.bias"] = state["even.bias"] - weight @ self.mean
        state["even.weight"] = weight
        if "odd.weight" in state:
            state["odd.weight"] = state["odd.weight"] * self.odd_scale
        model.load_state_dict(state)


def _components(
    even: Float[Tensor, "row feature"], spec: ForceMatchingSpec
) -> tuple[Float[Tensor, " feature"], Float[Tensor, "feature component"]]:
    """Mean, and principal components with a mean square of one over all of them."""
    mean = even.mean(0)
    variance, vectors = torch.linalg.eigh((even - mean).T @ (even - mean) / len(even))
    variance, vectors = variance.flip(0), vectors.flip(1)
    kept = int((variance > 1e-12 * variance[0]).sum().clamp(1, spec.components))
    variance, vectors = variance[:kept].clamp_min(1e-300), vectors[:, :kept]
    scale = variance ** (-spec.whitening / 2)
    return mean, vectors * scale / (variance * scale**2).mean().sqrt()


class _Fit:
    """Labels, scales and loss of a training run."""

    def __init__(
        self,
        model: EnergyModel,
        structures: Sequence[ase.Atoms],
        energies: Float[Tensor, " structure"],
        train_groups: Int[Tensor, "train member"],
        spec: ForceMatchingSpec,
    ) -> None:
        self.model, self.structures, self.energies, self.spec = model, structures, energies, spec
        self.dtype = getattr(torch, spec.dtype)
        self.training = train_groups.flatten().unique()
        self.forces = {s: labelled_forces(structures, s) for s in self.training.tolist()}
        for s, forces in self.forces.items():
            if not (energies[s].isfinite() and forces.isfinite().all()):
                raise InputError(f"structure {s}: an energy or a force that is not finite")
        mean_square = torch.cat(list(self.forces.values())).square().mean()
        self.force_spread = mean_square.sqrt().clamp_min(1e-12)
        self.difference_spread = 1.0
        if train_groups.shape[1] == 2:
            first, second = energies[train_groups].T
            self.difference_spread = (first - second).std().item()

    def _system(self, structures: Int[Tensor, " structure"], dtype: torch.dtype) -> System:
        return System.from_atoms(
            [self.structures[s] for s in structures.tolist()],
            self.model.representation.spec.expansion.cutoff,
            centers=self.model.spec.centers,
            dtype=dtype,
        )

    def learner(self, seed: int) -> _Projected:
        """The network to train, once references and scales of the model are fixed."""
        draw = torch.randperm(len(self.training), generator=torch.Generator().manual_seed(seed))
        some = self.training[draw[:STRUCTURES]].sort().values
        with torch.no_grad():
            system = self._system(some, torch.float64)
            parts = split(self.model.representation, system)
            features = concatenate([self.model.representation(part) for part in parts])
        self.model.normalise(features, self.energies[some], torch.arange(len(some)))
        self.model.feature_scale.fill_(1.0)  # components have a scale of their own
        assert isinstance(self.model.model, DeepSet)
        mean, projection = _components(features.even, self.spec)
        generator = torch.Generator().manual_seed(seed)
        n_odd = features.odd.shape[1]
        network = DeepSet(self.model.model.spec, projection.shape[1], n_odd, generator)
        network.rows_per_center.copy_(self.model.model.rows_per_center)
        odd_scale = features.odd.square().sum().clamp_min(1e-300)
        odd_scale = (features.odd.numel() / odd_scale).sqrt() if n_odd else odd_scale.new_ones(())
        return _Projected(network, mean, projection, odd_scale).to(self.dtype)

    def loss(self, learner: _Projected, groups: Int[Tensor, "group member"]) -> Float[Tensor, ""]:
        """Of a batch of groups; of energies alone where no gradient is wanted."""
        structures, position = groups.unique(return_inverse=True)
        system = self._system(structures, self.dtype)
        with_forces = torch.is_grad_enabled() and self.spec.force_weight > 0
        x = system.positions.requires_grad_(with_forces)
        features = self.model.representation(system.with_positions(x))
        per_center = learner(features)
        predicted = per_center.new_zeros(len(structures))
        predicted = predicted.index_add(0, features.center_structure, per_center)
        scale = self.model.scale.item()
        objective = Objective(
            self.model.relative(self.energies[structures], features).to(self.dtype),
            self.spec.difference_weight,
            max(self.difference_spread / scale, 1e-12),
        )
        loss = objective.loss(predicted[position], position)
        if with_forces:
            (gradient,) = torch.autograd.grad(predicted.sum(), x, create_graph=True)
            reference = torch.cat([self.forces[s] for s in structures.tolist()])
            error = (scale * gradient + reference.to(x)) / self.force_spread.to(x)
            loss = loss + self.spec.force_weight * error.square().mean()
        return loss


def labelled_forces(structures: Sequence[ase.Atoms], index: int) -> Float[Tensor, "atom xyz"]:
    """The labelled forces of a structure, eV/Å."""
    atoms = structures[index]
    found = getattr(atoms.calc, "results", {}).get("forces", atoms.arrays.get("forces"))
    if found is None:
        raise InputError(f"structure {index}: no forces to train on")
    return torch.as_tensor(found, dtype=torch.float64)
