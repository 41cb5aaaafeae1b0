"""Predictions for labelled structures: their errors, and the numbers these come from."""

from collections.abc import Sequence
from typing import Any

import torch
from ase import Atoms
from ase.stress import voigt_6_to_full_3x3_stress
from jaxtyping import Float
from torch import Tensor

from atomplete.data.dataset import Dataset
from atomplete.data.properties import LabelKeys
from atomplete.potentials.base import Potential
from atomplete.potentials.prediction import Prediction

#: Numbers of a kind that are kept for a plot; more are thinned out evenly.
PLOTTED = 5000

Errors = dict[str, float | None]


def evaluate(
    potential: Potential, structures: Sequence[Atoms], keys: LabelKeys | None = None
) -> tuple[list[Atoms], Errors]:
    """Copies of structures with predictions, and the errors of these where there are labels.

    Parameters
    ----------
    potential
        Any potential.
    structures
        Structures, with labels or without.
    keys
        Where labels stand.

    Returns
    -------
    structures, errors
        With ``predicted_energy`` in eV, ``predicted_forces`` in eV/Å and, where all directions
        are periodic, ``predicted_stress`` in eV/Å³ (3 × 3) beside what they had; and errors as
        from ``errors_of``.

    Raises
    ------
    InputError
        For structures that the potential does not understand.
    """
    dataset = Dataset.from_structures(structures, keys)
    predicted = potential.predict(structures, ("energy", "forces", "stress"))
    assert predicted.forces is not None
    assert predicted.stress is not None
    forces = predicted.forces.split(dataset.n_atoms.tolist())
    copies = []
    for index, atoms in enumerate(structures):
        copy = atoms.copy()
        copy.calc = atoms.calc
        copy.info["predicted_energy"] = predicted.energy[index].item()
        copy.arrays["predicted_forces"] = forces[index].numpy()
        if atoms.pbc.all():
            stress = voigt_6_to_full_3x3_stress(predicted.stress[index].numpy())
            copy.info["predicted_stress"] = stress
        copies.append(copy)
    return copies, errors_of(dataset, predicted)


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
        ``forces_…`` over components, eV/Å; ``stress_…`` over components, eV/Å³.

    Examples
    --------
    >>> from ase import Atoms
    >>> dataset = Dataset.from_structures([Atoms("H2", info={"energy": -31.0})])
    >>> found = Prediction(torch.zeros(2).long(), torch.tensor([-30.0], dtype=torch.float64))
    >>> {name: value for name, value in errors_of(dataset, found).items() if value is not None}
    {'energy_mae': 1.0, 'energy_rmse': 1.0, 'energy_per_atom_mae': 0.5, 'energy_per_atom_rmse': 0.5}
    """
    found: Errors = {}
    for name, (reference, values) in _compared(dataset, predicted).items():
        error = values - reference
        found[f"{name}_mae"] = error.abs().mean().item() if len(error) else None
        found[f"{name}_rmse"] = error.square().mean().sqrt().item() if len(error) else None
    return found


def parity_of(dataset: Dataset, predicted: Prediction) -> dict[str, dict[str, list[float]]]:
    """Reference and predicted numbers to plot against each other, by quantity.

    Energies are those per atom. At most ``PLOTTED`` numbers of each kind are kept.
    """
    found: dict[str, Any] = {}
    for name, (reference, values) in _compared(dataset, predicted).items():
        if name != "energy":
            stride = slice(None, None, 1 + len(reference) // PLOTTED)
            found[name] = {
                "reference": reference[stride].tolist(),
                "predicted": values[stride].tolist(),
            }
    return found


def _compared(
    dataset: Dataset, predicted: Prediction
) -> dict[str, tuple[Float[Tensor, " value"], Float[Tensor, " value"]]]:
    """Labels that there are, with what is predicted for them."""
    n = dataset.n_atoms
    pairs = {
        "energy": (dataset.energies, predicted.energy),
        "energy_per_atom": (dataset.energies / n, predicted.energy / n),
        "forces": (dataset.forces, predicted.forces),
        "stress": (dataset.stresses, predicted.stress),
    }
    found = {}
    for name, (reference, values) in pairs.items():
        has = reference.isfinite() if values is not None else torch.zeros(0, dtype=torch.bool)
        empty = reference.new_zeros(0)
        found[name] = (empty, empty) if values is None else (reference[has], values[has])
    return found
