"""Ablation of tags and correlations: descriptors ranked on B8 and on families of degenerate pairs.

All have the same basis, see one centre, and go through the same network: a deep set of the rows
of N tagged neighbours, or the one row of a centre that holds its correlations up to the order ν.
B8 has labels of a method, and models that are invariant under O(3). The families have the
energies of ``paper.studies.one_orbital_teacher``, which differ for mirror images; their models
are invariant under SO(3).
"""

from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from atomplete.descriptors import (
    DescriptorSpec,
    ExpansionSpec,
    NiceSpec,
    TaggedCorrelationsSpec,
    ThreeCenterSpec,
)
from atomplete.nn import DeepSetSpec
from atomplete.paper.data import labelled_file
from atomplete.paper.errors import pair_errors
from atomplete.paper.inputs import Inputs
from atomplete.paper.options import MINIMUM_PAIRS, Seeds
from atomplete.paper.studies.pair_sets import Study, b8_study, family_study
from atomplete.potentials import DescriptorPotential, DescriptorPotentialSpec
from atomplete.runs.files import write_json
from atomplete.runs.folder import in_run_folder
from atomplete.runs.progress import progress_of
from atomplete.runs.provenance import cores
from atomplete.system import System
from atomplete.training.adam import AdamSpec
from atomplete.training.fit import fit
from atomplete.training.loss import Loss

#: N tagged neighbours with ν densities; or no tags, and all orders up to ν.
Name = Literal["N1nu1", "N1nu2", "N2nu1", "nu3", "nu4", "nu5", "nu6", "nu7"]


class AblationOptions(BaseModel):
    """Options of ``atomplete study ablation``: pairs, and a network, the same for all.

    Examples
    --------
    >>> AblationOptions(family_pairs=100).representation("N1nu2", species=5).nu
    2
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    labels: str = Field(default="xtb", description="of B8, as in ``ReproduceOptions``")
    seeds: Seeds = Field(default=(0, 1, 2), description="of weights and the order of batches")
    workers: int = Field(default_factory=cores, ge=1, description="processes for labelling")
    representations: tuple[Name, ...] = Field(default=get_args(Name), min_length=1)
    b8_pairs: int = Field(default=800, ge=MINIMUM_PAIRS, description="B8 pairs, for all purposes")
    family_pairs: int = Field(default=300, ge=MINIMUM_PAIRS, description="pairs of each family")
    max_radial: int = Field(default=4, ge=1, description="radial functions; l goes to 3")
    three_center_components: tuple[int, int] = (300, 150)
    deep_set: DeepSetSpec = DeepSetSpec(hidden=(128, 64), head=(64,))
    train: AdamSpec = AdamSpec(epochs=25)
    loss: Loss = Loss(energy=1.0, pair_difference=0.1)

    def representation(self, name: Name, species: int) -> DescriptorSpec:
        """The representation that a name stands for."""
        basis = ExpansionSpec(species=(species,), max_radial=self.max_radial)
        if name == "N2nu1":
            return ThreeCenterSpec(expansion=basis, components=self.three_center_components)
        if name == "N1nu1" or name == "N1nu2":
            return TaggedCorrelationsSpec(
                n_tagged=1, nu=1 if name == "N1nu1" else 2, expansion=basis
            )
        return NiceSpec(
            expansion=basis, max_nu=int(name[-1]), components=0.9999, candidates=400,
            fit_environments=600,
        )  # fmt: skip


class AblationRow(BaseModel):
    """Errors of one representation on the test pairs of one set: mean and spread over seeds.

    The spread is the standard deviation with n − 1 in the denominator, null for a single seed.

    Examples
    --------
    >>> list(AblationRow.model_fields)[:4]
    ['representation', 'set', 'mean_error', 'difference_error']
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    representation: str
    set: str
    mean_error: float
    difference_error: float
    mean_error_spread: float | None
    difference_error_spread: float | None
    seeds: int


