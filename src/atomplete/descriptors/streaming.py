"""Evaluation in chunks of centres, within a memory bound."""

from collections.abc import Iterator
from dataclasses import replace

import torch
from jaxtyping import Int
from torch import Tensor

from atomplete.descriptors.chunks import CHUNK_BYTES, split
from atomplete.descriptors.density.density_correlations import DensityCorrelations
from atomplete.descriptors.features import Features
from atomplete.descriptors.nice.nice import Nice
from atomplete.descriptors.specs import (
    NiceSpec,
    RepresentationSpec,
    TaggedCorrelationsSpec,
    ThreeCenterSpec,
)
from atomplete.descriptors.tagged.tagged_correlations import TaggedCorrelations
from atomplete.descriptors.tagged.three_center import ThreeCenter
from atomplete.system import System

Representation = DensityCorrelations | ThreeCenter | TaggedCorrelations | Nice


def build(spec: RepresentationSpec) -> Representation:
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
    if isinstance(spec, NiceSpec):
        return Nice(spec)
    return DensityCorrelations(spec)


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
    >>> concatenate(list(stream(build(ThreeCenterSpec()), system, 10**6))).values.shape
    torch.Size([20, 7344])
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
