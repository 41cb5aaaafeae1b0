"""Runs of centres whose features fit a bound on memory."""

from itertools import pairwise
from typing import Protocol, runtime_checkable

from jaxtyping import Int
from torch import Tensor

from atomplete.errors import InputError
from atomplete.system import System

#: Default bound on the memory of one chunk, bytes. Small chunks stay in cache and are faster.
CHUNK_BYTES = 64 * 2**20

#: Default bound on what fitting and evaluation hold beside structures and pairs, bytes.
MEMORY = 2 * 10**9

#: What allocators and matrix products hold beside tensors, bytes.
OVERHEAD = 100 * 10**6


@runtime_checkable
class Rows(Protocol):
    """Anything that says how much memory the rows of each centre take."""

    def row_bytes(self, system: System) -> Int[Tensor, " center"]:
        """Bytes that each centre's rows take while they are computed."""


def split(representation: Rows, system: System, chunk_bytes: int = CHUNK_BYTES) -> list[System]:
    """Cut a system into runs of centres whose rows take at most ``chunk_bytes``.

    A single centre that needs more is a chunk of its own.

    Examples
    --------
    >>> import ase
    >>> from atomplete.descriptors import ThreeCenterSpec, build
    >>> system = System.from_atoms([ase.Atoms("B2", [(0, 0, 0), (0, 0, 1.6)])] * 10, cutoff=2.0)
    >>> split(build(ThreeCenterSpec()), system, chunk_bytes=10_000_000)
    [System(10 structures, 20 atoms, 20 centers, 20 pairs)]
    """
    need = representation.row_bytes(system)
    bounds, used = [0], 0
    for center, size in enumerate(need.tolist()):
        if used + size > chunk_bytes and center > bounds[-1]:
            bounds.append(center)
            used = 0
        used += size
    bounds.append(len(need))
    return [system.select_centers(start, stop) for start, stop in pairwise(bounds)]


def check_centers(system: System, need: Int[Tensor, " center"], room: int) -> None:
    """Refuse a centre whose rows alone take more than ``room`` bytes.

    Raises
    ------
    InputError
        Naming structure and atom.
    """
    if len(need) == 0 or int(need.max()) <= room:
        return
    center = int(need.argmax())
    structure = int(system.structure[system.centers[center]])
    atom = int(system.centers[center] - system.first_atom[structure])
    raise InputError(
        f"structure {structure}: the rows of atom {atom} with "
        f"{int(system.neighbor_counts[center])} neighbours take {int(need[center]) / 1e9:.2g} GB "
        f"while they are computed, but {max(room, 0) / 1e9:.2g} GB of memory are left for them; "
        "allow more memory, contract radial channels first, or shorten the cutoff"
    )
