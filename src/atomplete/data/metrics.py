"""Errors of predictions for labelled structures, and the numbers these come from."""

from typing import Any

import torch
from ase import Atoms
from ase.data import chemical_symbols
from jaxtyping import Float
from scipy.stats import spearmanr
from torch import Tensor

from atomplete.data.dataset import Dataset
from atomplete.potentials.prediction import Prediction

#: Numbers of a kind that are kept for a plot; more are thinned out evenly.
PLOTTED = 5000

#: Keys of ``info`` that say which group a structure belongs to; the first that it has counts.
GROUP_KEYS = ("config_type", "group")

#: So many groups are told apart; more would be names of structures.
MOST_GROUPS = 50

Errors = dict[str, float | None]
Metrics = dict[str, float | dict[str, Errors] | None]


def metrics_of(dataset: Dataset, predicted: Prediction) -> Metrics:
    """Errors as from ``errors_of``, and those by element and by group of structures.

    Parameters
    ----------
    dataset
        Structures with labels.
    predicted
        Predictions for all of them.

    Returns
    -------
    dict
        Errors; ``by_element``: the number of ``atoms`` and errors of their forces, by symbol; and
        ``by_group``, where structures have one (``config_type`` or ``group`` in ``info``): their
        number and all errors, by its name, which is "none" for those without.

    Examples
    --------
    >>> import torch
    >>> atoms = Atoms("H2", info={"energy": -31.0, "group": "dimers"})
    >>> found = Prediction(torch.zeros(2).long(), torch.tensor([-30.0], dtype=torch.float64))
    >>> metrics_of(Dataset.from_structures([atoms]), found)["by_group"]["dimers"]["energy_mae"]
    1.0
    """
    found: Metrics = {**errors_of(dataset, predicted)}
    if predicted.forces is not None and dataset.labelled["forces"].any():
        numbers = torch.cat([torch.from_numpy(atoms.numbers) for atoms in dataset.structures])
        error = predicted.forces - dataset.forces
        found["by_element"] = {
            chemical_symbols[z]: {"atoms": int((numbers == z).sum())}
            | _sizes("forces", error[numbers == z])
            for z in numbers.unique().tolist()
        }
    groups = [_group_of(atoms) for atoms in dataset.structures]
    names = sorted(set(groups))
    if 0 < len(names) <= MOST_GROUPS and names != ["none"]:
        by_group = {}
        for name in names:
            chosen = torch.tensor([group == name for group in groups])
            part = dataset.select(chosen.nonzero()[:, 0])
            errors = errors_of(part, predicted.select(chosen))
            by_group[name] = {"structures": len(part), **errors}
        found["by_group"] = by_group
    return found


def _group_of(atoms: Atoms) -> str:
    return next((str(atoms.info[key]) for key in GROUP_KEYS if key in atoms.info), "none")


def _sizes(name: str, error: Tensor) -> Errors:
    """Mean absolute and root mean square of the errors that there are."""
    error = error[error.isfinite()]
    some = len(error) > 0
    return {
        f"{name}_mae": error.abs().mean().item() if some else None,
        f"{name}_rmse": error.square().mean().sqrt().item() if some else None,
    }


