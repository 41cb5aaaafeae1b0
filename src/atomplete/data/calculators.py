"""Calculators of ASE by name, by import path, or from a function in a file."""

import hashlib
import importlib
import json
import tempfile
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from ase import Atoms
from ase.calculators.calculator import get_calculator_class
from ase.stress import full_3x3_to_voigt_6_stress

from atomplete.errors import InputError
from atomplete.runs.fingerprint import content_hash, essentials

#: Rounding of the positions and cell that a calculator keeps, as in files that it writes, Å.
ROUNDING = 1e-5


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
    files
        SHA-256 of files that the keywords name, such as models.

    Examples
    --------
    >>> copper = Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 2.2]])
    >>> print(f"{CalculatorSource('emt', {}).results(copper, ())['energy']:.2f} eV")
    3.19 eV
    """

    path: str
    keywords: dict[str, Any]
    source: str | None = None
    files: tuple[tuple[str, str], ...] = ()

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
        found = cls(path, keywords, source, tuple(_hashes(keywords)))
        try:
            assert callable(found._make)
        except Exception as error:  # the file or module runs, so anything may go wrong
            reason = " ".join(str(error).split()) or type(error).__name__
            raise InputError(f"ase:{path}: not found ({reason})") from None
        return found

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel as plain values: what a file defines cannot be imported elsewhere."""
        return type(self), (self.path, self.keywords, self.source, self.files)

    @property
    def name(self) -> str:
        """Name of the calculator; a file without its folders, which differ by machine."""
        folder, _, name = self.path.rpartition(":")
        return f"ase:{Path(folder).name}:{name}" if self.source is not None else f"ase:{self.path}"

    @property
    def settings(self) -> dict[str, Any]:
        """The keywords, and the hash of the file if it is one, and of those that they name."""
        hashes = dict(self.files)
        if self.source is not None:
            hashes[self.name] = hashlib.sha256(self.source.encode()).hexdigest()
        return {**self.keywords, **{f"sha256 of {name}": value for name, value in hashes.items()}}

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
            The structure; the calculator gets its
            :func:`~atomplete.runs.fingerprint.essentials`.
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
            For numbers of another shape or that are not real and finite, and if the calculator
            computed something else than the structure, as after a relaxation.

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
        if hasattr(calculator, "reset"):
            calculator.reset()  # one that is kept would take another charge for the same structure
        with tempfile.TemporaryDirectory(prefix="atomplete-") as folder:
            if str(getattr(calculator, "directory", "")) == ".":
                calculator.directory = folder  # processes side by side must not share files
            offered = calculator.implemented_properties
            energy = "free_energy" if "free_energy" in offered else "energy"
            names = {"energy": energy} | {name: name for name in wanted if name in offered}
            copy, found = essentials(atoms), {}
            for name, own_name in names.items():
                found[name] = _checked(name, calculator.get_property(own_name, copy), len(atoms))
                if content_hash([copy]) != content_hash([atoms]):
                    raise ValueError("the calculator changed the structure that it was given")
                own = getattr(calculator, "atoms", None)
                if isinstance(own, Atoms) and not _alike(own, atoms):
                    raise ValueError("the calculator computed another structure than it was given")
        return found


def _alike(own: Atoms, given: Atoms) -> bool:
    return (
        np.array_equal(own.numbers, given.numbers)
        and np.array_equal(own.pbc, given.pbc)
        and np.allclose(own.positions, given.positions, rtol=0, atol=ROUNDING)
        and np.allclose(own.cell, given.cell, rtol=0, atol=ROUNDING)
    )


def _checked(name: str, value: Any, n_atoms: int) -> np.ndarray:
    array = np.asarray(value)
    if array.dtype.kind not in "iuf":
        raise ValueError(f"the calculator's {name} are no real numbers, but {value!r:.60}")
    if name == "stress" and array.shape == (3, 3):
        array = full_3x3_to_voigt_6_stress(array)
    shape = {"energy": (), "forces": (n_atoms, 3), "stress": (6,)}.get(name, array.shape)
    if array.shape != shape:
        raise ValueError(f"the calculator's {name} have shape {array.shape}, not {shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"the calculator's {name} are not finite")
    return array.astype(float)


def _hashes(value: Any) -> Iterator[tuple[str, str]]:
    """Name and SHA-256 of each file that plain values name."""
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _hashes(part)
    elif isinstance(value, str) and Path(value).suffix and Path(value).is_file():
        yield value, hashlib.sha256(Path(value).read_bytes()).hexdigest()
