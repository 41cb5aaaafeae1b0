"""One frozen record of atoms and neighbour pairs, for one structure or many."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import ase
import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from vesin import NeighborList

from atomplete.errors import InputError

#: Atoms nearer than this coincide: no direction can be told between them, Å.
COINCIDENCE = 1e-3

Centers = Literal["auto", "all", "info"]


@dataclass(frozen=True)
class System:
    """Atoms, selected centres, and all pairs (centre i, neighbour j) within a cutoff.

    A batch of structures is the same record, bigger. Pairs are sorted by centre; every
    neighbour of a centre is listed once for each periodic image in reach.

    Attributes
    ----------
    positions
        (atom, xyz), Å.
    species
        (atom,) atomic numbers.
    cell
        (structure, vector, xyz), Å; zero without periodicity.
    structure
        (atom,) which structure an atom belongs to.
    centers
        (center,) the atoms whose environments are described.
    i
        (pair,) position in ``centers``.
    j
        (pair,) neighbour, an atom.
    shift
        (pair, vector) cell shifts: r_ij = r_j − r_i + shift @ cell.
    """

    positions: Float[Tensor, "atom xyz"]
    species: Int[Tensor, " atom"]
    cell: Float[Tensor, "structure vector xyz"]
    structure: Int[Tensor, " atom"]
    centers: Int[Tensor, " center"]
    i: Int[Tensor, " pair"]
    j: Int[Tensor, " pair"]
    shift: Float[Tensor, "pair vector"]

    def __repr__(self) -> str:
        return (
            f"System({len(self.cell)} structures, {len(self.positions)} atoms, "
            f"{len(self.centers)} centers, {len(self.i)} pairs)"
        )

    @property
    def r_ij(self) -> Float[Tensor, "pair xyz"]:
        """Vectors from centre to neighbour, differentiable in positions and cell, Å."""
        atom_i = self.centers[self.i]
        vectors = self.positions[self.j] - self.positions[atom_i]
        if self.shift.any():
            cells = self.cell[self.structure[self.j]]
            vectors = vectors + torch.einsum("pv,pvx->px", self.shift, cells)
        return vectors

    @property
    def neighbor_counts(self) -> Int[Tensor, " center"]:
        """Number of neighbours of each centre."""
        return torch.bincount(self.i, minlength=len(self.centers))

    @property
    def first_atom(self) -> Int[Tensor, " structure"]:
        """Position of each structure's first atom."""
        sizes = torch.bincount(self.structure, minlength=len(self.cell))
        return sizes.cumsum(0) - sizes

    def select_centers(self, start: int, stop: int) -> "System":
        """A run of consecutive centres with their pairs, among the same atoms."""
        bounds = torch.tensor([start, stop], device=self.i.device)
        first, last = torch.searchsorted(self.i, bounds).tolist()
        return replace(
            self,
            centers=self.centers[start:stop],
            i=self.i[first:last] - start,
            j=self.j[first:last],
            shift=self.shift[first:last],
        )

    def within(self, radius: float) -> "System":
        """The same atoms and centres, with the pairs nearer than ``radius`` only, Å."""
        near = torch.linalg.vector_norm(self.r_ij.detach(), dim=-1) < radius
        return replace(self, i=self.i[near], j=self.j[near], shift=self.shift[near])

    def with_positions(self, positions: Float[Tensor, "atom xyz"]) -> "System":
        """The same pairs at other positions: for derivatives and small displacements."""
        return replace(self, positions=positions)

    @classmethod
    def from_atoms(
        cls,
        structures: ase.Atoms | Sequence[ase.Atoms],
        cutoff: float,
        *,
        centers: Centers | Sequence[int] = "auto",
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> "System":
        """Build the record from ASE atoms.

        Parameters
        ----------
        structures
            One or many structures, periodic in any number of directions.
        cutoff
            Pairs at a distance below it are listed, Å.
        centers
            ``"all"`` atoms, the atom that ``info["center"]`` names, or a list of atoms to take
            in every structure. ``"auto"`` is ``"info"`` where every structure has one.
        dtype, device
            Of the positions.

        Raises
        ------
        InputError
            For positions that are not finite, coinciding atoms, a centre that does not exist,
            a centre that is named twice, or a periodic direction without a cell vector or with
            one that lies in the plane of the others; names the structure.

        Examples
        --------
        >>> System.from_atoms(ase.Atoms("B3", [(0, 0, 0), (0, 0, 1.6), (0, 1.6, 0)]), 2.0)
        System(1 structures, 3 atoms, 3 centers, 4 pairs)
        """
        batch = [structures] if isinstance(structures, ase.Atoms) else list(structures)
        if centers == "auto":
            centers = "info" if batch and all("center" in a.info for a in batch) else "all"
        neighbor_list = NeighborList(cutoff=cutoff, full_list=True, sorted=True)
        pairs: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        chosen: list[np.ndarray] = []
        n_atoms = n_centers = 0
        for index, atoms in enumerate(batch):
            center_atoms = _centers_of(atoms, centers, index)
            i, j, shift = _neighbors(neighbor_list, atoms, index)
            # position of each atom among the centres, −1 for those that are none
            rank = np.full(len(atoms), -1)
            rank[center_atoms] = np.arange(len(center_atoms))
            kept = rank[i] >= 0
            order = np.argsort(rank[i[kept]], kind="stable")
            pairs.append(
                (rank[i[kept]][order] + n_centers, j[kept][order] + n_atoms, shift[kept][order])
            )
            chosen.append(center_atoms + n_atoms)
            n_atoms += len(atoms)
            n_centers += len(center_atoms)

        def join(arrays: list[np.ndarray], empty: tuple[int, ...], kind: torch.dtype) -> Tensor:
            joined = np.concatenate(arrays) if arrays else np.zeros(empty)
            return torch.as_tensor(joined, dtype=kind, device=device)

        sizes = torch.tensor([len(atoms) for atoms in batch], dtype=torch.long)
        return cls(
            positions=join([a.positions for a in batch], (0, 3), dtype),
            species=join([a.numbers for a in batch], (0,), torch.long),
            cell=join([a.cell.array[None] for a in batch], (0, 3, 3), dtype),
            structure=torch.repeat_interleave(torch.arange(len(batch)), sizes).to(device),
            centers=join(chosen, (0,), torch.long),
            i=join([p[0] for p in pairs], (0,), torch.long),
            j=join([p[1] for p in pairs], (0,), torch.long),
            shift=join([p[2] for p in pairs], (0, 3), dtype),
        )


def _centers_of(atoms: ase.Atoms, centers: Centers | Sequence[int], index: int) -> np.ndarray:
    if centers == "all":
        return np.arange(len(atoms))
    if centers == "info":
        if "center" not in atoms.info:
            raise InputError(f"structure {index}: no 'center' in its info")
        centers = [int(atoms.info["center"])]
    chosen = np.asarray(centers, dtype=int)
    for center in chosen:
        if not 0 <= center < len(atoms):
            raise InputError(f"structure {index}: center {center} of {len(atoms)} atoms")
    if len(set(chosen.tolist())) < len(chosen):
        repeated = next(c for k, c in enumerate(chosen) if c in chosen[:k])
        raise InputError(f"structure {index}: center {repeated} is named twice")
    return chosen


def _neighbors(
    neighbor_list: NeighborList, atoms: ase.Atoms, index: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if not np.isfinite(atoms.positions).all():
        atom = int(np.argwhere(~np.isfinite(atoms.positions))[0, 0])
        raise InputError(f"structure {index}: position of atom {atom} is not finite")
    if atoms.pbc.any() and not atoms.cell.any(1)[atoms.pbc].all():
        raise InputError(f"structure {index}: periodic, but a cell vector is missing")
    # directions that are not periodic may have no cell vector: complete them
    box = atoms.cell.complete().array if atoms.pbc.any() else np.eye(3)
    # a flat cell would crash the neighbour list, not just raise
    lengths = np.linalg.norm(box, axis=1)
    if not np.isfinite(box).all() or abs(np.linalg.det(box)) <= 1e-6 * lengths.prod():
        raise InputError(f"structure {index}: vectors of the cell {box.tolist()} span no volume")
    i, j, shift, distance = neighbor_list.compute(
        points=atoms.positions, box=box, periodic=atoms.pbc, quantities="ijSd"
    )
    if len(distance) and distance.min() < COINCIDENCE:
        pair = int(distance.argmin())
        raise InputError(
            f"structure {index}: atoms {i[pair]} and {j[pair]} coincide "
            f"(distance {distance[pair]:.2g} Å)"
        )
    return i.astype(np.int64), j.astype(np.int64), shift
