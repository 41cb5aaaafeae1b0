"""Labels of structures, and the protocol of the methods that compute them."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from ase import Atoms

#: Settings are plain JSON values, so that they can stand in a journal and in a file of structures.
Settings = dict[str, Any]


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
    stress : ndarray, shape (6,), or None
        Stress in eV/Å³ of a periodic structure, in Voigt's order xx, yy, zz, yz, xz, xy, as in
        ASE: the derivative of ``energy`` by the strain over the volume.
    rung : str
        The step of the ladder of a hard self-consistency on which it converged: ``"plain"``,
        ``"damping"`` or ``"level shift"``.
    transient : bool
        Whether the failure may lie with the machine and not with the structure: an exception,
        a time limit, a lost process. A later run tries it again.

    Raises
    ------
    ValueError
        If the label holds anything but real numbers, or counts as converged with numbers that are
        not finite.

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
    stress: np.ndarray | None = None
    rung: str = "plain"
    transient: bool = False

    def __post_init__(self) -> None:
        """Let nothing but real, finite numbers pass for a label, whatever a method returned."""
        for name in ("energy", "forces", "stress"):
            value = getattr(self, name)
            if value is None and name != "energy":
                continue
            array = np.asarray(value)
            if array.dtype.kind not in "iuf":
                raise ValueError(f"the {name} of {self.method} is {value!r:.60}, not real numbers")
            if self.converged and not np.isfinite(array).all():
                raise ValueError(f"the {name} of {self.method} is not finite")
            plain = float(array) if array.shape == () else array.astype(float)
            object.__setattr__(self, name, plain)

    @classmethod
    def failed(
        cls,
        reason: str,
        seconds: float,
        method: str,
        settings: Settings,
        transient: bool = False,
    ) -> "Label":
        """Record that a calculation gave nothing that may be used.

        Parameters
        ----------
        reason
            What went wrong, in a few words.
        seconds
            Wall time spent.
        method, settings, transient
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
        energy = float("nan")
        return cls(energy, None, False, seconds, method, settings, reason, transient=transient)

    def misfit(self, atoms: Atoms) -> str | None:
        """Reason why these numbers cannot be those of a structure, if there is one.

        Examples
        --------
        >>> Label(-1.0, np.zeros((3, 3)), True, 0.1, "xtb", {}).misfit(Atoms("H2"))
        'its forces have shape (3, 3), not (2, 3)'
        """
        shapes = {"energy": (), "forces": (len(atoms), 3), "stress": (6,)}
        for name, shape in shapes.items() if self.converged else ():
            value = getattr(self, name)
            if value is not None and np.shape(value) != shape:
                return f"its {name} have shape {np.shape(value)}, not {shape}"
        return None

    def __repr__(self) -> str:
        """Say the method and the outcome, not the forces."""
        outcome = f"{self.energy:.6f} eV" if self.converged else f"failed: {self.reason}"
        return f"Label({self.method}, {outcome})"


class LabelMethod(Protocol):
    """Protocol of the methods that :func:`~atomplete.labels.campaign.label_structures` takes.

    A method is a small value that pickles, for it travels to other processes and machines.

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
        """Label one structure; a calculation that does not converge is a failed label.

        Raises :class:`InputError` for what :meth:`check` refuses.
        """
