"""Selection of the structures of a file that a campaign labels, broken frames left out."""

import gzip
import os
import zlib
from dataclasses import dataclass
from io import StringIO
from itertools import pairwise
from pathlib import Path

from ase import Atoms
from ase.io.extxyz import read_xyz

from atomplete.data import read_structures, validate
from atomplete.data.xyz import XYZ_SUFFIXES
from atomplete.errors import InputError
from atomplete.labels.label import LabelMethod

#: Index in the file and reason of structures without a label.
Failures = list[tuple[int, str]]


@dataclass(frozen=True)
class Selection:
    """Structures that a run labels, and its limit of time.

    Parameters
    ----------
    part
        ``"A:B"``, structures A to B − 1 of the file, as in Python; all by default.
    limit
        New calculations in this run.
    max_hours
        After these no new calculation begins; those that run are finished.
    retry_failed
        Whether calculations that failed for good in an earlier run are tried again.
    skip_unreadable
        Whether structures that cannot be read, or that the method cannot treat, are left out
        and reported; otherwise the first of them is refused.

    Raises
    ------
    InputError
        For values that make no sense.

    Examples
    --------
    >>> Selection(part="2:").indices(5)
    range(2, 5)
    """

    part: str = ":"
    limit: int | None = None
    max_hours: float | None = None
    retry_failed: bool = False
    skip_unreadable: bool = False

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        self.indices(0)
        for name in ("limit", "max_hours"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"option {name} must be positive, not {value}")

    def indices(self, number: int) -> range:
        """Indices of the part among ``number`` structures.

        Parameters
        ----------
        number
            How many structures there are.

        Returns
        -------
        range
            Increasing.

        Examples
        --------
        >>> Selection(part="-2:").indices(5)
        range(3, 5)
        """
        try:
            start, stop = (int(bound) if bound else None for bound in self.part.split(":"))
        except ValueError:
            raise InputError(f"slice {self.part!r}: it must be A:B, as in 0:500") from None
        return range(number)[start:stop]

    def read(
        self, path: str | os.PathLike[str], method: LabelMethod
    ) -> tuple[dict[int, Atoms], Failures]:
        """Read the part from a file.

        Parameters
        ----------
        path
            The file; what cannot be read is left out of extended XYZ only.
        method
            The method that shall treat the structures.

        Returns
        -------
        dict of int to Atoms
            The structures that can be labelled, by their index in the file, in order.
        list of (int, str)
            Index and reason of those that cannot.

        Raises
        ------
        InputError
            If there are none, or, without ``skip_unreadable``, one cannot be labelled.

        Examples
        --------
        >>> import tempfile
        >>> from atomplete.labels import XTB
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "a.xyz"
        ...     _ = path.write_text("1\\n\\nH 0 0 0\\n1\\n\\nH 0 0 zero\\n1\\n\\nHe 0 0 0\\n")
        ...     structures, failures = Selection(skip_unreadable=True).read(path, XTB())
        >>> list(structures), failures[0][0]
        ([0, 2], 1)
        """
        found = _read_frames(Path(path)) if self._tolerates(path) else read_structures(path)
        structures, failures = {}, []
        for index in self.indices(len(found)):
            try:
                structures[index] = _usable(found[index], f"{path}, structure {index}", method)
            except InputError as error:
                if not self.skip_unreadable:
                    raise
                failures.append((index, str(error).removeprefix(f"{path}, structure {index}: ")))
        if not structures:
            first = f": {failures[0][1]}" if failures else ""
            raise InputError(f"{path}: no structure of {self.part} can be labelled{first}")
        return structures, failures

    def _tolerates(self, path: str | os.PathLike[str]) -> bool:
        name = str(path).removesuffix(".gz").lower()
        return self.skip_unreadable and name.endswith(XYZ_SUFFIXES) and Path(path).is_file()


def _usable(found: Atoms | str, name: str, method: LabelMethod) -> Atoms:
    if isinstance(found, str):
        raise InputError(f"{name}: {found}")
    validate(found, name)
    method.check(found, name)
    return found


def _read_frames(path: Path) -> list[Atoms | str]:
    """Structures of extended XYZ, or for each that is broken what is wrong with it.

    A frame begins with a line that holds nothing but the number of atoms. Nothing else in a
    frame does, but for a comment, so that a broken frame does not hide those after it.
    """
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            lines = file.read().decode("utf-8", errors="replace").split("\n")
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: it cannot be read ({error})") from None
    starts: list[int] = []
    for number, line in enumerate(lines):
        is_comment = starts and starts[-1] == number - 1
        if line.strip().isdecimal() and not is_comment:
            starts.append(number)
    if any(line.strip() for line in lines[: starts[0] if starts else None]):
        starts.insert(0, 0)
    bounds = pairwise([*starts, len(lines)])
    return [_frame(lines[start:end]) for start, end in bounds]


def _frame(lines: list[str]) -> Atoms | str:
    while lines and not lines[-1].strip() and len(lines) > 2:
        lines = lines[:-1]
    if not lines[0].strip().isdecimal():
        return f"it must begin with the number of atoms, not {lines[0][:40]!r}"
    atoms = [line for line in lines[2:] if not line.lstrip().startswith("VEC")]
    if len(atoms) != int(lines[0]):
        return f"it announces {int(lines[0])} atoms but has {len(atoms)}"
    try:
        return next(read_xyz(StringIO("\n".join(lines) + "\n"), index=0))
    except Exception as error:  # ASE raises many types for text that it cannot take
        reason = " ".join(str(error).split()) or type(error).__name__
        return f"not understood as extended XYZ ({reason})"
