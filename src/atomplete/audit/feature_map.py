"""Features of one structure as a smooth function of the positions of its atoms.

Searches and local analyses see every subject in this way: one row of numbers for each set of
positions, with its Jacobian.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from ase import Atoms
from jaxtyping import Float

from atomplete.audit.subjects.random_readout import RandomReadout
from atomplete.audit.subjects.subject import Rows, Scope, Subject
from atomplete.audit.verdicts.distance import unit_of
from atomplete.degenerate.congruence.alignment import Floats
from atomplete.degenerate.congruence.congruence import Level
from atomplete.degenerate.congruence.environment import with_positions
from atomplete.degenerate.random_structures import random_like
from atomplete.errors import InputError


class FeatureMap:
    """A subject on all positions of the atoms of one structure.

    The rows of all atoms of a structure, a set, become one row by a `RandomReadout`.

    Parameters
    ----------
    subject
        The subject.
    template
        Species of the atoms; at the environment level atom 0 is the centre.
    level
        "environment": positions are those of the neighbours, relative to the centre, which stays
        at the origin. "structure": of all atoms.
    cutoff
        Radius of an environment, Å; that of the subject if it has its own.
    species
        Atomic numbers that the subject is to know beside those of the template.

    Raises
    ------
    InputError
        If the subject does not describe this level.

    Examples
    --------
    >>> from atomplete.audit.subjects.named import subject_of
    >>> features = FeatureMap(subject_of("power_spectrum"), Atoms("BB"), "environment", 2.0)
    >>> values, jacobian = features.jacobian(np.array([[[0.0, 0.0, 1.6]]]))
    >>> values.shape, jacobian.shape
    ((1, 40), (1, 40, 3))
    """

    def __init__(
        self,
        subject: Subject,
        template: Atoms,
        level: Level,
        cutoff: float,
        species: tuple[int, ...] = (),
    ) -> None:
        if level not in subject.levels:
            levels = " or ".join(subject.levels)
            raise InputError(f"{subject.name} describes {levels}, not the {level} level")
        self.subject, self.template = subject, template
        found = tuple(sorted({*template.numbers.tolist(), *species}))
        self.scope = Scope(level, subject.cutoff or cutoff, found)

    def of(self, subject: Subject) -> "FeatureMap":
        """Another subject on the same structure."""
        return FeatureMap(subject, self.template, self.level, self.scope.cutoff, self.scope.species)

    @property
    def level(self) -> Level:
        """Level of the description."""
        return self.scope.level

    @property
    def movable(self) -> Float[np.ndarray, "atom xyz"]:
        """Positions of the template, of the atoms that move."""
        positions: Floats = self.template.positions[1 if self.level == "environment" else 0 :]
        return positions

    def __call__(self, positions: Float[np.ndarray, "structure atom xyz"]) -> Floats:
        """(structure, feature) of (structure, atom, xyz) in Å, in the `unit`."""
        structures = [with_positions(self.template, self.level, x) for x in positions]
        rows = self.subject.describe(structures, self.scope)
        self._check(structures, rows)
        return np.stack([self.one_row(row) for row in rows])

    def one_row(self, rows: Rows) -> Float[np.ndarray, " feature"]:
        """Rows of one structure, as the subject describes it, as one row in the `unit`."""
        rows = rows / self.unit
        if len(rows) == 1:
            return rows[0]
        row: Floats = self._readout.of_atoms(*self._atoms(rows)).numpy()
        return row

    def jacobian(self, positions: Float[np.ndarray, "structure atom xyz"]) -> tuple[Floats, Floats]:
        """(structure, feature) and (structure, feature, coordinate), 1/Å, in the `unit`."""
        structures = [with_positions(self.template, self.level, x) for x in positions]
        rows, slopes = zip(*self.subject.jacobian(structures, self.scope), strict=True)
        self._check(structures, rows)
        self._check(structures, slopes)
        rows = [row / self.unit for row in rows]
        first = len(self.template) - positions.shape[1]
        slopes = [slope[:, :, first:].reshape(*slope.shape[:2], -1) for slope in slopes]
        slopes = [slope / self.unit for slope in slopes]
        if len(rows[0]) == 1:
            return np.concatenate(rows), np.concatenate(slopes)
        values, jacobians = [], []
        for row, slope in zip(rows, slopes, strict=True):
            atoms = self._atoms(row)
            values.append(self._readout.of_atoms(*atoms).numpy())
            columns = torch.from_numpy(slope)
            jacobians.append(self._readout.derivative_of_atoms(*atoms, columns).numpy())
        return np.stack(values), np.stack(jacobians)

    def _check(self, structures: Sequence[Atoms], rows: Sequence[Rows]) -> None:
        for atoms, row in zip(structures, rows, strict=True):
            if not np.isfinite(row).all():
                raise InputError(
                    f"{self.subject.name} is not finite for {atoms.get_chemical_formula()} at "
                    f"{atoms.positions.round(4).tolist()}"
                )

    @cached_property
    def _typical(self) -> Rows:
        """Rows of a random structure of these atoms."""
        other = random_like(self.template, self.level, np.random.default_rng(0))
        if self.level == "environment":
            other.info = {"center": 0}
        (rows,) = self.subject.describe([other], self.scope)
        return rows

    @cached_property
    def unit(self) -> np.float64:
        """A power of two near typical features, for features of any size are squared later."""
        return np.float64(unit_of(self._typical))

    @cached_property
    def _readout(self) -> RandomReadout:
        """Random functions, with arguments of order one for a random structure."""
        even = torch.from_numpy(self._typical / self.unit)
        return RandomReadout(even, even[:, :0])

    def _atoms(self, rows: Rows) -> tuple[torch.Tensor, torch.Tensor]:
        """Rows and species of all atoms."""
        return torch.from_numpy(rows), torch.from_numpy(self.template.numbers)
