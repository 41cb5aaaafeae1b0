"""All rows for one seed: what is trained on what."""

import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from atomplete.checkpoint import save
from atomplete.descriptors import Features
from atomplete.latents import AutoEncoder, AutoEncoderSpec
from atomplete.nn import DeepSetSpec, LinearSpec
from atomplete.paper.best import fit_best
from atomplete.paper.data import LabelledPairs
from atomplete.paper.errors import PairErrors, pair_errors
from atomplete.paper.inputs import BATCH, Inputs
from atomplete.paper.presets import Budget
from atomplete.paper.results import RowResult, write_predictions
from atomplete.paper.table import ROWS, Row
from atomplete.potentials import DescriptorPotential, DescriptorPotentialSpec
from atomplete.system import System
from atomplete.training.closed_form.ridge import RidgeSpec
from atomplete.training.feature_table import RowTable
from atomplete.training.fit import Solver, fit
from atomplete.training.networks import train_on_features
from atomplete.training.run import Task

#: Errors on test and on validation pairs.
Errors = tuple[PairErrors, PairErrors]


class SeedRun:
    """One split of the pairs, and what is fitted to it.

    Parameters
    ----------
    budget
        What to spend.
    data
        Pairs, split with the seed.
    folder_of
        Where to keep what belongs to a row, by its name.
    seed
        Of initial weights and batches.
    progress
        Whether to show how far it is.
    """

    def __init__(
        self,
        budget: Budget,
        data: LabelledPairs,
        folder_of: Callable[[str], Path],
        seed: int,
        progress: bool,
    ) -> None:
        self.budget, self.data, self.folder_of = budget, data, folder_of
        self.seed, self.progress = seed, progress
        self.dtype = getattr(torch, budget.train.dtype)
        self.split = data.training_split
        self.options: dict[str, Any] = {"seed": seed, "progress": progress}
        # computed for the first row that asks for them
        self.inputs = cache(self._inputs)
        self.autoencoder = cache(self._autoencoder)

    def fill(self, row: Row) -> RowResult:
        """Fit what a row names, write it to the row's folder, and find its errors."""
        feature_seconds = sum(self.inputs(name).seconds for name in _inputs_of(row))
        started, folder = time.monotonic(), self.folder_of(row.name)
        folder.mkdir(parents=True, exist_ok=True)
        if row.inputs == "structures":
            best, seed, progress = self.budget.best, self.seed, self.progress
            predicted = fit_best(best, self.data, folder, seed=seed, progress=progress)
            errors = self._written(predicted, folder)
        elif row.target == "features":
            save(folder / "model.pt", self.inputs(row.name).descriptor)
            errors = self.reconstruction_errors(self.autoencoder(row.name))
        else:
            on_latent = row.inputs in ROWS
            form = self.budget.head if on_latent else self.budget.deep_set
            spec = self.budget.train_head if on_latent else self.budget.train
            readout, solver = (LinearSpec(), RidgeSpec()) if row.form == "linear" else (form, spec)
            errors = self.energy_errors(self.inputs(row.inputs), readout, solver, folder)
        return RowResult.of(*errors, feature_seconds + time.monotonic() - started)

    def forget(self) -> None:
        """Let go of features and models."""
        self.inputs.cache_clear()
        self.autoencoder.cache_clear()

    def _inputs(self, name: str) -> Inputs:
        if name in ROWS:
            trained = self.autoencoder(name)
            return Inputs.encode(trained, self.inputs(ROWS[name].inputs), self.dtype)
        return Inputs.compute(getattr(self.budget, name), self.data, self.dtype, self.progress)

    def _autoencoder(self, name: str) -> AutoEncoder:
        spec = self.budget.autoencoder
        if ROWS[name].form == "linear":
            linear = spec.encoder.model_copy(update={"hidden": ()})
            spec = spec.model_copy(update={"encoder": linear})
        return self.train_autoencoder(spec, self.folder_of(name))

    def train_autoencoder(self, spec: AutoEncoderSpec, folder: Path) -> AutoEncoder:
        """An encoder–decoder; an earlier run's is taken up where it stopped."""
        inputs, nice = self.inputs("three_center"), self.inputs("nice")
        targets = nice.of_environments()
        model = AutoEncoder(spec, inputs.descriptor.parity, self.seed)
        table = inputs.table_of(spec.encoder).to(self.dtype)
        model.normalise(table.features, nice.sums.features, self.split.train.flatten())
        train_on_features(
            model.model,
            model,
            table,
            model.relative(targets, table.features),
            Task(model, self.data.dataset, self.split, self.budget.loss, folder, **self.options),
            self.budget.train_autoencoder,
            depends_on=(spec,),
        )
        return model.requires_grad_(False)

    def reconstruction_errors(self, model: AutoEncoder) -> Errors:
        """Over all features, and not only the principal components that are predicted."""
        reference = self.inputs("nice").of_environments()
        table = self.inputs("three_center").table_of(model.spec.encoder)

        def errors(pairs: np.ndarray) -> PairErrors:
            groups = self.data.groups(pairs)
            predicted = _predict(lambda rows, _: model.predict(rows), table, groups.flatten())
            shape = (*groups.shape, -1)
            return pair_errors(predicted.view(shape).numpy(), reference[groups].numpy())

        return errors(self.data.split.test), errors(self.data.split.validation)

    def energy_errors(
        self, inputs: Inputs, readout: LinearSpec | DeepSetSpec, solver: Solver, folder: Path
    ) -> Errors:
        """Errors of a model of the energy; writes it and its predictions."""
        features = inputs.sums if solver.type == "ridge" else inputs.rows
        spec = DescriptorPotentialSpec(
            descriptor=inputs.descriptor.spec,
            readout=readout,
            species=tuple(sorted(set(inputs.rows.features.center_species.tolist()))),
            centers=System.centers_of(self.data.structures),
        )
        model = DescriptorPotential(spec, self.seed, inputs.descriptor)
        fit(
            model, self.data.dataset, self.split, self.budget.loss, solver, folder,
            features=features, **self.options,
        )  # fmt: skip
        predicted = _predict(model.energies_of, features, torch.arange(features.n_structures))
        save(folder / "model.pt", model)
        return self._written(predicted, folder)

    def _written(self, predicted: Float[Tensor, " structure"], folder: Path) -> Errors:
        """Write the predictions of a row, and find their errors."""
        pairs = predicted.view(-1, 2).numpy()
        reference = self.data.energies.view(-1, 2).numpy()
        write_predictions(folder / "predictions.csv", self.data, pairs)
        test, validation = self.data.split.test, self.data.split.validation
        return (
            pair_errors(pairs[test], reference[test]),
            pair_errors(pairs[validation], reference[validation]),
        )


def _inputs_of(row: Row) -> tuple[str, ...]:
    """Inputs that have to be computed before a row can be filled."""
    if row.inputs == "structures":
        return ()
    return (row.inputs, "nice") if row.target == "features" else (row.inputs,)


@torch.no_grad()
def _predict(
    function: Callable[[Features, int], Tensor], table: RowTable, structures: Tensor
) -> Tensor:
    """A function of the features of some structures, in float64."""
    parts = []
    for batch in structures.split(BATCH):
        parts.append(function(table.batch(batch).to(torch.float64), len(batch)))
    return torch.cat(parts)
