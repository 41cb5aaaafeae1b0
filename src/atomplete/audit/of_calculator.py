"""Energies of calculators and models as subjects: ASE, MACE, metatomic, and our own."""

from collections.abc import Callable, Sequence
from typing import Any, get_args

import numpy as np
from ase import Atoms

from atomplete.audit.subject import CannotDescribe, Describe, Rows, Scope, Subject
from atomplete.degenerate.congruence import Level
from atomplete.errors import InputError, MissingExtraError
from atomplete.labels.ase_calculator import AseCalculator


def calculator_subject(name: str, options: dict[str, Any]) -> Subject:
    """Return the energy of an ASE calculator: ``ase:emt``, ``ase:package.module:Class``, ….

    Parameters
    ----------
    name
        After ``ase:``, as the verb ``label`` takes it.
    options
        Keyword arguments of the calculator.

    Examples
    --------
    >>> calculator_subject("ase:emt", {})
    Subject('ase:emt', levels=('structure',), group='O3')
    """
    method = AseCalculator.named(name.partition(":")[2], options)

    def energy(atoms: Atoms) -> Rows:
        label = method.compute(atoms)
        if not label.converged:
            raise CannotDescribe(label.reason or "it did not converge")
        return np.array([[label.energy]])

    return _of_each(name, ("structure",), energy, "ase")


def mace_subject(name: str, options: dict[str, Any]) -> Subject:
    """Return a MACE model: ``mace:model.pt``, its invariant descriptors of all atoms.

    Parameters
    ----------
    name
        After ``mace:``, the file of the model.
    options
        ``output``: "descriptors" (default) or "energy"; ``dtype``: "float64" or "float32".
        ``level``: "environment" takes the descriptor of the centre alone, which knows the
        environments of its neighbours as well.

    Raises
    ------
    MissingExtraError
        If MACE is not installed.

    Examples
    --------
    >>> mace_subject("mace:absent.model", {"levels": 2})
    Traceback (most recent call last):
    atomplete.errors.InputError: mace:absent.model: unknown option levels
    """
    chosen = _chosen(name, options, output=("descriptors", "energy"), dtype=("float64", "float32"))
    try:
        from mace.calculators import MACECalculator
    except ImportError as error:
        raise MissingExtraError("mace", "mace") from error
    path = name.partition(":")[2]
    try:
        calculator = MACECalculator(path, device="cpu", default_dtype=chosen["dtype"])
    except Exception as error:  # of a pickled model, anything
        raise InputError(f"{name} cannot be read ({' '.join(str(error).split())})") from error

    def describe(atoms: Atoms) -> Rows:
        if chosen["output"] == "energy":
            return np.array([[float(calculator.get_potential_energy(atoms))]])
        return np.asarray(calculator.get_descriptors(atoms, invariants_only=True))

    return _of_each(name, (chosen["level"],), describe, "mace-torch")


def metatomic_subject(name: str, options: dict[str, Any]) -> Subject:
    """Return a metatomic model: ``metatomic:model.pt``, its energy or features.

    Parameters
    ----------
    name
        After ``metatomic:``, the file of the exported model.
    options
        ``output``: "energy" (default) or "features" of each atom; ``level`` as for MACE.

    Raises
    ------
    MissingExtraError
        If metatomic is not installed.

    Examples
    --------
    >>> metatomic_subject("metatomic:absent.pt", {"output": "forces"})
    Traceback (most recent call last):
    atomplete.errors.InputError: metatomic:absent.pt: output 'forces' is none of energy, features
    """
    chosen = _chosen(name, options, output=("energy", "features"))
    try:
        from metatomic.torch import ModelOutput
        from metatomic.torch.ase_calculator import MetatomicCalculator
    except ImportError as error:
        raise MissingExtraError("metatomic", "metatomic") from error
    try:
        calculator = MetatomicCalculator(name.partition(":")[2], device="cpu")
    except Exception as error:  # of a TorchScript archive, anything
        raise InputError(f"{name} cannot be read ({' '.join(str(error).split())})") from error

    def describe(atoms: Atoms) -> Rows:
        per_atom = chosen["output"] == "features"
        wanted = {chosen["output"]: ModelOutput(per_atom=per_atom)}
        block = calculator.run_model(atoms, wanted)[chosen["output"]].block()
        return np.asarray(block.values.detach().cpu().numpy()).reshape(len(block.samples), -1)

    return _of_each(name, (chosen["level"],), describe, "metatomic-torch")


def model_subject(name: str) -> Subject:
    """Return a model of ours that was fitted: ``model.pt``, by its energy.

    Parameters
    ----------
    name
        The file. A model of given centres is audited at the environment level, with the energy
        of one centre; a model of all atoms at the structure level; else both.

    Examples
    --------
    >>> model_subject("absent.pt")
    Traceback (most recent call last):
    atomplete.errors.InputError: absent.pt: no such file
    """
    from atomplete.models import load  # takes a second, and few subjects are models

    model = load(name)
    levels: dict[str, tuple[Level, ...]] = {"info": ("environment",), "all": ("structure",)}

    def prepare(scope: Scope) -> Describe:
        def describe(structures: Sequence[Atoms]) -> list[Rows]:
            copies = [atoms.copy() for atoms in structures]
            for atoms in copies if scope.level == "structure" else ():
                atoms.info.pop("center", None)
            try:
                energies = model.predict(copies).numpy()
            except InputError as error:
                raise CannotDescribe(str(error)) from error
            return [np.array([[energy]]) for energy in energies]

        return describe

    centers = getattr(model.spec, "centers", "all")  # tight binding knows only whole structures
    own = levels.get(str(centers), ("environment", "structure"))
    return Subject(name, own, "O3", prepare, "atomplete")


def _of_each(
    name: str, levels: tuple[Level, ...], function: Callable[[Atoms], Rows], package: str
) -> Subject:
    """A subject that describes one structure after the other."""

    def prepare(scope: Scope) -> Describe:
        def describe(structures: Sequence[Atoms]) -> list[Rows]:
            return [rows(atoms) for atoms in structures]

        def rows(atoms: Atoms) -> Rows:
            try:
                found = function(atoms.copy())
            except (InputError, CannotDescribe):
                raise
            except Exception as error:  # of any calculator: an element it lacks, a bad geometry
                reason = " ".join(f"{type(error).__name__}: {error}".split())
                raise CannotDescribe(
                    f"{name} on {atoms.get_chemical_formula()}: {reason}"
                ) from error
            center = int(atoms.info.get("center", 0))
            return found[[center]] if scope.level == "environment" else found

        return describe

    return Subject(name, levels, "O3", prepare, package)


def _chosen(name: str, options: dict[str, Any], **choices: tuple[str, ...]) -> dict[str, Any]:
    """Options with the first choice of each as default."""
    choices = {**choices, "level": ("structure", *get_args(Level)[:1])}
    chosen = {key: values[0] for key, values in choices.items()}
    for key, value in options.items():
        if key not in choices:
            raise InputError(f"{name}: unknown option {key}")
        if value not in choices[key]:
            raise InputError(f"{name}: {key} {value!r} is none of {', '.join(choices[key])}")
        chosen[key] = value
    return chosen