def errors_of(dataset: Dataset, predicted: Prediction) -> Errors:
    """Mean absolute and root mean square errors, None where there are no labels.

    Parameters
    ----------
    dataset
        Structures with labels.
    predicted
        Predictions for all of them.

    Returns
    -------
    dict
        ``energy_mae`` and ``energy_rmse`` of structures and ``energy_per_atom_…``, eV;
        ``forces_…`` over components, eV/Å; ``stress_…`` over components, eV/Å³. With uncertainties
        also ``energy_per_atom_calibration``, ``forces_…`` and ``stress_…``: the root mean square
        error over that of the standard deviation; and ``forces_rank_correlation``, Spearman's, of
        the errors of atoms with their deviations.

    Examples
    --------
    >>> import torch
    >>> dataset = Dataset.from_structures([Atoms("H2", info={"energy": -31.0})])
    >>> found = Prediction(torch.zeros(2).long(), torch.tensor([-30.0], dtype=torch.float64))
    >>> {name: value for name, value in errors_of(dataset, found).items() if value is not None}
    {'energy_mae': 1.0, 'energy_rmse': 1.0, 'energy_per_atom_mae': 0.5, 'energy_per_atom_rmse': 0.5}
    """
    found: Errors = {}
    for name, (reference, values) in _compared(dataset, predicted).items():
        found |= _sizes(name, values - reference)
    for name, (error, deviation) in deviations(dataset, predicted).items():
        expected = deviation.square().mean().sqrt().item() if len(error) else 0.0
        rmse = found[f"{name}_rmse"]
        found[f"{name}_calibration"] = rmse / expected if rmse is not None and expected else None
        if name == "forces":
            found["forces_rank_correlation"] = _rank_correlation(error, deviation)
    return found


def deviations(
    dataset: Dataset, predicted: Prediction
) -> dict[str, tuple[Float[Tensor, " value"], Float[Tensor, " value"]]]:
    """Errors of labelled values and the standard deviations predicted for them, where there are.

    Energies are those per atom.
    """
    expected = {
        "energy_per_atom": predicted.energy_uncertainty,
        "forces": predicted.forces_uncertainty,
        "stress": predicted.stress_uncertainty,
    }
    labels = _labels(dataset)
    found = {}
    for name, (reference, values) in _compared(dataset, predicted).items():
        if (deviation := expected.get(name)) is not None:
            if name == "energy_per_atom":
                deviation = deviation / dataset.n_atoms
            found[name] = (values - reference, deviation[labels[name].isfinite()])
    return found


def _rank_correlation(
    error: Float[Tensor, " value"], deviation: Float[Tensor, " value"]
) -> float | None:
    """Correlation over atoms of the sizes of errors and of deviations; None without any."""
    of_atoms = error.view(-1, 3).norm(dim=1), deviation.view(-1, 3).norm(dim=1)
    if len(of_atoms[0]) < 2 or any(bool((values == values[0]).all()) for values in of_atoms):
        return None
    return float(spearmanr(*of_atoms).statistic)


def parity_of(dataset: Dataset, predicted: Prediction) -> dict[str, dict[str, list[float]]]:
    """Reference and predicted numbers to plot against each other, by quantity.

    Energies are those per atom. At most ``PLOTTED`` numbers of each kind are kept, and with them
    the standard ``deviation`` that was predicted of each, if any was.
    """
    found: dict[str, Any] = {}
    expected = deviations(dataset, predicted)
    for name, (reference, values) in _compared(dataset, predicted).items():
        if name != "energy":
            stride = slice(None, None, 1 + len(reference) // PLOTTED)
            found[name] = {
                "reference": reference[stride].tolist(),
                "predicted": values[stride].tolist(),
            }
            if name in expected:
                found[name]["deviation"] = expected[name][1][stride].tolist()
    return found


def _compared(
    dataset: Dataset, predicted: Prediction
) -> dict[str, tuple[Float[Tensor, " value"], Float[Tensor, " value"]]]:
    """Labels that there are, with what is predicted for them."""
    predictions = {
        "energy": predicted.energy,
        "energy_per_atom": predicted.energy / dataset.n_atoms,
        "forces": predicted.forces,
        "stress": predicted.stress,
    }
    found = {}
    for name, reference in _labels(dataset).items():
        values = predictions[name]
        if values is None:
            found[name] = (reference.new_zeros(0), reference.new_zeros(0))
        else:
            has = reference.isfinite()
            found[name] = (reference[has], values[has])
    return found


def _labels(dataset: Dataset) -> dict[str, Tensor]:
    return {
        "energy": dataset.energies,
        "energy_per_atom": dataset.energies / dataset.n_atoms,
        "forces": dataset.forces,
        "stress": dataset.stresses,
    }