@in_run_folder("reproduce")
def ablation(options: AblationOptions, folder: Path, *, progress: bool = True) -> list[AblationRow]:
    """Rank representations on B8, and on each and all of the families; write ``ablation.json``.

    For each seed one model is trained on B8, and one on the union of the families, which is then
    tested on each. The split is the same for all seeds, and nothing is chosen on test pairs. Each
    test pair counts in both orders, as which of its members is the plus one means nothing: a
    model that cannot tell them apart has a difference error of 1. A rerun takes up finished
    trainings.

    Parameters
    ----------
    options
        Labels, seeds, sizes and training options.
    folder
        Holds labels, training logs and ``ablation.json``.
    progress
        Whether to show how far it is.

    Returns
    -------
    list of AblationRow
        Rows of ``b8``, of each family and of their ``union``, for each representation.

    Raises
    ------
    InputError
        If the labels cannot be used.

    Examples
    --------
    >>> ablation(AblationOptions(labels="absent.xyz"), Path("runs"))
    Traceback (most recent call last):
    atomplete.errors.InputError: labels absent.xyz: neither one of xtb, pbe nor a file
    """
    n_pairs, workers = options.b8_pairs, options.workers
    path = labelled_file(options.labels, n_pairs, folder, workers=workers, progress=progress)
    studies = {"b8": b8_study(path, n_pairs), "families": family_study(options.family_pairs)}
    rows: list[AblationRow] = []
    with progress_of("ablation", len(options.representations) * len(studies), progress) as step:
        for name in options.representations:
            for which, study in studies.items():
                rows += _rank(name, study, options, folder / "ablation" / which / name)
                step()
    write_json(folder / "ablation.json", [row.model_dump() for row in rows])
    return rows


def _rank(name: Name, study: Study, options: AblationOptions, folder: Path) -> list[AblationRow]:
    """Features once, a model for each seed, errors on each test set."""
    species = int(study.data.structures[0].numbers[0])
    dtype, seeds = getattr(torch, options.train.dtype), options.seeds
    spec = options.representation(name, species)
    inputs = Inputs.compute(spec, study.data, dtype, progress=False)
    errors = []
    for seed in seeds:
        model = _trained(inputs, study, options, seed, folder / f"seed-{seed}")
        errors.append([_errors(model, inputs, study, pairs) for pairs in study.test_sets.values()])
    mean = np.mean(errors, axis=0)
    spread = np.std(errors, axis=0, ddof=1) if len(seeds) > 1 else np.full(mean.shape, None)
    return [
        AblationRow(
            representation=name,
            set=which,
            mean_error=mean[k, 0],
            difference_error=mean[k, 1],
            mean_error_spread=spread[k, 0],
            difference_error_spread=spread[k, 1],
            seeds=len(seeds),
        )
        for k, which in enumerate(study.test_sets)
    ]


def _trained(
    inputs: Inputs, study: Study, options: AblationOptions, seed: int, folder: Path
) -> DescriptorPotential:
    data, table = study.data, inputs.rows
    spec = DescriptorPotentialSpec(
        descriptor=inputs.descriptor.spec,
        readout=options.deep_set.model_copy(update={"group": study.group}),
        species=tuple(set(table.features.center_species.tolist())),
        centers=System.centers_of(data.structures),
    )
    model = DescriptorPotential(spec, seed, inputs.descriptor)
    fit(
        model, data.dataset, data.training_split, options.loss, options.train, folder,
        seed=seed, features=table, progress=False,
    )  # fmt: skip
    return model


@torch.no_grad()
def _errors(
    model: DescriptorPotential, inputs: Inputs, study: Study, pairs: np.ndarray
) -> tuple[float, float]:
    """Mean and difference error, with each pair in both orders."""
    structures = study.data.groups(pairs)
    features = inputs.rows.batch(structures.flatten()).to(torch.float64)
    predicted = model.energies_of(features, structures.numel()).view(-1, 2)
    errors = pair_errors(_both_orders(predicted), _both_orders(study.data.energies[structures]))
    return errors.mean, errors.difference


def _both_orders(values: Float[Tensor, "pair member"]) -> np.ndarray:
    return torch.cat([values, values.flip(1)]).numpy()
