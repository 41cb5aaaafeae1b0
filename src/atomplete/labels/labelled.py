"""Labels on structures, as they stand in a file of labelled structures."""

import json

from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from atomplete.errors import InputError
from atomplete.labels.label import Label


def with_label(atoms: Atoms, label: Label) -> Atoms:
    """Copy of a structure that carries a label.

    Parameters
    ----------
    atoms
        The structure; an old label goes.
    label
        One that converged.

    Returns
    -------
    Atoms
        With energy, forces and stress as ASE's calculator results, and in ``info``
        ``label_method``, ``label_settings`` (JSON), ``label_rung``, ``label_seconds`` and
        ``label_converged``.

    Examples
    --------
    >>> labelled = with_label(Atoms("H"), Label(-1.0, None, True, 0.1, "xtb", {}))
    >>> labelled.get_potential_energy(), labelled.info["label_method"]
    (-1.0, 'xtb')
    """
    labelled = atoms.copy()  # without its calculator
    results = {"energy": label.energy, "forces": label.forces, "stress": label.stress}
    given = {name: value for name, value in results.items() if value is not None}
    labelled.calc = SinglePointCalculator(labelled, **given)
    labelled.info.update(
        label_method=label.method,
        label_settings=json.dumps(label.settings, sort_keys=True),
        label_rung=label.rung,
        label_seconds=round(label.seconds, 6),
        label_converged=label.converged,
    )
    return labelled


def label_of(atoms: Atoms, name: str) -> Label:
    """Label that a structure carries.

    Parameters
    ----------
    atoms
        The structure, as :func:`with_label` returns it or read from a file of such.
    name
        Name of the structure in the message.

    Returns
    -------
    Label
        Equal to the one that was given, to the last bit.

    Raises
    ------
    InputError
        If the structure carries none, or one without its method and settings.

    Examples
    --------
    >>> label_of(with_label(Atoms("H"), Label(-1.0, None, True, 0.1, "xtb", {})), "a.xyz")
    Label(xtb, -1.000000 eV)
    >>> label_of(Atoms("H"), "a.xyz, structure 0")
    Traceback (most recent call last):
    atomplete.errors.InputError: a.xyz, structure 0: it carries no label of `atomplete label`
    """
    info = atoms.info
    try:
        results = atoms.calc.results
        return Label(
            energy=float(results["energy"]),
            forces=results.get("forces"),
            converged=bool(info["label_converged"]),
            seconds=float(info["label_seconds"]),
            method=str(info["label_method"]),
            settings=json.loads(info["label_settings"]),
            stress=results.get("stress"),
            rung=str(info["label_rung"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        raise InputError(f"{name}: it carries no label of `atomplete label`") from None
