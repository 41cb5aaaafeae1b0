"""Data of a fit: structures to train on and to validate with, and isolated atoms."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from ase import Atoms

from atomplete.data import read_structures
from atomplete.data.dataset import Dataset, Split
from atomplete.data.references import is_isolated_atom
from atomplete.errors import InputError
from atomplete.training.options import TrainOptions

#: Structures to validate with where no number is given, at most.
VALIDATION = 50


@dataclass(frozen=True, eq=False)
class FitData:
    """Structures of a fit.

    Attributes
    ----------
    dataset
        All of them, without isolated atoms.
    split
        Those to train on, and those to validate with.
    isolated
        Isolated atoms with energies.
    """

    dataset: Dataset
    split: Split
    isolated: Dataset

    @classmethod
    def read(
        cls, source: Path | Sequence[Atoms], options: TrainOptions, least: int = 1
    ) -> "FitData":
        """Structures of a file or a list, at least so many of them for validation.

        Raises
        ------
        InputError
            If they are too few, or cannot be read.
        """
        keys, name = options.keys(), name_of(source)
        if isinstance(source, Path):
            structures = read_structures(source)
            names = [f"{source}, structure {index}" for index in range(len(structures))]
        else:
            structures = list(source)
            names = [f"structure {index}" for index in range(len(structures))]
        n_train = len(structures)
        if options.validation is not None:
            added = read_structures(options.validation)
            structures = structures + added
            names += [f"{options.validation}, structure {index}" for index in range(len(added))]
        alone = [is_isolated_atom(atoms) for atoms in structures]
        isolated = [index for index, is_alone in enumerate(alone) if is_alone]
        kept = [index for index, is_alone in enumerate(alone) if not is_alone]
        n_train -= sum(alone[:n_train])

        def part(chosen: list[int]) -> Dataset:
            return Dataset.from_structures(
                [structures[index] for index in chosen],
                keys,
                names=[names[index] for index in chosen],
            )

        references = part(isolated)
        references = references.select(references.labelled["energies"].nonzero()[:, 0])
        if len(kept) < 1 + least:
            raise InputError(
                f"{name}: {len(kept)} structures are too few to fit and to validate with"
            )
        dataset = part(kept)
        if options.validation is not None:
            every = torch.arange(len(kept))[:, None]
            return cls(dataset, Split(every[:n_train], every[n_train:]), references)
        fraction = options.validation_fraction or min(0.1, VALIDATION / len(kept))
        number = min(max(least, round(fraction * len(kept))), len(kept) - 1)
        return cls(dataset, Split.at_random(len(kept), number, options.seed), references)

    def joined(self, more: "FitData") -> "FitData":
        """These and others, each in the part where it was."""
        train, validation = (
            torch.cat([ours, theirs + len(self.dataset)])
            for ours, theirs in zip(self.split, more.split, strict=True)
        )
        return FitData(
            Dataset.join([self.dataset, more.dataset]),
            Split(train, validation),
            Dataset.join([self.isolated, more.isolated]),
        )


def name_of(source: Path | Sequence[Atoms]) -> str:
    """Name of data, for messages."""
    return str(source) if isinstance(source, Path) else f"{len(source)} structures"
