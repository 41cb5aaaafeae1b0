"""Faults of labelled data that a fit would not notice: each a warning that names structures."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from ase import Atoms
from ase.data import chemical_symbols

from atomplete.data.dataset import Dataset, Split
from atomplete.data.references import LEAST_SQUARES, References
from atomplete.errors import InputError
from atomplete.system import System

#: An atom whose next neighbour is further away is alone, Å.
ALONE = 6.0

#: Positions and cells that differ by less are the same, Å.
SAME = 1e-5

#: Structures and compositions that a warning names.
NAMED = 3


def label_warnings(dataset: Dataset, split: Split, references: References) -> list[str]:
    """Lines about labels that are missing, contradict each other or leave something open.

    Parameters
    ----------
    dataset
        Structures with labels.
    split
        Structures to train on and to validate with.
    references
        Reference energies that the fit starts from.

    Raises
    ------
    InputError
        For an element that no structure with a label has; names a structure with it.

    Examples
    --------
    >>> dimers = [
    ...     Atoms("B2", [(0, 0, 0), (0, 0, r)], info={"energy": r * r}) for r in (1.5, 1.6, 1.6)
    ... ]
    >>> both = Split(torch.tensor([[0], [1]]), torch.tensor([[2]]))
    >>> found = References(species=(5,), energies=(1.2,), origin=("least squares",))
    >>> label_warnings(Dataset.from_structures(dimers), both, found)
    ['DUPLICATES: structure 2 is structure 1 again, 1 of them in training and in validation']
    """
    _refuse_elements_without_labels(dataset)
    return [
        *_missing(dataset),
        *_unbound(dataset, references),
        *_not_fixed(dataset, references),
        *_only_validated(dataset, split),
        *_alone(dataset),
        *_duplicates(dataset, split),
    ]


def _refuse_elements_without_labels(dataset: Dataset) -> None:
    """Name the first structure with an element that has no label anywhere."""
    labelled = torch.stack(list(dataset.labelled.values())).any(0).tolist()
    if not any(labelled):
        return  # which the check of the loss says better
    known = _elements(dataset, [k for k, has in enumerate(labelled) if has])
    for k, atoms in enumerate(dataset.structures):
        unknown = sorted(set(atoms.numbers.tolist()) - known)
        if unknown:
            raise InputError(
                f"{_name(dataset, k)}: no structure with {_symbols(unknown)} has any label, "
                "so that nothing can be learnt of it; leave such structures out"
            )


def _missing(dataset: Dataset) -> Iterator[str]:
    for kind, has in dataset.labelled.items():
        # stresses are those of cells
        wanted = [k for k, a in enumerate(dataset.structures) if kind != "stresses" or a.pbc.all()]
        missing = [k for k in wanted if not has[k]]
        if has.any() and missing:
            yield f"MISSING: {kind} of {_names(dataset, missing)}"


def _unbound(dataset: Dataset, references: References) -> Iterator[str]:
    """Sign of energies relative to isolated atoms."""
    if LEAST_SQUARES in references.origin or not dataset.labelled["energies"].any():
        return
    energies = torch.tensor(references.energies, dtype=torch.float64)
    bound = dataset.energies - dataset.composition(references.species) @ energies
    above = (bound > 0).nonzero()[:, 0].tolist()
    if 2 * len(above) > int(bound.isfinite().sum()):
        yield (
            f"WARNING, sign of the energies: above those of their atoms in {len(above)} of "
            f"{int(bound.isfinite().sum())} structures, {_names(dataset, above)}"
        )


def _not_fixed(dataset: Dataset, references: References) -> Iterator[str]:
    """References that compositions leave open, where energies can be moved between species."""
    species = [
        z
        for z, origin in zip(references.species, references.origin, strict=True)
        if origin == LEAST_SQUARES
    ]
    labelled = dataset.labelled["energies"].nonzero()[:, 0]
    if not (species and len(labelled)):
        return
    composition = dataset.composition(species)[labelled]
    ratios = (composition / composition.sum(1, keepdim=True).clamp_min(1)).unique(dim=0)
    _, singular, axes = torch.linalg.svd(ratios)
    rank = int((singular > 1e-9 * singular[0]).sum())
    free = axes[rank:].abs().amax(0) > 1e-9 if rank < len(species) else torch.zeros(len(species))
    if free.any():
        open_ones = [z for z, is_free in zip(species, free, strict=True) if is_free]
        formulas = sorted({dataset.structures[k].symbols.formula.format("hill") for k in labelled})
        yield (
            f"NOT FIXED: reference energies of {_symbols(open_ones)}, by structures of "
            f"{_listed(formulas)} alone; energies of other compositions need isolated atoms in the "
            "file, or references"
        )


def _only_validated(dataset: Dataset, split: Split) -> Iterator[str]:
    train = split.train.flatten().tolist()
    known = _elements(dataset, train)
    rest = [
        k
        for k in split.validation.flatten().tolist()
        if set(dataset.structures[k].numbers.tolist()) - known
    ]
    if rest:
        unknown = sorted(_elements(dataset, rest) - known)
        yield (
            f"NOT TRAINED: {_symbols(unknown)}, which only structures for validation have: "
            f"{_names(dataset, rest)}"
        )


def _alone(dataset: Dataset) -> Iterator[str]:
    single = [k for k, atoms in enumerate(dataset.structures) if len(atoms) == 1]
    if single:
        pairs = System.from_atoms([dataset.structures[k] for k in single], ALONE).neighbor_counts
        found = [k for k, count in zip(single, pairs.tolist(), strict=True) if not count]
        if found:
            yield (
                f"ALONE: one atom without a neighbour within {ALONE:g} Å, in "
                f"{_names(dataset, found)}; config_type=isolated_atom makes its energy a reference"
            )


def _duplicates(dataset: Dataset, split: Split) -> Iterator[str]:
    """Structures that occur twice, and those of them whose labels differ."""
    alike: dict[bytes, list[int]] = defaultdict(list)
    for k, atoms in enumerate(dataset.structures):
        alike[_content(atoms)].append(k)
    again = [(first, k) for first, *rest in alike.values() for k in rest]
    if not again:
        return
    train = set(split.train.flatten().tolist())
    both = sum((first in train) != (k in train) for first, k in again)
    leaked = f", {both} of them in training and in validation" if both else ""
    named = [f"{_name(dataset, k)} is {_name(dataset, first)} again" for first, k in again]
    yield f"DUPLICATES: {_listed(named)}{leaked}"
    differ = [
        f"{_name(dataset, first)} and {_name(dataset, k)} ({difference:.3g} eV)"
        for first, k in again
        if (difference := abs(float(dataset.energies[first] - dataset.energies[k]))) > 1e-4
    ]
    if differ:
        yield f"WARNING, energies of the same structure differ: {_listed(differ)}"


def _content(atoms: Atoms) -> bytes:
    lengths = np.vstack([atoms.positions, atoms.cell.array * atoms.pbc[:, None]])
    parts = atoms.numbers, atoms.pbc, np.round(lengths / SAME).astype(np.int64)
    return b"".join(np.ascontiguousarray(part).tobytes() for part in parts)


def _elements(dataset: Dataset, structures: Sequence[int]) -> set[int]:
    return {int(z) for k in structures for z in dataset.structures[k].numbers}


def _symbols(species: Sequence[int]) -> str:
    return ", ".join(chemical_symbols[z] for z in species)


def _name(dataset: Dataset, index: int) -> str:
    return dataset.names[index] if dataset.names else f"structure {index}"


def _names(dataset: Dataset, structures: Sequence[int]) -> str:
    return _listed([_name(dataset, k) for k in structures])


def _listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return "; ".join(names[:NAMED]) + more
