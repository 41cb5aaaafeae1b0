"""Labels from any calculator of ASE."""

import hashlib
import importlib
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import SCFError, get_calculator_class

from atomplete.errors import InputError
from atomplete.labels.label import Label, Settings


@dataclass(frozen=True)
class AseCalculator:
    """Any calculator of ASE, made anew for each structure.

    What a calculator remembers can therefore not make a label depend on the structures before
    it. Where making one is dear, let a function of your own file keep it (``functools.cache``).
    The energy is the calculator's ``free_energy`` where it has one, which is what forces are
    the derivative of, else its ``energy``. Files are written into a folder that is removed.

    Parameters
    ----------
    path
        ``"emt"``, ``"package.module:Class"`` or ``"file.py:function"``: what makes the calculator.
    keywords
        Its keyword arguments, plain values.
    source
        The text of the file, if it is one.

    Examples
    --------
    >>> label = AseCalculator("emt", {}).compute(Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 2.2]]))
    >>> print(f"{label.energy:.2f} eV, force {label.forces[0, 2]:.2f} eV/Å")
    3.19 eV, force 0.49 eV/Å
    """

    path: str
    keywords: Settings
    source: str | None = None

    @classmethod
    def named(cls, path: str, keywords: Settings) -> "AseCalculator":
        """Make the method, once it is certain that its calculator can be imported.

        Parameters
        ----------
        path, keywords
            As in :class:`AseCalculator`.

        Returns
        -------
        AseCalculator
            The method.

        Raises
        ------
        InputError
            If the file, the module or the name in it does not exist, or the keywords are no
            plain values.

        Examples
        --------
        >>> AseCalculator.named("emd", {})
        Traceback (most recent call last):
        atomplete.errors.InputError: ase:emd: not found (No module named 'ase.calculators.emd')
        """
        try:
            json.dumps(keywords, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise InputError(f"ase:{path}: settings must be plain values ({error})") from None
        file = Path(path.rpartition(":")[0])
        source = None
        if file.suffix == ".py":
            try:
                source = file.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise InputError(f"ase:{path}: {file} cannot be read ({error})") from None
        method = cls(path, keywords, source)
        try:
            assert callable(method._make)
        except Exception as error:  # the file or module runs, so anything may go wrong
            reason = " ".join(str(error).split()) or type(error).__name__
            raise InputError(f"ase:{path}: not found ({reason})") from None
        return method

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel as plain values: what a file defines cannot be imported elsewhere."""
        return type(self), (self.path, self.keywords, self.source)

    @property
    def name(self) -> str:
        """Name of the calculator; a file without its folders, which differ by machine."""
        folder, _, name = self.path.rpartition(":")
        return f"ase:{Path(folder).name}:{name}" if self.source is not None else f"ase:{self.path}"

    @property
    def settings(self) -> Settings:
        """The keywords, and the hash of the file if it is one."""
        if self.source is None:
            return dict(self.keywords)
        return {**self.keywords, "sha256": hashlib.sha256(self.source.encode()).hexdigest()}

    @cached_property
    def _make(self) -> Callable[..., Any]:
        module, _, name = self.path.rpartition(":")
        if self.source is not None:
            content: dict[str, Any] = {"__name__": Path(module).stem, "__file__": module}
            exec(compile(self.source, module, "exec"), content)
            return content[name]
        if module:
            return getattr(importlib.import_module(module), name)
        return get_calculator_class(name)

    def check(self, atoms: Atoms, name: str) -> None:
        """Refuse nothing: what a calculator cannot treat it says itself, structure by structure.

        Parameters
        ----------
        atoms, name
            The structure, and how messages call it.

        Examples
        --------
        >>> AseCalculator("emt", {}).check(Atoms("Cu"), "structure 0")
        """

    def compute(self, atoms: Atoms) -> Label:
        """Energy, forces and, for a structure periodic in all directions, stress.

        Parameters
        ----------
        atoms
            The structure; charges and spins are what the calculator reads from it.

        Returns
        -------
        Label
            eV, eV/Å and eV/Å³, each where the calculator implements it; failed if the
            calculator raises ASE's ``SCFError``.

        Raises
        ------
        InputError
            If the calculator cannot be made.

        Examples
        --------
        >>> AseCalculator("emt", {}).compute(Atoms("Cu", cell=[2.5] * 3, pbc=True)).stress.shape
        (6,)
        """
        start = time.perf_counter()
        try:
            calculator = self._make(**self.keywords)
        except Exception as error:  # of any calculator
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise InputError(
                f"{self.name} cannot be made with {self.keywords} ({reason})"
            ) from None
        numbers: dict[str, Any] = {}
        with tempfile.TemporaryDirectory(prefix="atomplete-") as folder:
            if str(getattr(calculator, "directory", "")) == ".":
                calculator.directory = folder  # processes side by side must not share files
            offered = calculator.implemented_properties
            energy = "free_energy" if "free_energy" in offered else "energy"
            wanted = [energy, "forces"] + ["stress"] * bool(atoms.pbc.all())
            try:
                for name in wanted:
                    if name == energy or name in offered:
                        numbers[name] = calculator.get_property(name, atoms)
            except SCFError as error:
                seconds = time.perf_counter() - start
                reason = f"SCF not converged ({' '.join(str(error).split())})"
                return Label.failed(reason, seconds, self.name, self.settings)
        return Label(
            float(numbers[energy]),
            _array(numbers.get("forces")),
            True,
            time.perf_counter() - start,
            self.name,
            self.settings,
            stress=_array(numbers.get("stress")),
        )


def _array(value: Any) -> np.ndarray | None:
    return None if value is None else np.array(value, dtype=float)
