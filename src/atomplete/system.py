"""One frozen record of atoms and neighbour pairs, for one structure or many."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import ase
import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from atomplete.errors import InputError
from atomplete.neighbors import neighbor_pairs

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
        # index_select is quicker than indexing, and so is its derivative
        atom_i = self.centers.index_select(0, self.i)
        vectors = self.positions.index_select(0, self.j) - self.positions.index_select(0, atom_i)
        if len(self.cell) == 1:
            return vectors + self.shift @ self.cell[0]
        if self.shift.any():
            cells = self.cell.index_select(0, self.structure[self.j])
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
        if near.all():
            return self
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
        sizes = np.array([len(atoms) for atoms in batch], dtype=np.int64)
        structure = np.repeat(np.arange(len(batch)), sizes)
        positions = _joined([atoms.positions for atoms in batch], (0, 3))
        _refuse_infinite(positions, structure, sizes)
        chosen = _centers_of(batch, sizes, centers)
        i, j, shift = neighbor_pairs(batch, positions, sizes, cutoff)
        if not np.array_equal(chosen, np.arange(len(positions))):
            # position of each atom among the centres, −1 for those that are none
            rank = np.full(len(positions), -1)
            rank[chosen] = np.arange(len(chosen))
            kept = np.flatnonzero(rank[i] >= 0)
            i, j, shift = rank[i[kept]], j[kept], shift[kept]
        if (i[1:] < i[:-1]).any():
            order = np.argsort(i, kind="stable")
            i, j, shift = i[order], j[order], shift[order]

        def tensor(array: np.ndarray, kind: torch.dtype = torch.long) -> Tensor:
            return torch.as_tensor(array, dtype=kind, device=device)

        return cls(
            positions=tensor(positions, dtype),
            species=tensor(_joined([atoms.numbers for atoms in batch], (0,))),
            cell=tensor(_joined([atoms.cell.array for atoms in batch], (0, 3)), dtype).view(
                -1, 3, 3
            ),
            structure=tensor(structure),
            centers=tensor(chosen),
            i=tensor(i),
            j=tensor(j),
            shift=tensor(shift, dtype),
        )


def _joined(arrays: list[np.ndarray], empty: tuple[int, ...]) -> np.ndarray:
    return np.concatenate(arrays) if arrays else np.zeros(empty)


def _refuse_infinite(positions: np.ndarray, structure: np.ndarray, sizes: np.ndarray) -> None:
    if not np.isfinite(positions).all():
        atom = int(np.argwhere(~np.isfinite(positions))[0, 0])
        index = structure[atom]
        atom -= sizes[:index].sum()
        raise InputError(f"structure {index}: position of atom {atom} is not finite")


def _centers_of(
    batch: list[ase.Atoms], sizes: np.ndarray, centers: Centers | Sequence[int]
) -> np.ndarray:
    """The centres of all structures, atoms of the batch."""
    if centers == "auto":
        centers = "info" if batch and all("center" in a.info for a in batch) else "all"
    if centers == "all":
        return np.arange(sizes.sum())
    if centers == "info":
        for index, atoms in enumerate(batch):
            if "center" not in atoms.info:
                raise InputError(f"structure {index}: no 'center' in its info")
        chosen = np.array([[int(atoms.info["center"])] for atoms in batch])
    else:
        chosen = np.tile(np.array(centers, dtype=int), (len(batch), 1))
    missing = np.argwhere((chosen < 0) | (chosen >= sizes[:, None]))
    if len(missing):
        index, center = missing[0, 0], chosen[*missing[0]]
        raise InputError(f"structure {index}: center {center} of {sizes[index]} atoms")
    for k, center in enumerate(chosen[0]) if len(batch) else ():
        if center in chosen[0, :k]:
            raise InputError(f"structure 0: center {center} is named twice")
    return (chosen + (sizes.cumsum() - sizes)[:, None]).ravel()
