"""Limits of dynamics: beyond them a potential says nothing, and a run is stopped."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from ase import Atoms

from atomplete.neighbors import neighbor_pairs

#: Temperature over that of the run, or of its start, in an explosion, for many atoms; for few,
#: which fluctuate, it is more. Colder runs than ``COLD`` (K) count as runs at that.
EXPLODED, COLD = 10.0, 300.0


@dataclass(frozen=True)
class Limits:
    """Limits of a run.

    Attributes
    ----------
    temperature
        Above it atoms fly apart, K.
    extrapolation
        Largest grade of an atom.
    shortest
        Distance below which no potential was tried, by atomic numbers of both atoms, smaller one
        first, Å.

    Examples
    --------
    >>> limits = Limits(3000.0, 5.0, {(1, 8): 0.8})
    >>> limits.of_distances(Atoms("OH", [(0, 0, 0), (0, 0, 0.7)]))
    'atoms 0 (O) and 1 (H) are 0.7 Å apart, nearer than 0.8 Å, where no data reach'
    >>> limits.of_temperature(1e5)
    'the temperature is 1e+05 K: the atoms fly apart'
    """

    temperature: float
    extrapolation: float
    shortest: Mapping[tuple[int, int], float] = field(default_factory=dict)

    @classmethod
    def of_run(
        cls,
        kelvin: float,
        n: int,
        extrapolation: float,
        shortest: Mapping[tuple[int, int], float] | None = None,
    ) -> "Limits":
        """Limits of a run at a temperature with ``n`` degrees of freedom."""
        most = EXPLODED * (1 + 10 / n) * max(kelvin, COLD)
        return cls(most, extrapolation, shortest or {})

    def of_numbers(self, atoms: Atoms) -> str | None:
        """Reason to stop if energy or forces are no numbers; they have been computed."""
        energy = atoms.get_potential_energy()
        if not np.isfinite(energy):
            return f"the energy is {energy}"
        finite = np.isfinite(atoms.get_forces(apply_constraint=False)).all(1)
        return None if finite.all() else f"the force on atom {int(finite.argmin())} is not finite"

    def of_temperature(self, kelvin: float) -> str | None:
        """Reason to stop if it is too hot."""
        if kelvin < self.temperature:
            return None
        return f"the temperature is {kelvin:.3g} K: the atoms fly apart"

    def of_distances(self, atoms: Atoms) -> str | None:
        """Reason to stop if two atoms are nearer than in any data."""
        if not self.shortest:
            return None
        reach = max(self.shortest.values())
        i, j, shift = neighbor_pairs([atoms], atoms.positions, np.array([len(atoms)]), reach)
        r = np.linalg.norm(atoms.positions[j] - atoms.positions[i] + shift @ atoms.cell, axis=1)
        for k in np.argsort(r):
            a, b = sorted((int(atoms.numbers[i[k]]), int(atoms.numbers[j[k]])))
            least = self.shortest.get((a, b), 0.0)
            if r[k] < least:
                first, second = (f"{n} ({atoms.symbols[n]})" for n in (i[k], j[k]))
                return (
                    f"atoms {first} and {second} are {r[k]:.3g} Å apart, nearer than "
                    f"{least:.3g} Å, where no data reach"
                )
        return None

    def of_grades(self, grades: np.ndarray) -> str | None:
        """Reason to stop if an atom is unlike those of training."""
        worst = int(grades.argmax())
        if grades[worst] <= self.extrapolation:
            return None
        return (
            f"the extrapolation grade of atom {worst} is {grades[worst]:.3g}, above "
            f"{self.extrapolation:g}: nothing like it was trained on"
        )
