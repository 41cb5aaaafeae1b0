"""Sizes that fit the data: bounded cost, bounded memory, and no more than labels can settle."""

import ase.build
import numpy as np
import pytest
import torch
from ase.calculators.singlepoint import SinglePointCalculator
from pydantic import ValidationError

from atomplete.data.dataset import Dataset
from atomplete.training.options import TrainOptions
from atomplete.training.presets import ACCURATE, FAST, PRESETS, TAGS, drawn, trained


def rattled(structure, n):
    found = []
    for seed in range(n):
        atoms = structure.copy()
        atoms.rattle(0.05, seed=seed)
        labels = {"energy": 0.0, "forces": np.zeros((len(atoms), 3))}
        atoms.calc = SinglePointCalculator(atoms, **labels)
        found.append(atoms)
    return Dataset.from_structures(found)


def size(spec):
    return len(spec.species) * spec.n_features


ETHANOL = ase.build.molecule("CH3CH2OH")
COPPER = ase.build.bulk("Cu", cubic=True).repeat(3)


@pytest.mark.parametrize("budget", [FAST, ACCURATE])
@pytest.mark.parametrize(("structure", "n"), [(ETHANOL, 4), (ETHANOL, 400), (COPPER, 30)])
def test_cost_and_memory_are_bounded(structure, n, budget):
    dataset = rattled(structure, n)
    system = dataset.system(5.0, "all")
    spec = drawn(dataset, system, budget)
    assert size(spec) <= budget.coefficients
    near = np.linalg.norm(system.r_ij, axis=1) < spec.tag_cutoff
    rows = np.bincount(system.i[near], minlength=len(system.centers))
    of_center = 6 * rows * np.bincount(system.i) * spec.neighbor.channels * spec.neighbor.features
    assert of_center.sum() <= budget.operations


def test_more_labels_give_more_features():
    few, many = (rattled(ETHANOL, n) for n in (4, 400))
    few, many = (drawn(data, data.system(5.0, "all"), FAST) for data in (few, many))
    assert 3000 < size(few) + 600 < size(many)


@pytest.mark.parametrize("cutoff", [2.3333, 3.1372])
def test_trained_features_tag_none_beyond_the_cutoff(cutoff):
    dataset = rattled(ETHANOL, 2)
    assert trained(dataset, dataset.system(cutoff, "all")).tag_cutoff <= cutoff


def test_no_tag_beyond_the_cutoff():
    dataset = rattled(ETHANOL, 2)
    assert drawn(dataset, dataset.system(3.0, "all"), FAST).tag_cutoff == 3.0


def test_elements_that_only_validation_has_are_described():
    mixed = rattled(ETHANOL, 2).structures + rattled(ase.build.molecule("CH3SH"), 1).structures
    dataset = Dataset.from_structures(mixed)
    training = dataset.system(5.0, "all").select_structures(torch.tensor([0, 1]))
    assert drawn(dataset, training, FAST).species == (1, 6, 8, 16)


@pytest.mark.parametrize("structure", [ETHANOL, COPPER])
def test_trained_features_are_few_and_see_the_nearest(structure):
    dataset = rattled(structure, 2)
    system = dataset.system(5.0, "all")
    spec = trained(dataset, system)
    near = np.linalg.norm(system.r_ij, axis=1) < spec.tag_cutoff
    assert 5 < near.sum() / len(system.centers) < TAGS + 0.5
    assert 4 * spec.n_features < drawn(dataset, system, FAST).n_features


def test_presets_are_chosen_by_name():
    assert set(PRESETS) == set(TrainOptions.model_fields["preset"].annotation.__args__)
    for name, preset in PRESETS.items():
        assert TrainOptions(preset=name).solver_spec() == preset.solver


@pytest.mark.parametrize(
    "given", [{"readout": "deep_set"}, {"solver": {"type": "ridge"}}, {"potential": {"type": "x"}}]
)
def test_a_preset_and_other_choices_are_refused(given):
    with pytest.raises(ValidationError, match="preset tiny: it has"):
        TrainOptions(preset="tiny", **given)
