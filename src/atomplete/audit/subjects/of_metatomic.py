"""Metatomic models as subjects."""

import warnings
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from ase import Atoms
from pydantic import BaseModel, ConfigDict

from atomplete.audit.subjects.of_calculator import one_by_one
from atomplete.audit.subjects.subject import Rows, Scope, Subject
from atomplete.config import checked
from atomplete.degenerate.congruence.congruence import Level
from atomplete.errors import InputError, MissingExtraError

#: Names of outputs: as models have them now, and as older ones do.
_NAMES = {"energy": ("energy",), "feature": ("feature", "features")}


class MetatomicChoices(BaseModel):
    """What a user may choose for a metatomic model."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    output: Literal["energy", "feature"] = "energy"
    level: Level | None = None


def metatomic_subject(name: str, options: dict[str, Any]) -> Subject:
    """Return a metatomic model: ``metatomic:model.pt``, its energy or features.

    Parameters
    ----------
    name
        After ``metatomic:``, the file of the exported model.
    options
        ``output``: "energy" (default), of the whole structure or, at the environment level, of
        the centre alone, for models that know it; or "feature", of each atom. ``level``: only
        one of both.

    Raises
    ------
    MissingExtraError
        If metatomic is not installed.
    InputError
        If the file is no model, or the model lacks the output.

    Examples
    --------
    >>> metatomic_subject("metatomic:absent.pt", {"outputs": "energy"})
    Traceback (most recent call last):
    atomplete.errors.InputError: metatomic:absent.pt: unknown option outputs
    """
    choices = checked(MetatomicChoices, options, name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of TorchScript
        calculator = _read(name)
    from metatomic.torch import ModelOutput

    known = calculator.model().capabilities().outputs
    output = next((key for key in _NAMES[choices.output] if key in known), None)
    if output is None:
        raise InputError(f"{name}: its outputs are {', '.join(sorted(known))}")
    levels: tuple[Level, ...] = ("environment", "structure")
    levels = levels if known[output].sample_kind == "atom" else ("structure",)
    if choices.level is not None and choices.level not in levels:
        raise InputError(f"{name}: its {output} is one of the whole structure")

    def rows_of(scope: Scope) -> Callable[[Atoms], Rows]:
        whole = len(levels) == 1 or (choices.output == "energy" and scope.level == "structure")
        wanted = {output: ModelOutput(sample_kind="system" if whole else "atom")}

        def rows(atoms: Atoms) -> Rows:
            block = calculator.run_model(atoms, wanted)[output].block()
            values = np.asarray(block.values.detach()).reshape(len(block.samples), -1)
            if whole:
                return values
            values = values[np.argsort(np.asarray(block.samples.column("atom")))]
            return values[[int(atoms.info["center"])]] if scope.level == "environment" else values

        return rows

    return one_by_one(
        name, levels if choices.level is None else (choices.level,), rows_of, "metatomic-torch"
    )


def _read(name: str) -> Any:
    """The calculator of a file."""
    try:
        from metatomic_ase import MetatomicCalculator
    except ImportError as error:
        raise MissingExtraError("metatomic", "metatomic") from error
    try:
        # without a skin, neighbours do not depend on the structure before
        return MetatomicCalculator(name.partition(":")[2], device="cpu", neighbor_skin=0.0)
    except Exception as error:  # of a TorchScript archive, anything
        raise InputError(f"{name} cannot be read ({' '.join(str(error).split())})") from error
