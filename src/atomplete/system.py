"""One frozen record of atoms and neighbour pairs, for one structure or many."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import ase
import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from atomplete.errors import InputError
from atomplete.neighbors import neighbor_pairs
from atomplete.selection import chosen_of, members
from atomplete.units import check_cutoff

#: All atoms of a structure, or the one that its ``info["center"]`` names.
Centers = Literal["all", "info"]


@dataclass(frozen=True)
class System:
    """Atoms, selected centres, and all pairs (centre i, neighbour j) within a cutoff.

    A batch of structures is the same record, bigger. Pairs are sorted by centre; every
    neighbour of a centre is listed once for each periodic image in reach.

    Attributes
    ----------
    positions
        (atom, xyz), Å, float64.
    species
        (atom,) atomic numbers.
    cell
        (structure, vector, xyz), Å, float64; zero without periodicity.
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
    cutoff
        Pairs nearer than this are listed, Å.
    dtype
        Of ``r_ij``, and so of what is computed from it. Positions are in float64 so that vectors
        between them are as exact far from the origin as near it.
    vectors
        (pair, xyz) what ``r_ij`` is, in place of vectors between positions: for derivatives in
        single pairs.
    """

    positions: Float[Tensor, "atom xyz"]
    species: Int[Tensor, " atom"]
    cell: Float[Tensor, "structure vector xyz"]
    structure: Int[Tensor, " atom"]
    centers: Int[Tensor, " center"]
    i: Int[Tensor, " pair"]
    j: Int[Tensor, " pair"]
    shift: Float[Tensor, "pair vector"]
    cutoff: float
    dtype: torch.dtype = torch.float64
    vectors: Float[Tensor, "pair xyz"] | None = None

    def __repr__(self) -> str:
        return (
            f"System({len(self.cell)} structures, {len(self.positions)} atoms, "
            f"{len(self.centers)} centers, {len(self.i)} pairs)"
        )

    @property
    def r_ij(self) -> Float[Tensor, "pair xyz"]:
        """Vectors from centre to neighbour, differentiable in positions and cell, Å."""
        if self.vectors is not None:
            return self.vectors
        # index_select is quicker than indexing, and so is its derivative
        atom_i = self.centers.index_select(0, self.i)
        vectors = self.positions.index_select(0, self.j) - self.positions.index_select(0, atom_i)
        if len(self.cell) == 1:
            vectors = vectors + self.shift @ self.cell[0]
        elif self.shift.any():
            cells = self.cell.index_select(0, self.structure[self.j])
            vectors = vectors + torch.einsum("pv,pvx->px", self.shift, cells)
        return vectors.to(self.dtype)

    @property
    def neighbor_counts(self) -> Int[Tensor, " center"]:
        """Number of neighbours of each centre."""
        return torch.bincount(self.i, minlength=len(self.centers))

    @property
    def first_atom(self) -> Int[Tensor, " structure"]:
        """Position of each structure's first atom."""
        sizes = torch.bincount(self.structure, minlength=len(self.cell))
        return sizes.cumsum(0) - sizes

    def refuse_other_cutoff(self, cutoff: float) -> None:
        """Raise an InputError if pairs were listed with another cutoff than this, Å."""
        if self.cutoff != cutoff:
            raise InputError(f"pairs were listed up to {self.cutoff:g} Å, not {cutoff:g} Å")

    def select_centers(self, start: int, stop: int) -> "System":
        """A run of consecutive centres with their pairs, among the same atoms.

        Raises
        ------
        InputError
            If there is no such run.
        """
        if not 0 <= start <= stop <= len(self.centers):
            raise InputError(f"centers from {start} up to {stop} of {len(self.centers)} centers")
        bounds = torch.tensor([start, stop], device=self.i.device)
        first, last = torch.searchsorted(self.i, bounds).tolist()
        part = self._select_pairs(slice(first, last))
        return replace(part, centers=self.centers[start:stop], i=part.i - start)

    def select_structures(self, structures: Iterable[Any] | Tensor) -> "System":
        """Some of the structures, in the order given and numbered anew.

        Parameters
        ----------
        structures
            Their numbers, or a mask, as ``selection.chosen_of`` takes them.

        Raises
        ------
        InputError
            For a structure that does not exist.

        Examples
        --------
        >>> batch = [ase.Atoms("B"), ase.Atoms("BN", [(0, 0, 0), (0, 0, 1.6)])]
        >>> System.from_atoms(batch, 2.0).select_structures([1])
        System(1 structures, 2 atoms, 2 centers, 2 pairs)
        """
        device = self.structure.device
        structures = chosen_of(structures, len(self.cell), "structure", "structures", device)
        atoms, structure = members(self.structure, structures)
        centers, center_structure = members(self.structure[self.centers], structures)
        pairs, i = members(self.i, centers)
        sizes = torch.bincount(structure, minlength=len(structures))
        # of each atom's number among those chosen over its number among all
        offset = sizes.cumsum(0) - sizes - torch.searchsorted(self.structure, structures)
        part = self._select_pairs(pairs)
        return replace(
            part,
            positions=self.positions[atoms],
            species=self.species[atoms],
            cell=self.cell[structures],
            structure=structure,
            centers=self.centers[centers] + offset[center_structure],
            i=i,
            j=part.j + offset[center_structure[i]],
        )

    def within(self, radius: float) -> "System":
        """The same atoms and centres, with the pairs nearer than ``radius`` only, Å."""
        radius = check_cutoff(radius)
        near = torch.linalg.vector_norm(self.r_ij.detach(), dim=-1) < radius
        part = self if near.all() else self._select_pairs(near)
        return replace(part, cutoff=min(radius, self.cutoff))

    def _select_pairs(self, pairs: slice | Tensor) -> "System":
        vectors = None if self.vectors is None else self.vectors[pairs]
        return replace(
            self, i=self.i[pairs], j=self.j[pairs], shift=self.shift[pairs], vectors=vectors
        )

    def with_positions(self, positions: Float[Tensor, "atom xyz"]) -> "System":
        """The same pairs at other positions, float64: for derivatives and small displacements."""
        if positions.dtype != torch.float64 or positions.shape != self.positions.shape:
            raise InputError(
                f"positions of {len(self.positions)} atoms are needed in float64, "
                f"not {tuple(positions.shape)} in {positions.dtype}"
            )
        return replace(self, positions=positions)

    def strained(self, strain: Float[Tensor, "structure 3 3"]) -> "System":
        """The same pairs with positions and cells x turned into (1 + ε) x, differentiable in ε."""
        change = torch.eye(3).to(strain) + strain
        return replace(
            self,
            positions=torch.einsum("axy,ay->ax", change[self.structure], self.positions),
            cell=torch.einsum("sxy,svy->svx", change, self.cell),
        )

    def to(self, target: torch.dtype | torch.device | str) -> "System":
        """The same on another device, or with ``r_ij`` in another floating-point type."""
        if isinstance(target, torch.dtype):
            vectors = None if self.vectors is None else self.vectors.to(target)
            return replace(self, dtype=target, vectors=vectors)
        moved: dict[str, Any] = {
            name: value.to(target) for name, value in vars(self).items() if torch.is_tensor(value)
        }
        return replace(self, **moved)

    @classmethod
    def join(cls, systems: Sequence["System"]) -> "System":
        """All structures of several systems of one cutoff, one after another.

        Examples
        --------
        >>> one = System.from_atoms(ase.Atoms("B2", [(0, 0, 0), (0, 0, 1.6)]), cutoff=2.0)
        >>> System.join([one, one, one])
        System(3 structures, 6 atoms, 6 centers, 6 pairs)
        """
        kinds = {(system.cutoff, system.dtype, system.vectors is None) for system in systems}
        if len(kinds) != 1 or not all(between for *_, between in kinds):
            raise InputError("systems to join must have one cutoff, one type and no own vectors")

        def joined(name: str, counted: str | None = None) -> Tensor:
            parts, start = [], 0
            for system in systems:
                parts.append(getattr(system, name) + start)
                start += len(getattr(system, counted)) if counted else 0
            return torch.cat(parts)

        return replace(
            systems[0],
            positions=joined("positions"),
            species=joined("species"),
            cell=joined("cell"),
            structure=joined("structure", "cell"),
            centers=joined("centers", "positions"),
            i=joined("i", "centers"),
            j=joined("j", "positions"),
            shift=joined("shift"),
        )

    @staticmethod
    def centers_of(structures: Sequence[ase.Atoms]) -> Centers:
        """Centres that structures are made for: ``"info"`` where each of them names one.

        To be asked once, of all structures that a model or a run is made for, and kept: the
        energy of a structure must not depend on others that are in the same file.

        Examples
        --------
        >>> System.centers_of([ase.Atoms("B", info={"center": 0}), ase.Atoms("B")])
        'all'
        """
        return "info" if structures and all("center" in a.info for a in structures) else "all"

    @classmethod
    def from_atoms(
        cls,
        structures: ase.Atoms | Sequence[ase.Atoms],
        cutoff: float,
        *,
        centers: Centers | Iterable[Any] | Tensor = "all",
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
            ``"all"`` atoms, ``"info"`` for the atom that ``info["center"]`` names, or the
            atoms to take in every structure, as ``selection.chosen_of`` takes them. See
            ``centers_of``.
        dtype
            Of what is computed from the pairs.
        device
            Of all tensors.

        Raises
        ------
        InputError
            For a cutoff that is no radius, positions that are not finite, coinciding atoms, a
            centre that does not exist or is named twice, a cell that is tiny beside the cutoff,
            or a periodic direction without a cell vector or with one that lies in the plane of
            the others; names the structure.

        Examples
        --------
        >>> System.from_atoms(ase.Atoms("B3", [(0, 0, 0), (0, 0, 1.6), (0, 1.6, 0)]), 2.0)
        System(1 structures, 3 atoms, 3 centers, 4 pairs)
        """
        cutoff = check_cutoff(cutoff)
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

        cells = [atoms.cell.array * atoms.pbc.any() for atoms in batch]
        return cls(
            positions=tensor(positions, torch.float64),
            species=tensor(_joined([atoms.numbers for atoms in batch], (0,))),
            cell=tensor(_joined(cells, (0, 3)), torch.float64).view(-1, 3, 3),
            structure=tensor(structure),
            centers=tensor(chosen),
            i=tensor(i),
            j=tensor(j),
            shift=tensor(shift, torch.float64),
            cutoff=cutoff,
            dtype=dtype,
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
    batch: list[ase.Atoms], sizes: np.ndarray, centers: Centers | Iterable[Any] | Tensor
) -> np.ndarray:
    """The centres of all structures, atoms of the batch."""
    if isinstance(centers, str):
        if centers == "all":
            return np.arange(sizes.sum())
        if centers != "info":
            raise InputError(f"centers {centers!r} is neither 'all' nor 'info' nor a list of atoms")
        chosen = [
            np.array([center_of(atoms, f"structure {index}")]) for index, atoms in enumerate(batch)
        ]
    else:
        # what a list of atoms means depends on the number of atoms alone
        first_of_size = np.sort(np.unique(sizes, return_index=True)[1])
        of_size = {
            size: _chosen(index, size, centers)
            for index, size in zip(
                first_of_size.tolist(), sizes[first_of_size].tolist(), strict=True
            )
        }
        chosen = [of_size[size] for size in sizes.tolist()]
    first = sizes.cumsum() - sizes
    return _joined([atoms + start for atoms, start in zip(chosen, first, strict=True)], (0,))


def _chosen(index: int, size: int, centers: Iterable[Any] | Tensor) -> np.ndarray:
    """Centres of one structure, counted within it, each once."""
    try:
        atoms = chosen_of(centers, size, "center", "atoms").numpy()
    except InputError as error:
        raise InputError(f"structure {index}: {error}") from error
    if len(atoms) > 1:
        values, times = np.unique(atoms, return_counts=True)
        if (times > 1).any():
            raise InputError(f"structure {index}: center {values[times > 1][0]} is named twice")
    return atoms


def center_of(atoms: ase.Atoms, name: str = "structure", default: int | None = None) -> int:
    """The atom that ``info["center"]`` names.

    Parameters
    ----------
    atoms
        The structure.
    name
        What the message calls it.
    default
        The atom where none is named; if there is no default, one must be.

    Raises
    ------
    InputError
        If it names no atom of the structure; then the key has another meaning there.

    Examples
    --------
    >>> center_of(ase.Atoms("BN", info={"center": 1})), center_of(ase.Atoms("BN"), default=0)
    (1, 0)
    >>> center_of(ase.Atoms("BN", info={"center": "B1"}))
    Traceback (most recent call last):
    atomplete.errors.InputError: structure: 'center' in its info is 'B1', no atom's number
    """
    center = atoms.info.get("center", default)
    if center is None:
        raise InputError(f"{name}: no 'center' in its info")
    if not isinstance(center, int | np.integer) or isinstance(center, bool):
        raise InputError(f"{name}: 'center' in its info is {center!r}, no atom's number")
    if not 0 <= center < len(atoms):
        raise InputError(f"{name}: center {center} of {len(atoms)} atoms")
    return int(center)
