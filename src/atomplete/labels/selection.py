"""Selection of the structures of a file that a campaign labels, broken frames left out."""

import os
from dataclasses import dataclass

from ase import Atoms

from atomplete.data.xyz import frame, or_raise, read_each
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
        >>> from pathlib import Path
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "a.xyz"
        ...     _ = path.write_text("1\\n\\nH 0 0 0\\n1\\n\\nH 0 0 zero\\n1\\n\\nHe 0 0 0\\n")
        ...     structures, failures = Selection(skip_unreadable=True).read(path, XTB())
        >>> list(structures), failures[0][0]
        ([0, 2], 1)
        """
        found = read_each(path)
        structures, failures = {}, []
        for index in self.indices(len(found)):
            try:
                atoms = or_raise(found[index])
                method.check(atoms, f"{path}, structure {index}")
                frame(atoms, f"{path}, structure {index}")  # refused now rather than at the end
            except InputError as error:
                if not self.skip_unreadable:
                    raise
                failures.append((index, str(error).removeprefix(f"{path}, structure {index}: ")))
            else:
                structures[index] = atoms
        if not structures:
            first = f": {failures[0][1]}" if failures else ""
            raise InputError(f"{path}: no structure of {self.part} can be labelled{first}")
        return structures, failures
