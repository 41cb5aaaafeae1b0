"""Outcome of a reconstruction: structures that have the given features, and how sure that is."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from ase import Atoms

from atomplete.degenerate.congruence.congruence import Group, Level, congruence_distance
from atomplete.degenerate.labelled import labelled

#: "determined": one structure. "degenerate": several. "undetermined": the basis is too small to
#: tell. "no structure": none has such features, or none was found.
Verdict = Literal["determined", "degenerate", "undetermined", "no structure"]


@dataclass(frozen=True)
class Reconstruction:
    """Structures with given features.

    Attributes
    ----------
    verdict
        Whether there is one, or several, or none.
    structures
        The distinct ones, at the environment level with the centre as atom 0.
    residual
        Distance of the features from those given, relative to these: of the structures, or, where
        there is none, of what comes nearest.
    statement
        One sentence: the residual, and how far the list may be trusted.
    level, group
        In which structures count as the same.
    fitted
        Where no structure agrees, the one that comes nearest, if fits were made.

    Examples
    --------
    >>> print(Reconstruction("determined", (Atoms("HB"),), 1e-15, "1 of 1 rows agree"))
    determined: HB, features 1e-15 off; 1 of 1 rows agree
    """

    verdict: Verdict
    structures: tuple[Atoms, ...]
    residual: float
    statement: str
    level: Level = "environment"
    group: Group = "SO3"
    fitted: Atoms | None = None

    @property
    def nearest(self) -> Atoms | None:
        """The first structure, or what comes nearest."""
        return self.structures[0] if self.structures else self.fitted

    def distances(self) -> list[list[float]]:
        """Congruence distances between all structures, Å."""
        return [
            [congruence_distance(a, b, level=self.level, group=self.group) for b in self.structures]
            for a in self.structures
        ]

    def labelled(self, family: str = "reconstructed") -> list[Atoms]:
        """Structures to be written: one as it is, several as degenerate pairs with the first."""
        first, *others = self.structures
        if not others:
            center = {"center": 0} if self.level == "environment" else {}
            return [Atoms(first.numbers, first.positions, info={**center, "family": family})]
        distance = np.array(self.distances())[0, 1:]
        pairs = (
            (first, other, {"structural_distance": float(d)})
            for other, d in zip(others, distance, strict=True)
        )
        return labelled(pairs, family, self.level)

    def __str__(self) -> str:
        names = ", ".join(atoms.get_chemical_formula() for atoms in self.structures)
        off = f"features {self.residual:.0e} off"
        return f"{self.verdict}: {names + ', ' if names else ''}{off}; {self.statement}"
