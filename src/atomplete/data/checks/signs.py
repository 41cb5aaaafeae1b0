"""Signs of forces and stresses, by what energies of structures say."""

from collections import defaultdict
from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from atomplete.data.dataset import Dataset

#: Relative difference of two volumes from which on a pair of cells tells the sign of the stress.
VOLUMES_APART = 0.005

#: Root mean square force up to which the energy of a cell is one of its volume, eV/Å.
AT_REST = 0.2

#: Pairs of cells that are compared at the most, and pairs that are needed.
MOST_PAIRS, FEWEST_PAIRS = 20_000, 5

#: Structures of the same atoms that are compared at the most; the nearest part of their pairs, and
#: the least number of these.
MOST_ALIKE, NEAREST, LEAST_NEAREST = 200, 0.05, 20

#: Structures that are displaced by less are copies, Å.
COPY = 1e-4

#: Share of the pairs that must agree, or disagree, for the sign to be known; of few pairs more, by
#: two standard deviations of a coin.
SURE = 0.65


@dataclass(frozen=True)
class Sign:
    """Comparison of labels with the change of the energy between structures of the same atoms.

    Attributes
    ----------
    labels
        Forces, or stress.
    slope
        Derivative of the energy that they should be.
    pairs
        Pairs compared.
    needed
        The structures that such pairs are made of.
    n_pairs
        Number of the pairs.
    agreement
        Share of them in which the energy changes as the labels say: near 1 for ASE's sign, near 0
        for the opposite one.
    """

    labels: str
    slope: str
    pairs: str
    needed: str
    n_pairs: int
    agreement: float

    def __str__(self) -> str:
        name, compared = f"sign of the {self.labels}", f"{self.agreement:.0%} of {self.n_pairs}"
        if self.n_pairs < FEWEST_PAIRS:
            return f"{name}: cannot be told, too few {self.needed}"
        sure = max(SURE, 0.5 + self.n_pairs**-0.5)
        if self.agreement > sure:
            return f"{name}: agrees with {self.slope} ({compared} {self.pairs})"
        if self.agreement < 1 - sure:
            return (
                f"WARNING, {name}: OPPOSITE to that of {self.slope} (agrees in {compared} "
                f"{self.pairs}); {self.labels} must have ASE's sign, energies too"
            )
        return f"{name}: cannot be told (agrees with {self.slope} in {compared} {self.pairs})"


