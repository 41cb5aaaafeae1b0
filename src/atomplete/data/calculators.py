"""Calculators of ASE by name, by import path, or from a function in a file."""

import hashlib
import importlib
import json
import tempfile
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from ase import Atoms
from ase.calculators.calculator import get_calculator_class

from atomplete.errors import InputError
from atomplete.runs.files import content_hash


@dataclass(frozen=True)
class CalculatorSource:
    """Any calculator of ASE, made anew for each structure.

    What a calculator remembers can therefore not make a result depend on the structures before
    it. Where making one is dear, let a function of your own file keep it (``functools.cache``).
    Files are written into a folder that is removed.

    Parameters
    ----------
    path
        ``"emt"``, ``"package.module:Class"`` or ``"file.py:function"``: what makes the calculator.
    keywords
        Its keyword arguments, plain values of JSON, so that they can stand in a journal.
    source
        The text of the file, if it is one.

    Examples
    --------
    >>> copper = Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 2.2]])
    >>> print(f"{CalculatorSource('emt', {}).results(copper, ())['energy']:.2f} eV")
    3.19 eV
    """

    path: str
    keywords: dict[str, Any]
    source: str | None = None

    @classmethod
    def named(cls, path: str, keywords: dict[str, Any]) -> Self:
        """Make the source, once it is certain that its calculator can be imported.

        Parameters
        ----------
        path, keywords
            As in :class:`CalculatorSource`.

        Returns
        -------
        CalculatorSource
            The source.

        Raises
        ------
        InputError
            If the file, the module or the name in it does not exist, or the keywords are no
            plain values.

        Examples
        --------
        >>> CalculatorSource.named("emd", {})
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
        found = cls(path, keywords, source)
        try:
            assert callable(found._make)
        except Exception as error:  # the file or module runs, so anything may go wrong
            reason = " ".join(str(error).split()) or type(error).__name__
            raise InputError(f"ase:{path}: not found ({reason})") from None
        return found

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel as plain values: what a file defines cannot be imported elsewhere."""
        return type(self), (self.path, self.keywords, self.source)

    @property
    def name(self) -> str:
        """Name of the calculator; a file without its folders, which differ by machine."""
        folder, _, name = self.path.rpartition(":")
        return f"ase:{Path(folder).name}:{name}" if self.source is not None else f"ase:{self.path}"

    @property
    def settings(self) -> dict[str, Any]:
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

    def results(self, atoms: Atoms, wanted: Collection[str]) -> dict[str, np.ndarray]:
        """Compute properties of one structure.

        Parameters
        ----------
        atoms
            The structure; charges and spins are what the calculator reads from it.
        wanted
            Properties beside the energy, such as ``"forces"`` and ``"stress"``.

        Returns
        -------
        dict of ndarray
            Those that the calculator implements, in ASE's units. ``"energy"`` is its
            ``free_energy`` where it has one, which is what forces are the derivative of.

        Raises
        ------
        InputError
            If the calculator cannot be made.
        SCFError
            Of ASE, if the calculator does not converge; others are the calculator's own.
        ValueError
            For numbers of another shape or that are not finite, and if the calculator changed
            the structure, of which it gets a copy.

        Examples
        --------
        >>> sorted(CalculatorSource("lj", {}).results(Atoms("Ar"), ["forces", "dipole"]))
        ['energy', 'forces']
        """
        try:
            calculator = self._make(**self.keywords)
        except Exception as error:  # of any calculator
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise InputError(
                f"{self.name} cannot be made with {self.keywords} ({reason})"
            ) from None
        with tempfile.TemporaryDirectory(prefix="atomplete-") as folder:
            if str(getattr(calculator, "directory", "")) == ".":
                calculator.directory = folder  # processes side by side must not share files
            offered = calculator.implemented_properties
            energy = "free_energy" if "free_energy" in offered else "energy"
            names = {"energy": energy} | {name: name for name in wanted if name in offered}
            copy, found = atoms.copy(), {}
            for name, own_name in names.items():
                found[name] = _checked(name, calculator.get_property(own_name, copy), len(atoms))
                if content_hash([copy]) != content_hash([atoms]):
                    raise ValueError("the calculator changed the structure that it was given")
        return found


def _checked(name: str, value: Any, n_atoms: int) -> np.ndarray:
    array = np.array(value, dtype=float)
    shape = {"energy": (), "forces": (n_atoms, 3), "stress": (6,)}.get(name, array.shape)
    if array.shape != shape:
        raise ValueError(f"the calculator's {name} have shape {array.shape}, not {shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"the calculator's {name} are not finite")
    return array
