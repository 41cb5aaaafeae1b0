"""Labelled degenerate pairs: where they come from, and how they are split."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from ase import Atoms

from atomplete.data import (
    PairSplit,
    content_hash,
    energies,
    pair_structures,
    read_structures,
    split_pairs,
    write_structures,
)
from atomplete.data.dataset import Dataset, Split
from atomplete.degenerate.families.registry import generate
from atomplete.errors import InputError
from atomplete.labels import get_method, label_file
from atomplete.paper.datasets import DATASETS, dataset

#: Computed on the spot; ``pbe`` and other names of datasets come with the package.
METHODS = ("xtb",)


@dataclass(frozen=True, eq=False)
class LabelledPairs:
    """Structures with energies, in pairs, and the split that separates none.

    Attributes
    ----------
    structures
        Plus, minus, plus, minus, …
    energies
        (structure,), eV.
    ids
        (pair,) number of each pair in the paper's draw.
    split
        Training, validation and test pairs, as positions in ``ids``.
    dropped
        Pairs left out because a member has no label.
    """

    structures: list[Atoms]
    energies: torch.Tensor
    ids: np.ndarray
    split: PairSplit
    dropped: tuple[int, ...]

    def __repr__(self) -> str:
        return f"LabelledPairs({self.split!r}, {len(self.dropped)} dropped)"

    @classmethod
    def read(cls, path: Path, n_pairs: int, seed: int) -> "LabelledPairs":
        """Take the first ``n_pairs`` complete pairs of a labelled file."""
        structures = read_structures(path)
        reference = energies(structures, path)
        pairs = pair_structures(structures, path)
        kept = pairs.indices[:n_pairs].ravel()
        ids = pairs.ids[:n_pairs]
        split = split_pairs(ids, seed=seed)
        if min(len(split.validation), len(split.test)) < 2:
            raise InputError(f"{path}: {len(ids)} pairs are too few to have a spread in each part")
        return cls(
            structures=[structures[index] for index in kept],
            energies=torch.from_numpy(reference[kept]),
            ids=ids,
            split=split,
            dropped=pairs.dropped,
        )

    def check_species(self, known: Sequence[int], path: Path) -> None:
        """Refuse atoms that a representation does not know, before anything is computed."""
        for atoms in self.structures:
            unknown = sorted(set(atoms.numbers.tolist()) - set(known))
            if unknown:
                member = f"pair {atoms.info['pair_id']} {atoms.info['sign']}"
                raise InputError(
                    f"{path}, {member}: an atom of atomic number {unknown[0]}, but the "
                    f"representation knows {', '.join(map(str, known))}"
                )

    def check_forces(self, path: Path) -> None:
        """Refuse training pairs without forces, before anything is computed."""
        train = self.groups(self.split.train).flatten()
        bare = train[~self.dataset.labelled["forces"][train]]
        if len(bare):
            info = self.structures[int(bare[0])].info
            raise InputError(
                f"{path}, pair {info['pair_id']} {info['sign']}: no forces, on which the row best "
                "is trained; choose rows without it"
            )

    @cached_property
    def dataset(self) -> Dataset:
        """Structures with their energies and what forces there are."""
        return Dataset.from_structures(self.structures, energies=self.energies)

    @property
    def training_split(self) -> Split:
        """Structures of the training and of the validation pairs, (pair, 2)."""
        return Split(self.groups(self.split.train), self.groups(self.split.validation))

    @cached_property
    def hash(self) -> str:
        """SHA-256 of structures and energies."""
        return content_hash(self.structures, [self.energies.numpy()])

    @property
    def train_structures(self) -> list[Atoms]:
        """The structures of the training pairs."""
        return [self.structures[index] for index in self.groups(self.split.train).flatten()]

    def groups(self, pairs: np.ndarray) -> torch.Tensor:
        """(pair, 2): the structures of some pairs."""
        return torch.from_numpy(2 * pairs[:, None] + np.arange(2))


def labelled_file(labels: str, n_pairs: int, folder: Path, *, workers: int, progress: bool) -> Path:
    """The file of labelled pairs: made in ``folder`` if ``labels`` names a method.

    A name of a dataset stands for the one in the package. Pairs and labels that are in
    ``folder`` already are used again; a larger ``n_pairs`` adds to them.
    """
    if labels in DATASETS:
        return dataset(labels)
    if labels not in METHODS:
        if not Path(labels).is_file():
            known = ", ".join((*METHODS, *DATASETS))
            raise InputError(f"labels {labels}: neither one of {known} nor a file")
        return Path(labels)
    folder.mkdir(parents=True, exist_ok=True)
    output = folder / f"b8-{n_pairs}-{labels}.xyz"
    if not output.exists():
        pairs = folder / f"b8-{n_pairs}.xyz"
        write_structures(pairs, generate("b8", n_pairs))
        label_file(
            pairs,
            output,
            get_method(labels),
            workers=workers,
            journal=folder / f"{labels}.journal.jsonl",
            progress=progress,
        )
    return output
