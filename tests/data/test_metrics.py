"""Errors by element and by group, and of predicted deviations: against NumPy and SciPy."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from scipy.stats import spearmanr

from atomplete.data.dataset import Dataset
from atomplete.data.metrics import MOST_GROUPS, errors_of, metrics_of, parity_of
from atomplete.potentials.prediction import Prediction

RNG = np.random.default_rng(0)
SIZES, GROUPS = (2, 3, 4), ("wet", None, "dry")


def labelled(size, group):
    atoms = Atoms(["Cu", "Au", "Cu", "O"][:size], RNG.normal(size=(size, 3)))
    labels = {"energy": RNG.normal(), "forces": RNG.normal(size=(size, 3))}
    atoms.calc = SinglePointCalculator(atoms, **labels)
    if group is not None:
        atoms.info["config_type"] = group
    return atoms


STRUCTURES = [labelled(size, group) for size, group in zip(SIZES, GROUPS, strict=True)]
DATASET = Dataset.from_structures(STRUCTURES)
PREDICTED = Prediction(
    DATASET.structure_of_atom,
    torch.from_numpy(RNG.normal(size=3)),
    forces=torch.from_numpy(RNG.normal(size=(9, 3))),
    energy_uncertainty=torch.from_numpy(RNG.uniform(size=3)),
    forces_uncertainty=torch.from_numpy(RNG.uniform(size=(9, 3))),
)
ERROR = PREDICTED.forces.numpy() - np.concatenate([a.get_forces() for a in STRUCTURES])


def test_errors_by_element():
    found = metrics_of(DATASET, PREDICTED)["by_element"]
    symbols = np.concatenate([atoms.get_chemical_symbols() for atoms in STRUCTURES])
    assert set(found) == set(symbols)
    for symbol, errors in found.items():
        error = ERROR[symbols == symbol]
        assert errors["atoms"] == len(error)
        assert errors["forces_mae"] == pytest.approx(np.abs(error).mean())
        assert errors["forces_rmse"] == pytest.approx(np.sqrt((error**2).mean()))


def test_errors_by_group():
    found = metrics_of(DATASET, PREDICTED)["by_group"]
    assert list(found) == ["dry", "none", "wet"]
    for k, group in enumerate(("wet", "none", "dry")):
        alone = errors_of(Dataset.from_structures([STRUCTURES[k]]), PREDICTED[k])
        assert found[group] == {"structures": 1, **alone}


def test_names_of_structures_are_no_groups():
    bare = [Atoms("H", info={"energy": 0.0}) for _ in range(MOST_GROUPS + 1)]
    found = Prediction(torch.arange(len(bare)), torch.zeros(len(bare)).double())
    assert "by_group" not in metrics_of(Dataset.from_structures(bare), found)
    for k, atoms in enumerate(bare):
        atoms.info["group"] = k
    assert "by_group" not in metrics_of(Dataset.from_structures(bare), found)


def test_errors_over_predicted_deviations():
    found = errors_of(DATASET, PREDICTED)
    deviation = PREDICTED.forces_uncertainty.numpy()
    expected = np.sqrt((ERROR**2).mean() / (deviation**2).mean())
    assert found["forces_calibration"] == pytest.approx(expected)
    rank = spearmanr(np.linalg.norm(ERROR, axis=1), np.linalg.norm(deviation, axis=1)).statistic
    assert found["forces_rank_correlation"] == pytest.approx(rank)
    of_energy = PREDICTED.energy.numpy() - [a.get_potential_energy() for a in STRUCTURES]
    per_atom = [x / np.array(SIZES) for x in (of_energy, PREDICTED.energy_uncertainty.numpy())]
    ratio = np.sqrt((per_atom[0] ** 2).mean() / (per_atom[1] ** 2).mean())
    assert found["energy_per_atom_calibration"] == pytest.approx(ratio)
    parity = parity_of(DATASET, PREDICTED)
    np.testing.assert_allclose(parity["forces"]["deviation"], deviation.ravel())
    assert "stress_calibration" not in found
    assert "deviation" not in parity["stress"]


def test_selected_predictions_are_numbered_anew():
    part = PREDICTED.select(torch.tensor([True, False, True]))
    assert part.structure.tolist() == [0, 0, 1, 1, 1, 1]
    assert torch.equal(part.forces, PREDICTED.forces[[0, 1, 5, 6, 7, 8]])
    assert torch.equal(part.energy, PREDICTED.energy[[0, 2]])
    assert torch.equal(PREDICTED[-1].forces_uncertainty, PREDICTED.forces_uncertainty[5:])
