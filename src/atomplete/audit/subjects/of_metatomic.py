"""Metatomic models as subjects."""

import warnings
from typing import Any, Literal

import numpy as np
from ase import Atoms
from pydantic import BaseModel, ConfigDict

from atomplete.audit.subjects.subject import OneByOne, Rows, Scope
from atomplete.config import checked
from atomplete.degenerate.congruence.congruence import Level
from atomplete.errors import InputError, MissingExtraError
from atomplete.system import center_of

#: Names of outputs: as models have them now, and as older ones do.
_NAMES = {"energy": ("energy",), "feature": ("feature", "features")}


class MetatomicChoices(BaseModel):
    """Options of a metatomic model."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    output: Literal["energy", "feature"] = "energy"
    level: Level | None = None


class MetatomicSubject(OneByOne):
    """Metatomic model: ``metatomic:model.pt``, its energy or features.

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
    >>> MetatomicSubject("metatomic:absent.pt", {"outputs": "energy"})
    Traceback (most recent call last):
    atomplete.errors.InputError: metatomic:absent.pt: unknown option outputs
    """

    package = "metatomic-torch"

    def __init__(self, name: str, options: dict[str, Any]) -> None:
        self.choices = checked(MetatomicChoices, options, name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of TorchScript
            self._calculator = _read(name)
        known = self._calculator.model().capabilities().outputs
        output = next((key for key in _NAMES[self.choices.output] if key in known), None)
        if output is None:
            raise InputError(f"{name}: its outputs are {', '.join(sorted(known))}")
        self._of_atoms = known[output].sample_kind == "atom"
        self.levels = ("environment", "structure") if self._of_atoms else ("structure",)
        level = self.choices.level
        if level is not None and level not in self.levels:
            raise InputError(f"{name}: its {output} is one of the whole structure")
        self.name, self._output = name, output
        self.levels = self.levels if level is None else (level,)

    def rows(self, atoms: Atoms, scope: Scope) -> Rows:
        """Features of atoms, or the energy; at the environment level of the centre."""
        from metatomic.torch import ModelOutput

        is_energy = self.choices.output == "energy" and scope.level == "structure"
        whole = is_energy or not self._of_atoms
        wanted = {self._output: ModelOutput(sample_kind="system" if whole else "atom")}
        block = self._calculator.run_model(atoms, wanted)[self._output].block()
        values = np.asarray(block.values.detach()).reshape(len(block.samples), -1)
        if whole:
            return values
        values = values[np.argsort(np.asarray(block.samples.column("atom")))]
        return values[[center_of(atoms)]] if scope.level == "environment" else values


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
