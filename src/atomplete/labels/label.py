"""What a label is, and what a method that makes labels must offer."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from ase import Atoms

from atomplete.errors import InputError

#: A setting is a plain value, so that it can stand in a journal and in a file of structures.
Settings = dict[str, str | int | float | bool]


@dataclass(frozen=True, eq=False)
class Label:
    """The result of one calculation on one structure, also when it failed.

    Attributes
    ----------
    energy : float
        Energy in eV; NaN if the calculation failed.
    forces : ndarray, shape (atom, xyz), or None
        Forces in eV/Å, minus the derivative of ``energy``.
    converged : bool
        Whether the numbers may be used.
    seconds : float
        Wall time of the calculation.
    method : str
        Name of the method.
    settings : dict
        All options that the numbers depend on.
    reason : str or None
        Why it failed.

    Examples
    --------
    >>> Label(-31.7, None, True, 0.01, "xtb", {})
    Label(xtb, -31.700000 eV)
    >>> Label.failed("SCF not converged", 0.2, "xtb", {})
    Label(xtb, failed: SCF not converged)
    """

    energy: float
    forces: np.ndarray | None
    converged: bool
    seconds: float
    method: str
    settings: Settings
    reason: str | None = None

    @classmethod
    def failed(cls, reason: str, seconds: float, method: str, settings: Settings) -> "Label":
        """Record that a calculation gave nothing that may be used.

        Parameters
        ----------
        reason
            What went wrong, in a few words.
        seconds
            Wall time spent.
        method, settings
            As in :class:`Label`.

        Returns
        -------
        Label
            Not converged, its energy NaN.

        Examples
        --------
        >>> Label.failed("SCF not converged", 0.2, "xtb", {}).energy
        nan
        """
        return cls(float("nan"), None, False, seconds, method, settings, reason)

    def __repr__(self) -> str:
        """Say the method and the outcome, not the forces."""
        outcome = f"{self.energy:.6f} eV" if self.converged else f"failed: {self.reason}"
        return f"Label({self.method}, {outcome})"


class LabelMethod(Protocol):
    """What :func:`~atomplete.labels.campaign.label_structures` needs from a method.

    A method is a small value that pickles, for it travels to worker processes.

    Examples
    --------
    >>> from atomplete.labels import XTB
    >>> method: LabelMethod = XTB()
    >>> method.name
    'xtb'
    """

    @property
    def name(self) -> str:
        """Short name, which labels and journals carry."""

    @property
    def settings(self) -> Settings:
        """All options that the numbers depend on."""

    def check(self, atoms: Atoms, name: str) -> None:
        """Raise :class:`InputError` if the method cannot treat the structure called ``name``."""

    def compute(self, atoms: Atoms) -> Label:
        """Label one structure; a calculation that does not converge is a failed label."""


def get_method(name: str, **options: Any) -> LabelMethod:
    """Make a label method from its name and options.

    Parameters
    ----------
    name
        ``"xtb"`` (:class:`~atomplete.labels.xtb.XTB`) or ``"pbe"``
        (:class:`~atomplete.labels.pbe.PBE`).
    **options
        The fields of that class.

    Returns
    -------
    LabelMethod
        The method; its package is imported when it is first used.

    Raises
    ------
    InputError
        For a name, an option or a value that is not known.

    Examples
    --------
    >>> get_method("xtb").settings["electronic_kt_hartree"]
    0.01
    >>> get_method("pbe", recipe="paper").settings["grid_level"]
    5
    """
    from atomplete.labels.pbe import PBE
    from atomplete.labels.xtb import XTB

    methods: dict[str, type[XTB] | type[PBE]] = {"xtb": XTB, "pbe": PBE}
    if name not in methods:
        raise InputError(f"there is no label method {name!r}; choose from {', '.join(methods)}")
    known = list(methods[name].__dataclass_fields__)
    for option in options:
        if option not in known:
            raise InputError(
                f"label method {name} has no option {option!r}; choose from {', '.join(known)}"
            )
    return methods[name](**options)
