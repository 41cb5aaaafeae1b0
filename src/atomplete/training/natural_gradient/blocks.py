"""Rows of a structure's environments in dense tables, with derivatives in all positions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from atomplete.descriptors.random_fourier.environments import Environments
from atomplete.descriptors.random_fourier.random_fourier import RandomFourier
from atomplete.descriptors.random_fourier.rows import RowSlopes
from atomplete.system import System

#: Centres of one structure in a block, at most: a block has columns for all that they see.
CENTERS = 64

#: Tagged neighbours of the rows that are trained, at most. Pairs of them are so many that their
#: features stay as they were drawn; their coefficients are found in the end.
MOST_TAGGED = 1

#: Places in front of those of the atoms for the strain of the structure, as if it were three atoms.
STRAIN = 3


@dataclass(frozen=True, eq=False)
class LevelRows:
    """Rows with the same number of tagged neighbours; empty ones have no weight.

    Attributes
    ----------
    values, weight, by_places, weight_by_places
        As in ``RowSlopes``; a place is one of three rows of the strain, if it is asked for, or an
        atom.
    tagged, species
        Number of the choice of species of the tagged neighbours, and of the species of the centre.
    """

    values: Float[Tensor, "block row channel"]
    weight: Float[Tensor, "block row"]
    by_places: Float[Tensor, "block row place xyz channel"]
    weight_by_places: Float[Tensor, "block row place xyz"]
    tagged: Int[Tensor, "block row"]
    species: Int[Tensor, "block row"]


@dataclass(frozen=True, eq=False)
class Blocks:
    """Up to ``CENTERS`` centres of one structure each, and the atoms that they see.

    Attributes
    ----------
    structure
        (block,) position of the structure among those that are joined.
    atom
        (block, place) position of each atom in its structure, −1 for none; without the strain.
    levels
        Rows with 0 and with 1 tagged neighbour.
    """

    structure: Int[Tensor, " block"]
    atom: Int[Tensor, "block place"]
    levels: tuple[LevelRows, ...]

    @property
    def bytes(self) -> int:
        """Memory, nearly all of it for derivatives."""
        return sum(4 * level.by_places.numel() for level in self.levels)


def joined(parts: Sequence[Blocks]) -> Blocks:
    """Blocks of several structures as one, in their order."""
    n_places = max(part.atom.shape[1] for part in parts)
    strain = parts[0].levels[0].by_places.shape[2] - parts[0].atom.shape[1]
    structure = torch.cat([torch.full_like(p.structure, k) for k, p in enumerate(parts)])
    atom = torch.cat([_padded(p.atom, 1, n_places, -1) for p in parts])
    levels = []
    for of_level in zip(*(part.levels for part in parts), strict=True):
        n_rows = max(level.values.shape[1] for level in of_level)
        found = {}
        for name in vars(of_level[0]):
            padded = []
            for level in of_level:
                x = _padded(getattr(level, name), 1, n_rows, 0)
                # the strain stands in front, so that places are added at the end
                padded.append(_padded(x, 2, n_places + strain, 0) if "places" in name else x)
            found[name] = torch.cat(padded)
        levels.append(LevelRows(**found))
    return Blocks(structure, atom, tuple(levels))


def _padded(x: Tensor, axis: int, size: int, value: float) -> Tensor:
    missing = size - x.shape[axis]
    if not missing:
        return x
    shape = [*x.shape[:axis], missing, *x.shape[axis + 1 :]]
    return torch.cat([x, x.new_full(shape, value)], axis)


def blocks_of(
    descriptor: RandomFourier, system: System, block: Int[Tensor, " center"], *, strain: bool
) -> Blocks:
    """Blocks of a structure.

    Parameters
    ----------
    descriptor
        A fitted one.
    system
        One structure, in the dtype of the result.
    block
        Number of the species of each centre.
    strain
        Whether there are places for it.
    """
    n_strain = STRAIN if strain else 0
    tables = list(descriptor.row_slopes(system, MOST_TAGGED))
    n_centers, n_atoms = len(system.centers), len(system.positions)
    block_of = torch.arange(n_centers) // CENTERS
    n_blocks = -(-n_centers // CENTERS)
    # atoms that a block sees, and where they stand in it
    seen = torch.cat([block_of[system.i] * n_atoms + system.j, block_of * n_atoms + system.centers])
    codes = seen.unique()
    start = torch.searchsorted(codes, torch.arange(n_blocks) * n_atoms)
    place_of_code = torch.arange(len(codes)) - start[codes // n_atoms]
    n_places = int(place_of_code.max()) + 1
    atom = torch.full((n_blocks, n_places), -1)
    atom[codes // n_atoms, place_of_code] = codes % n_atoms

    def place(block: Tensor, atoms: Tensor) -> Tensor:
        return n_strain + place_of_code[torch.searchsorted(codes, block * n_atoms + atoms)]

    levels = []
    for n_tagged in range(MOST_TAGGED + 1):
        of_level = [(table, slopes[n_tagged]) for table, slopes in tables]
        counts = torch.zeros(n_centers, dtype=torch.long)
        for table, rows in of_level:
            counts[table.center] = rows.weight.shape[1]
        lone = (system.neighbor_counts == 0) & (n_tagged == 0)  # a row without a tag, of zeros
        counts[lone] = 1
        before = counts.cumsum(0) - counts
        first_of_block = torch.searchsorted(block_of, torch.arange(n_blocks))
        offset = before - before[first_of_block][block_of]
        n_rows = int((offset + counts).max())
        channels = descriptor.spec.levels[n_tagged].channels
        shape = n_blocks, n_rows
        new = system.r_ij.new_zeros
        level = LevelRows(
            new(*shape, channels), new(*shape), new(*shape, n_strain + n_places, 3, channels),
            new(*shape, n_strain + n_places, 3), torch.zeros(shape, dtype=torch.long),
            torch.zeros(shape, dtype=torch.long),
        )  # fmt: skip
        level.weight[block_of[lone], offset[lone]] = 1.0
        level.species[block_of[lone], offset[lone]] = block[lone]
        for table, rows in of_level:
            own = block_of[table.center]
            where = offset[table.center][:, None] + torch.arange(rows.weight.shape[1])
            _fill(level, system, table, rows, own, where, place, strain=strain)
            level.species[own[:, None], where] = block[table.center][:, None]
        levels.append(level)
    return Blocks(torch.zeros(n_blocks, dtype=torch.long), atom, tuple(levels))


def _fill(
    level: LevelRows,
    system: System,
    table: Environments,
    rows: RowSlopes,
    own: Int[Tensor, " environment"],
    where: Int[Tensor, "environment row"],
    place: Callable[[Tensor, Tensor], Tensor],
    *,
    strain: bool,
) -> None:
    """Put the rows of a table into their blocks."""
    own_row = own[:, None]
    level.values[own_row, where] = rows.values
    level.weight[own_row, where] = rows.weight
    level.tagged[own_row, where] = rows.species
    filled = table.pair < len(system.i)
    neighbors = torch.nn.functional.pad(system.j, (0, 1))[table.pair]
    # empty slots see nothing: all their derivatives are zero, wherever they are added
    neighbors = torch.where(filled, neighbors, system.centers[table.center][:, None])
    places = place(own_row.expand_as(neighbors), neighbors)
    center = place(own, system.centers[table.center])
    n_rows, n_places = level.by_places.shape[1:3]
    first = (own_row * n_rows + where) * n_places
    of_pairs = (first[..., None] + places[:, None]).flatten()
    of_centers = (first + center[:, None]).flatten()
    for source, target in (
        (rows.by_vectors, level.by_places),
        (rows.weight_by_vectors, level.weight_by_places),
    ):
        source = source * filled.view(len(own), 1, -1, 1, *[1] * (source.ndim - 4))
        flat = target.flatten(0, 2)
        flat.index_add_(0, of_pairs, source.flatten(0, 2))
        flat.index_add_(0, of_centers, -source.sum(2).flatten(0, 1))
        if strain:
            of_strain = (first[..., None] + torch.arange(STRAIN)).flatten()
            strained = torch.einsum("emx,erm...->erx...", table.r, source)
            flat.index_add_(0, of_strain, strained.flatten(0, 2))
