"""Evaluation in chunks of centres, within a bound on memory that is known before it begins."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from atomplete.descriptors.base import Descriptor
from atomplete.descriptors.features import Features
from atomplete.descriptors.memory import (
    CHUNK_BYTES,
    LABEL_BYTES,
    MEMORY,
    OVERHEAD,
    Measurements,
    center_bytes,
    is_one_chunk,
)
from atomplete.errors import InputError
from atomplete.runs.progress import progress_of
from atomplete.system import System


@dataclass(frozen=True)
class Estimate:
    """Size of the features of some structures, and the memory that computing them takes.

    Attributes
    ----------
    n_rows, n_features
        Shape of the values; before a fit, the most features that the spec allows.
    disk
        Their size, bytes.
    memory
        The most that fitting and evaluation hold beside structures and pairs, bytes.
    chunk_bytes
        The part of it that a chunk of centres may take while it is evaluated.
    fit
        Words on the way of the fit, if there is one to be made.

    Examples
    --------
    >>> print(Estimate(49, 7344, disk=49 * 7344 * 8, memory=10**8, chunk_bytes=10**7))
    49 rows × 7344 features: 2.88 MB on disk, at most 100 MB in memory
    """

    n_rows: int
    n_features: int
    disk: int
    memory: int
    chunk_bytes: int
    fit: str = ""

    def __str__(self) -> str:
        return (
            f"{self.n_rows} rows × {self.n_features} features: {_size(self.disk)} on disk, "
            f"at most {_size(self.memory)} in memory{'; ' if self.fit else ''}{self.fit}"
        )


def estimate(descriptor: Descriptor, system: System, memory: int = MEMORY) -> Estimate:
    """Rows, features, disk and memory of featurizing ``system`` within ``memory`` bytes.

    A descriptor that needs a fit and has none is to be fitted to the same system.

    Raises
    ------
    InputError
        If it cannot be done within so little memory; names structure and atom.

    Examples
    --------
    >>> import ase
    >>> from atomplete.descriptors import ThreeCenterSpec, build
    >>> system = System.from_atoms([ase.Atoms("B2", [(0, 0, 0), (0, 0, 1.6)])] * 10, cutoff=2.0)
    >>> estimate(build(ThreeCenterSpec()), system).n_rows
    20
    """
    n_features = descriptor.n_features
    held = OVERHEAD + sum(buffer.nbytes for buffer in descriptor.buffers())
    held += LABEL_BYTES * n_features
    chunk_bytes, fit = min(CHUNK_BYTES, memory - held), None
    rows_of = descriptor.rows_per_center
    if descriptor.is_fitted and is_one_chunk(descriptor, system, rows_of, chunk_bytes):
        peak = held + chunk_bytes
    elif descriptor.is_fitted:
        with torch.no_grad():
            need = center_bytes(descriptor, system, rows_of, descriptor.measured)
        refuse_larger(system, need, memory - held)
        peak = held + min(int(need.sum()), max(chunk_bytes, int(need.max()) if len(need) else 0))
    else:
        fit = descriptor.cost_of_fit([system], memory)
        peak = max(fit.memory, held + chunk_bytes)
    n_rows = int(rows_of(system).sum())
    return Estimate(
        n_rows=n_rows,
        n_features=n_features,
        disk=n_rows * n_features * system.dtype.itemsize,
        memory=peak,
        chunk_bytes=chunk_bytes,
        fit=fit.way if fit else "",
    )


def split(
    function: Callable[[System], Any],
    system: System,
    chunk_bytes: int = CHUNK_BYTES,
    rows_of: Callable[[System], Int[Tensor, " center"]] | None = None,
    known: Measurements | None = None,
    numbers_per_row: int | None = None,
) -> list[System]:
    """Cut a system into runs of centres that take at most ``chunk_bytes`` in ``function``.

    A single centre that needs more is a chunk of its own. Structures keep their numbers.

    Parameters
    ----------
    function
        A descriptor, or anything that is made of the centres of a system.
    system
        Any number of structures.
    chunk_bytes
        Bound on the memory of one chunk.
    rows_of
        Number of rows of each centre: by default that of the descriptor, of other functions the
        square of the number of neighbours.
    known
        What was measured of the function before, by default that of the descriptor.
    numbers_per_row
        As in ``memory.center_bytes``.

    Examples
    --------
    >>> import ase
    >>> from atomplete.descriptors import ThreeCenterSpec, build
    >>> system = System.from_atoms([ase.Atoms("B2", [(0, 0, 0), (0, 0, 1.6)])] * 10, cutoff=2.0)
    >>> split(build(ThreeCenterSpec()), system, chunk_bytes=10_000_000)
    [System(10 structures, 20 atoms, 20 centers, 20 pairs)]
    """
    if rows_of is None:
        rows_of = getattr(function, "rows_per_center", _squared_counts)
    if len(system.centers) <= 1 or is_one_chunk(function, system, rows_of, chunk_bytes):
        return [system]
    if known is None:
        known = getattr(function, "measured", None)
    need = center_bytes(function, system, rows_of, known, numbers_per_row)
    return cut(system, need, chunk_bytes)


def cut(system: System, need: Int[Tensor, " center"], chunk_bytes: int) -> list[System]:
    """Cut a system into runs of centres whose needs add up to at most ``chunk_bytes``.

    A single centre that needs more is a chunk of its own.

    Examples
    --------
    >>> import ase
    >>> system = System.from_atoms([ase.Atoms("B2", [(0, 0, 0), (0, 0, 1.6)])] * 2, cutoff=2.0)
    >>> [len(part.centers) for part in cut(system, torch.tensor([1, 1, 5, 1]), chunk_bytes=3)]
    [2, 1, 1]
    """
    bounds, used = [0], 0
    for center, size in enumerate(need.tolist()):
        if used + size > chunk_bytes and center > bounds[-1]:
            bounds.append(center)
            used = 0
        used += size
    bounds.append(len(system.centers))
    return [system.select_centers(start, stop) for start, stop in pairwise(bounds)]


@torch.no_grad()
def run(
    descriptor: Callable[[System], Features],
    system: System,
    chunk_bytes: int = CHUNK_BYTES,
    *,
    progress: bool = False,
) -> Iterator[Features]:
    """Features of all centres, a chunk at a time and in order, without derivatives.

    Parameters
    ----------
    descriptor
        A descriptor that can be used, or a linear function of one.
    system
        Any number of structures; they keep their numbers.
    chunk_bytes
        Bound on the memory of one chunk.
    progress
        Whether to show how far it is.

    Examples
    --------
    >>> import ase
    >>> from atomplete.descriptors import ThreeCenterSpec, build
    >>> system = System.from_atoms([ase.Atoms("B2", [(0, 0, 0), (0, 0, 1.6)])] * 10, cutoff=2.0)
    >>> sum(len(part.values) for part in run(build(ThreeCenterSpec()), system, 10**6))
    20
    """
    parts = split(descriptor, system, chunk_bytes)
    with progress_of("features", len(parts), progress) as step:
        for part in parts:
            yield descriptor(part)
            step()


def concatenate(chunks: Sequence[Features]) -> Features:
    """Join features of consecutive runs of centres into one.

    Examples
    --------
    >>> import ase
    >>> from atomplete.descriptors import ThreeCenterSpec, build
    >>> system = System.from_atoms([ase.Atoms("B2", [(0, 0, 0), (0, 0, 1.6)])] * 10, cutoff=2.0)
    >>> concatenate(list(run(build(ThreeCenterSpec()), system, 10**6))).values.shape
    torch.Size([20, 7344])
    """
    if len(chunks) == 1:
        return chunks[0]
    sizes = torch.tensor([len(chunk.center_structure) for chunk in chunks])
    offsets = (sizes.cumsum(0) - sizes).tolist()
    return replace(
        chunks[0],
        values=torch.cat([chunk.values for chunk in chunks]),
        rows={name: torch.cat([chunk.rows[name] for chunk in chunks]) for name in chunks[0].rows},
        center_of_row=torch.cat(
            [chunk.center_of_row + offset for chunk, offset in zip(chunks, offsets, strict=True)]
        ),
        center_structure=torch.cat([chunk.center_structure for chunk in chunks]),
        center_atom=torch.cat([chunk.center_atom for chunk in chunks]),
        center_species=torch.cat([chunk.center_species for chunk in chunks]),
        weight=torch.cat([chunk.weight for chunk in chunks]),
    )


def refuse_larger(system: System, need: Int[Tensor, " center"], room: int) -> None:
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


def _squared_counts(system: System) -> Int[Tensor, " center"]:
    return system.neighbor_counts**2


def _size(size: int) -> str:
    """Number of bytes with three digits, in MB or GB."""
    return f"{size / 1e9:.3g} GB" if size >= 1e9 else f"{size / 1e6:.3g} MB"
