"""Evaluation in chunks of centres, within a memory bound."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import torch
from jaxtyping import Int
from torch import Tensor

from atomplete.representations.density_correlations import DensityCorrelations
from atomplete.representations.features import Features
from atomplete.representations.specs import (
    DensityCorrelationsSpec,
    TaggedCorrelationsSpec,
    ThreeCenterSpec,
)
from atomplete.representations.tagged_correlations import TaggedCorrelations
from atomplete.representations.three_center import ThreeCenter
from atomplete.system import System

Representation = DensityCorrelations | ThreeCenter | TaggedCorrelations

#: Default bound on the memory of one chunk, bytes. Small chunks stay in cache and are faster.
CHUNK_BYTES = 64 * 2**20


def build(
    spec: DensityCorrelationsSpec | ThreeCenterSpec | TaggedCorrelationsSpec,
) -> Representation:
    """The representation that a spec describes.

    Examples
    --------
    >>> len(build(ThreeCenterSpec()).parity)
    7344
    """
    if isinstance(spec, ThreeCenterSpec):
        return ThreeCenter(spec)
    if isinstance(spec, TaggedCorrelationsSpec):
        return TaggedCorrelations(spec)
    return DensityCorrelations(spec)


def split(
    representation: Representation, system: System, chunk_bytes: int = CHUNK_BYTES
) -> list[System]:
    """Cut a system into runs of centres whose rows take at most ``chunk_bytes``.

    A single centre that needs more is a chunk of its own.

    Examples
    --------
    >>> import ase
    >>> system = System.from_atoms([ase.Atoms("B2", [(0, 0, 0), (0, 0, 1.6)])] * 10, cutoff=2.0)
    >>> split(build(ThreeCenterSpec()), system, chunk_bytes=6_000_000)
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


def stream(
    representation: Representation, system: System, chunk_bytes: int = CHUNK_BYTES
) -> Iterator[Features]:
    """Features of all centres, a chunk at a time and in order; structures keep their numbers.

    Parameters
    ----------
    representation
        The representation; its contractions must have been fitted.
    system
        Any number of structures.
    chunk_bytes
        Bound on the memory of one chunk.

    Examples
    --------
    >>> import ase
    >>> system = System.from_atoms([ase.Atoms("B2", [(0, 0, 0), (0, 0, 1.6)])] * 10, cutoff=2.0)
    >>> [len(part.values) for part in stream(build(ThreeCenterSpec()), system, 10**6)]
    [3, 3, 3, 3, 3, 3, 2]
    """
    for part in split(representation, system, chunk_bytes):
        yield representation(part)


def concatenate(chunks: list[Features]) -> Features:
    """Join features of consecutive runs of centres into one.

    Examples
    --------
    >>> import ase
    >>> system = System.from_atoms([ase.Atoms("B2", [(0, 0, 0), (0, 0, 1.6)])] * 10, cutoff=2.0)
    >>> concatenate(list(stream(build(DensityCorrelationsSpec(nu=(1,))), system)))
    Features(20 rows × 6 features, 0 odd; rows labelled by structure, center)
    """
    sizes = torch.tensor([len(chunk.center_structure) for chunk in chunks])
    offsets = (sizes.cumsum(0) - sizes).tolist()

    rows = {name: torch.cat([chunk.rows[name] for chunk in chunks]) for name in chunks[0].rows}
    center_of_row: Int[Tensor, " row"] = torch.cat(
        [chunk.center_of_row + offset for chunk, offset in zip(chunks, offsets, strict=True)]
    )
    return replace(
        chunks[0],
        values=torch.cat([chunk.values for chunk in chunks]),
        rows=rows,
        center_of_row=center_of_row,
        center_structure=torch.cat([chunk.center_structure for chunk in chunks]),
        center_atom=torch.cat([chunk.center_atom for chunk in chunks]),
        center_species=torch.cat([chunk.center_species for chunk in chunks]),
        weight=torch.cat([chunk.weight for chunk in chunks]),
    )
