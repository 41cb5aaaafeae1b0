"""Stresses that differ from the change of the energy with strain, as those with Pulay stress do."""

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.units import GPa

from atomplete.data.checks.signs import cells_at_rest
from atomplete.data.dataset import Dataset

#: Change of ln V between two cells that are compared, at least and at most: smaller ones tell
#: nothing, and of larger ones the energy is no longer that of the mean stress.
STRAIN = 0.004, 0.03

#: Norm of their strain over this change, at most; it is 1 along one axis, and 0.58 along all three.
SHEAR = 1.1

#: Atoms may be elsewhere in two cells, beside the strain, by less, Å: forces change with distance.
MOVED = 0.05

#: Cells of the same atoms that are compared at the most, and pairs of cells that are needed.
MOST_CELLS, FEWEST_PAIRS = 300, 5

#: Offset that matters, eV per atom: with 5 % of volume it is an error of 1 meV per atom.
MATTERS = 0.02

#: Share of the pairs that must say so.
SURE = 0.8


@dataclass(frozen=True)
class StressOffset:
    """A part of the stress that no energy has, c / V from each atom of a cell.

    Attributes
    ----------
    per_atom
        c, eV.
    pressure
        The same over the mean volume of an atom, eV/Å³.
    n_pairs
        Pairs of cells that were compared.
    agreement
        Share of the pairs in which the stress is off by more than half of it.
    """

    per_atom: float
    pressure: float
    n_pairs: int
    agreement: float

    @property
    def matters(self) -> bool:
        """Whether a fit to both energies and stresses would be wrong in both."""
        enough = self.n_pairs >= FEWEST_PAIRS and self.agreement > SURE
        return enough and abs(self.per_atom) > MATTERS

    def __str__(self) -> str:
        return (
            f"WARNING, stress: {self.pressure / GPa:+.2g} GPa more than the change of the energy "
            f"with strain ({self.agreement:.0%} of {self.n_pairs} pairs of cells), as Pulay stress "
            "is; no potential can have both, and fits leave such stresses out by default"
        )


def stress_offset(dataset: Dataset) -> StressOffset:
    """Compare stresses with energies of cells that differ by a small strain.

    From one cell to the next E changes by ½ (V_1 σ_1 + V_2 σ_2) : ε − ½ (F_1 + F_2)·u, up to the
    third order in the strain ε and the displacements u beside it. A plane-wave basis that changes
    with the cell adds c N I / V to the stress, and nothing to differences of energies of the same
    cutoff, or little. Least squares over pairs of cells give c.

    References
    ----------
    Francis, Payne, J. Phys. Condens. Matter 2, 4395 (1990).

    Examples
    --------
    >>> from ase.calculators.singlepoint import SinglePointCalculator
    >>> cells = []
    >>> for a in (3.96, 3.98, 4.0, 4.02, 4.04):
    ...     cell = Atoms("Si", cell=[a, a, a], pbc=True)
    ...     pressure = 0.004 * (a**3 - 64.0) + 0.3 / a**3  # the second part is of no energy
    ...     stress = pressure * np.array([1, 1, 1, 0, 0, 0])
    ...     energy = 0.002 * (a**3 - 64.0) ** 2
    ...     cell.calc = SinglePointCalculator(cell, energy=energy, stress=stress)
    ...     cells.append(cell)
    >>> found = stress_offset(Dataset.from_structures(cells))
    >>> round(found.per_atom, 2), found.matters
    (0.3, True)
    """
    excess, strained, densities = [], [], []
    for alike in cells_at_rest(dataset):
        cells = [index for index in alike if dataset.structures[index].pbc.all()]
        members = cells[:: 1 + len(cells) // MOST_CELLS]
        if len(members) < 2:
            continue
        volumes = np.array([dataset.structures[k].get_volume() for k in members])
        size = len(dataset.structures[members[0]])
        densities += (size / volumes).tolist()
        pairs = np.stack(np.triu_indices(len(members), 1), 1)
        change = np.abs(np.log(volumes[pairs] / volumes[pairs[:, :1]]))[:, 1]
        pairs = pairs[(change > STRAIN[0]) & (change < STRAIN[1])]
        for pair in pairs:
            chosen = [members[k] for k in pair]
            moved = _moved(*(dataset.structures[k] for k in chosen))
            if moved is None:
                continue
            strain, displaced = moved
            virial = np.mean(
                [volumes[k] * _matrix(dataset.stresses[members[k]].numpy()) for k in pair], axis=0
            )
            forces = np.mean([_forces(dataset, k) for k in chosen], axis=0)
            work = np.sum(virial * strain) - np.nansum(forces * displaced)
            before, after = dataset.energies[chosen].tolist()
            excess.append(work - (after - before))
            strained.append(size * np.trace(strain))
    if not excess:
        return StressOffset(0.0, 0.0, 0, 0.0)
    y, x = np.array(excess), np.array(strained)
    per_atom = float(x @ y / (x @ x))
    agree = y / x * np.sign(per_atom) > 0.5 * abs(per_atom)
    return StressOffset(per_atom, per_atom * float(np.mean(densities)), len(y), float(agree.mean()))


def _moved(one: Atoms, other: Atoms) -> tuple[np.ndarray, np.ndarray] | None:
    """Strain of one cell into another, and displacements beside it; None if they are far apart."""
    if not np.array_equal(one.numbers, other.numbers):
        return None
    cells = one.cell.array, other.cell.array
    deformed = np.linalg.solve(*cells)
    strain = 0.5 * (deformed + deformed.T) - np.eye(3)
    turned = 0.5 * (deformed - deformed.T)
    if np.abs(turned).max() > STRAIN[0] or np.linalg.norm(strain) > SHEAR * abs(np.trace(strain)):
        return None
    strain -= 0.5 * strain @ strain  # the logarithm, to second order
    fractional = other.get_scaled_positions(wrap=False) - one.get_scaled_positions(wrap=False)
    displaced = (fractional - fractional.round()) @ (0.5 * (cells[0] + cells[1]))
    return (strain, displaced) if np.abs(displaced).max() < MOVED else None


def _matrix(stress: np.ndarray) -> np.ndarray:
    xx, yy, zz, yz, xz, xy = stress
    return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])


def _forces(dataset: Dataset, index: int) -> np.ndarray:
    found: np.ndarray = dataset.forces[dataset.structure_of_atom == index].numpy()
    return found