def stress_sign(dataset: Dataset) -> Sign:
    """Compare stresses with energies of cells that have the same atoms and other volumes.

    Between two cells E changes by about ½ (tr σ_1 + tr σ_2) / 3 · (V_2 − V_1). Cells with large
    forces, where there are any, are left out: their energy is not one of the volume.

    Examples
    --------
    >>> from ase.calculators.singlepoint import SinglePointCalculator
    >>> cells = []
    >>> for a in (3.9, 4.0, 4.1, 4.2):
    ...     cell = Atoms("Si", cell=[a, a, a], pbc=True)
    ...     slope = 2 * (a**3 - 64.0)  # of E = (V − 64)²
    ...     stress = slope * np.array([1, 1, 1, 0, 0, 0])
    ...     cell.calc = SinglePointCalculator(cell, energy=(a**3 - 64.0) ** 2, stress=stress)
    ...     cells.append(cell)
    >>> print(stress_sign(Dataset.from_structures(cells)))
    sign of the stress: agrees with dE/dV (100% of 6 pairs of cells)
    """
    agree = [np.zeros(0, dtype=bool)]
    for members in cells_at_rest(dataset):
        volume = np.array([dataset.structures[index].get_volume() for index in members])
        energy = dataset.energies[members].numpy()
        pressure = dataset.stresses[members, :3].mean(1).numpy()
        first, second = np.triu_indices(len(members), 1)
        apart = volume[second] - volume[first]
        far = np.flatnonzero(np.abs(apart) > VOLUMES_APART * volume[first])
        far = far[:: 1 + len(far) // MOST_PAIRS]
        first, second, apart = first[far], second[far], apart[far]
        work = (pressure[first] + pressure[second]) / 2 * apart
        agree.append((energy[second] - energy[first]) * work > 0)
    found = np.concatenate(agree)
    return Sign(
        "stress",
        "dE/dV",
        "pairs of cells",
        "cells at rest differ in volume",
        len(found),
        float(found.mean()) if len(found) else float("nan"),
    )


def cells_at_rest(dataset: Dataset) -> list[list[int]]:
    """Cells with energies and stresses, and without large forces, by the atoms that they hold.

    Examples
    --------
    >>> cells_at_rest(Dataset.from_structures([Atoms("Si", cell=[4, 4, 4], pbc=True)]))
    []
    """
    has = dataset.labelled
    squares = dataset.n_atoms.new_zeros(len(dataset)).double()
    squares.index_add_(0, dataset.structure_of_atom, dataset.forces.square().sum(1).nan_to_num())
    at_rest = squares <= 3 * dataset.n_atoms * AT_REST**2
    alike: dict[str, list[int]] = defaultdict(list)
    for index in (has["stresses"] & has["energies"] & at_rest).nonzero()[:, 0].tolist():
        alike[str(dataset.structures[index].symbols.formula.count())].append(index)
    return list(alike.values())


def forces_sign(dataset: Dataset) -> Sign:
    """Compare forces with energies of structures of the same atoms at positions close by.

    From one to the next of two structures E changes by about −½ (F_1 + F_2)·(r_2 − r_1), which is
    exact for springs. Molecules are turned onto each other; the nearest pairs are compared.

    Examples
    --------
    >>> from ase.calculators.singlepoint import SinglePointCalculator
    >>> dimers = []
    >>> for r in (1.4, 1.5, 1.7, 1.8, 1.9, 2.0, 2.1, 2.2):
    ...     dimer = Atoms("B2", [(0, 0, 0), (0, 0, r)])
    ...     forces = np.outer([1, -1], [0, 0, 2 * r])  # of E = r²
    ...     dimer.calc = SinglePointCalculator(dimer, energy=r * r, forces=forces)
    ...     dimers.append(dimer)
    >>> print(forces_sign(Dataset.from_structures(dimers)))
    sign of the forces: agrees with −dE/dr (100% of 20 pairs of structures)
    """
    has = dataset.labelled["energies"].clone()
    has[dataset.structure_of_atom[~dataset.forces.isfinite().all(1)]] = False
    alike: dict[Hashable, list[int]] = defaultdict(list)
    for index in has.nonzero()[:, 0].tolist():
        atoms = dataset.structures[index]
        cell = (atoms.cell.array * atoms.pbc[:, None]).round(5) + 0.0
        alike[atoms.numbers.tobytes(), cell.tobytes()].append(index)
    agree = [np.zeros(0, dtype=bool)]
    first_atom = (dataset.n_atoms.cumsum(0) - dataset.n_atoms).tolist()
    for members in alike.values():
        some = members[:: -(-len(members) // MOST_ALIKE)]
        energy = dataset.energies[some].numpy()
        size = int(dataset.n_atoms[some[0]])
        forces = np.stack([dataset.forces[first_atom[k] :][:size].numpy() for k in some])
        positions = np.stack([dataset.structures[k].positions for k in some])
        columns = []
        for k in range(len(some) - 1):
            there, pushed = positions[k + 1 :], forces[k + 1 :]
            if not dataset.structures[some[0]].pbc.any():
                there, pushed = _turned(there, pushed, positions[k])
            moved = _shortest(there - positions[k], dataset.structures[some[0]])
            work = -0.5 * ((forces[k] + pushed) * moved).sum((1, 2))
            columns.append([(moved**2).sum((1, 2)), work, energy[k + 1 :] - energy[k]])
        if columns:
            distance, work, change = np.concatenate(columns, axis=1)
            count = max(LEAST_NEAREST, int(NEAREST * len(distance)))
            nearest = distance.argsort(kind="stable")[:count]
            # neither copies of a structure nor forces that are zero tell a sign
            nearest = nearest[(distance[nearest] > COPY**2) & (work[nearest] != 0)]
            agree.append(work[nearest] * change[nearest] > 0)
    found = np.concatenate(agree)
    return Sign(
        "forces",
        "−dE/dr",
        "pairs of structures",
        "structures have the same atoms in the same cell",
        len(found),
        float(found.mean()) if len(found) else float("nan"),
    )


def _turned(
    positions: np.ndarray, forces: np.ndarray, onto: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Molecules and their forces, moved and turned onto another by least squares (Kabsch)."""
    center = onto.mean(0)
    relative = positions - positions.mean(1, keepdims=True)
    left, _, right = np.linalg.svd(np.swapaxes(relative, 1, 2) @ (onto - center))
    left[:, :, 2] *= np.linalg.det(left @ right)[:, None]  # no reflection
    turn = left @ right
    return relative @ turn + center, forces @ turn


def _shortest(moved: np.ndarray, atoms: Atoms) -> np.ndarray:
    """Displacements to the nearest images."""
    if not atoms.pbc.any():
        return moved
    cell = atoms.cell.complete().array
    fractional = moved @ np.linalg.inv(cell)
    return moved - np.where(atoms.pbc, fractional.round(), 0.0) @ cell
