"""Structures with their labels, from which models are fitted: built once, batched by index."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from ase import Atoms
from jaxtyping import Bool, Float, Int
from torch import Tensor

from atomplete.data.properties import LabelKeys, Property, labels
from atomplete.errors import InputError
from atomplete.potentials.prediction import Property as PredictedProperty
from atomplete.runs.fingerprint import content_hash
from atomplete.system import Centers, System, center_of


class Split(NamedTuple):
    """Structures to train on and to validate with, in groups: pairs, or singles.

    Examples
    --------
    >>> Split.at_random(10, validation=2, seed=0).validation.shape
    torch.Size([2, 1])
    """

    train: Int[Tensor, "train member"]
    validation: Int[Tensor, "validation member"]

    @classmethod
    def at_random(cls, n: int, validation: int, seed: int) -> "Split":
        """Single structures, some of them drawn for validation; both parts are in order."""
        order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))[:, None]
        return cls(order[validation:].sort(0).values, order[:validation].sort(0).values)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Structures, periodic or not, with energies, forces and stresses; NaN where there is none.

    Attributes
    ----------
    structures
        The structures.
    energies
        (structure,), eV, float64.
    forces
        (atom, xyz) of all structures one after the other, eV/Å.
    stresses
        (structure, voigt), eV/Å³, in the order xx, yy, zz, yz, xz, xy.
    names
        What errors call the structures, such as ``"train.xyz, structure 3"``.

    Examples
    --------
    >>> dimers = [Atoms("B2", [(0, 0, 0), (0, 0, r)], info={"energy": -1.0}) for r in (1.5, 1.6)]
    >>> dataset = Dataset.from_structures(dimers)
    >>> dataset
    Dataset(2 structures; 2 energies, 0 forces, 0 stresses)
    >>> dataset.system(2.0)
    System(2 structures, 4 atoms, 4 centers, 4 pairs)
    """

    structures: Sequence[Atoms]
    energies: Float[Tensor, " structure"]
    forces: Float[Tensor, "atom xyz"]
    stresses: Float[Tensor, "structure voigt"]
    names: Sequence[str] = ()
    _systems: dict[tuple[float, Centers], System] = field(default_factory=dict, repr=False)

    def __repr__(self) -> str:
        counts = ", ".join(f"{int(has.sum())} {kind}" for kind, has in self.labelled.items())
        return f"Dataset({len(self)} structures; {counts})"

    def __len__(self) -> int:
        """Number of structures."""
        return len(self.structures)

    @classmethod
    def from_structures(
        cls,
        structures: Sequence[Atoms],
        keys: LabelKeys | None = None,
        *,
        energies: Float[Tensor, " structure"] | None = None,
        names: Sequence[str] = (),
    ) -> "Dataset":
        """Collect the labels that structures carry.

        Parameters
        ----------
        structures
            The structures.
        keys
            Where labels stand.
        energies
            (structure,), eV; wins over what the structures carry.
        names
            What errors call the structures; by default their number.

        Raises
        ------
        InputError
            For a label of a wrong shape, or one that is not finite; names the structure.
        """
        names = names or [f"structure {index}" for index in range(len(structures))]
        found: dict[Property, list[np.ndarray | None]] = {
            name: labels(structures, name, keys, names) for name in ("energy", "forces", "stress")
        }
        if energies is None:
            energies = torch.from_numpy(_filled(found["energy"], [()] * len(structures)))
        shapes = [(len(atoms), 3) for atoms in structures]
        return cls(
            structures,
            energies.double(),
            torch.from_numpy(_filled(found["forces"], shapes).reshape(-1, 3)),
            torch.from_numpy(_filled(found["stress"], [(6,)] * len(structures)).reshape(-1, 6)),
            names,
        )

    @classmethod
    def join(cls, sets: Sequence["Dataset"]) -> "Dataset":
        """Structures of several data sets, one set after the other, with their names."""
        structures = [atoms for part in sets for atoms in part.structures]
        names = [name for part in sets for name in part.names]
        return cls(
            structures,
            torch.cat([part.energies for part in sets]),
            torch.cat([part.forces for part in sets]),
            torch.cat([part.stresses for part in sets]),
            names if len(names) == len(structures) else (),
        )

    @cached_property
    def n_atoms(self) -> Int[Tensor, " structure"]:
        """Number of atoms of each structure."""
        return torch.tensor([len(atoms) for atoms in self.structures], dtype=torch.long)

    @cached_property
    def structure_of_atom(self) -> Int[Tensor, " atom"]:
        """The structure of each atom."""
        return torch.repeat_interleave(self.n_atoms)

    @cached_property
    def labelled(self) -> Mapping[str, Bool[Tensor, " structure"]]:
        """Structures that have energies, forces and stresses."""
        with_forces = torch.zeros(len(self), dtype=torch.bool)
        finite = self.forces.isfinite().all(1)
        with_forces[self.structure_of_atom[finite]] = True
        return {
            "energies": self.energies.isfinite(),
            "forces": with_forces,
            "stresses": self.stresses.isfinite().all(1),
        }

    @property
    def properties(self) -> tuple[PredictedProperty, ...]:
        """Properties that at least one structure has a label of; the energy in any case."""
        found: tuple[PredictedProperty, ...] = ("energy",)
        found += ("forces",) if self.labelled["forces"].any() else ()
        return found + (("stress",) if self.labelled["stresses"].any() else ())

    def select(self, structures: Int[Tensor, " chosen"]) -> "Dataset":
        """Some of the structures with their labels."""
        return Dataset(
            [self.structures[index] for index in structures.tolist()],
            self.energies[structures],
            self.forces[self.atoms_of(structures)],
            self.stresses[structures],
            [self.names[index] for index in structures.tolist()] if self.names else (),
        )

    def atoms_of(self, structures: Int[Tensor, " chosen"]) -> Int[Tensor, " atom"]:
        """The atoms of some structures, in the order given."""
        sizes = self.n_atoms[structures]
        first = (self.n_atoms.cumsum(0) - self.n_atoms)[structures]
        owner = torch.repeat_interleave(sizes)
        return first[owner] + torch.arange(len(owner)) - (sizes.cumsum(0) - sizes)[owner]

    def system(self, cutoff: float, centers: Centers = "all") -> System:
        """All structures as one record, float64; it is built once for each cutoff."""
        key = cutoff, centers
        if key not in self._systems:
            with self._naming():
                self._systems[key] = System.from_atoms(self.structures, cutoff, centers=centers)
        return self._systems[key]

    def composition(
        self, species: Sequence[int], centers: Centers = "all"
    ) -> Float[Tensor, "structure species"]:
        """Number of centres of each species in each structure, float64."""
        counted = [atoms.numbers for atoms in self.structures]
        if centers == "info":
            with self._naming():
                named = [
                    center_of(atoms, f"structure {k}") for k, atoms in enumerate(self.structures)
                ]
            counted = [numbers[[center]] for numbers, center in zip(counted, named, strict=True)]
        counts = [[np.count_nonzero(numbers == z) for z in species] for numbers in counted]
        return torch.tensor(counts, dtype=torch.float64).reshape(len(self), len(species))

    @cached_property
    def hash(self) -> str:
        """SHA-256 of structures and labels."""
        parts = self.energies, self.forces, self.stresses
        return content_hash(self.structures, [part.numpy() for part in parts])

    def require(self, property: str, structures: Int[Tensor, " chosen"]) -> None:
        """Refuse structures without labels of a kind: energies, forces or stresses.

        Raises
        ------
        InputError
            Naming the first of them.
        """
        missing = structures[~self.labelled[property][structures]]
        if len(missing):
            name = self.names[int(missing[0])] if self.names else f"structure {int(missing[0])}"
            raise InputError(f"{name}: no {property} to train on")

    @contextmanager
    def _naming(self) -> Iterator[None]:
        """Name structures in errors that give their number here."""
        try:
            yield
        except InputError as error:
            found = re.match(r"structure (\d+)(?=:)", str(error))
            if found is None or not self.names:
                raise
            name = self.names[int(found[1])]
            raise InputError(name + str(error)[found.end() :]) from error


def _filled(found: Sequence[np.ndarray | None], shapes: Sequence[tuple[int, ...]]) -> np.ndarray:
    """All labels one after the other, NaN for those that are missing."""
    parts = [
        np.full(shape, np.nan).ravel() if label is None else label.ravel()
        for label, shape in zip(found, shapes, strict=True)
    ]
    return np.concatenate(parts) if parts else np.zeros(0)
