"""Structures with predictions of a potential beside their labels."""

from collections.abc import Sequence

from ase import Atoms
from ase.stress import voigt_6_to_full_3x3_stress

from atomplete.data.dataset import Dataset
from atomplete.data.metrics import Metrics, metrics_of
from atomplete.data.properties import LabelKeys
from atomplete.potentials.base import Potential
from atomplete.potentials.prediction import Property

#: Arrays of a file by properties of atoms.
_OF_ATOMS = {
    "forces": "predicted_forces",
    "forces_uncertainty": "predicted_forces_uncertainty",
    "extrapolation": "extrapolation",
}


def evaluate(
    potential: Potential,
    structures: Sequence[Atoms],
    keys: LabelKeys | None = None,
    *,
    uncertainty: bool = False,
) -> tuple[list[Atoms], Metrics]:
    """Copies of structures with predictions, and the errors of these where there are labels.

    Parameters
    ----------
    potential
        Any potential.
    structures
        Structures, with labels or without.
    keys
        Where labels stand.
    uncertainty
        Whether to ask a potential how sure it is, too.

    Returns
    -------
    structures, errors
        With ``predicted_energy`` in eV, ``predicted_forces`` in eV/Å and, where all directions
        are periodic, ``predicted_stress`` in eV/Å³ (3 × 3) beside what they had; with
        uncertainty also ``predicted_energy_uncertainty``, ``predicted_forces_uncertainty`` and
        the ``extrapolation`` of each atom; and errors as from ``metrics_of``.

    Raises
    ------
    InputError
        For structures that the potential does not understand.
    """
    dataset = Dataset.from_structures(structures, keys)
    asked: tuple[Property, ...] = ("energy", "forces", "stress")
    predicted = potential.predict(
        structures, asked + (potential.uncertainties if uncertainty else ()), kernel=None
    )
    assert predicted.stress is not None
    of_atoms = {
        named: values.split(dataset.n_atoms.tolist())
        for name, named in _OF_ATOMS.items()
        if (values := getattr(predicted, name)) is not None
    }
    copies = []
    for index, atoms in enumerate(structures):
        copy = atoms.copy()
        copy.calc = atoms.calc
        copy.info["predicted_energy"] = predicted.energy[index].item()
        if predicted.energy_uncertainty is not None:
            deviation = predicted.energy_uncertainty[index].item()
            copy.info["predicted_energy_uncertainty"] = deviation
        for name, values in of_atoms.items():
            copy.arrays[name] = values[index].numpy()
        if atoms.pbc.all():
            stress = voigt_6_to_full_3x3_stress(predicted.stress[index].numpy())
            copy.info["predicted_stress"] = stress
        copies.append(copy)
    return copies, metrics_of(dataset, predicted)
