"""Reference energies of atoms: isolated atoms, given ones, or least squares."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from ase import Atoms
from ase.data import chemical_symbols
from jaxtyping import Bool, Float, Int
from torch import Tensor

from atomplete.data.dataset import Dataset
from atomplete.errors import InputError

#: Energies of isolated atoms of a species that differ by less are one, eV.
SAME_ENERGY = 1e-4

GIVEN, ISOLATED, LEAST_SQUARES = "given", "isolated atom", "least squares"


@dataclass(frozen=True)
class References:
    """Energy of an atom of each species, relative to which energies are fitted.

    Attributes
    ----------
    species
        Atomic numbers.
    energies
        Energy of an atom of each, eV.
    origin
        Of each: "given", "isolated atom" or "least squares".

    Examples
    --------
    >>> print(References((1, 8), (-13.6, -75.0), ("isolated atom", "given")))
    H -13.6 eV (isolated atom), O -75 eV (given)
    """

    species: tuple[int, ...]
    energies: tuple[float, ...]
    origin: tuple[str, ...]

    def __str__(self) -> str:
        return ", ".join(
            f"{chemical_symbols[z]} {energy:.6g} eV ({origin})"
            for z, energy, origin in zip(self.species, self.energies, self.origin, strict=True)
        )

    def of(
        self, species: Sequence[int]
    ) -> tuple[Float[Tensor, " species"], Bool[Tensor, " species"]]:
        """Energies of some species, eV, and which of these are free to be fitted along.

        The free ones are zero, and so are those of species that are not among the references.
        """
        found = dict(zip(self.species, zip(self.energies, self.origin, strict=True), strict=True))
        free = torch.tensor([found.get(z, (0.0, ""))[1] == LEAST_SQUARES for z in species])
        energies = [found.get(z, (0.0, ""))[0] for z in species]
        return torch.tensor(energies, dtype=torch.float64).masked_fill(free, 0.0), free


def is_isolated_atom(atoms: Atoms) -> bool:
    """Whether a structure is one atom alone, by its size or its ``config_type``.

    Examples
    --------
    >>> is_isolated_atom(Atoms("H")), is_isolated_atom(Atoms("Si", cell=[2, 2, 2], pbc=True))
    (True, False)
    """
    named = str(atoms.info.get("config_type", "")).lower().replace("_", "") == "isolatedatom"
    return len(atoms) == 1 and (named or not atoms.pbc.any())


def find_references(
    dataset: Dataset,
    train: Int[Tensor, " train"],
    isolated: Sequence[Atoms] = (),
    isolated_energies: Sequence[float] = (),
    given: Mapping[str, float] | None = None,
) -> References:
    """Reference energies of all species of a data set.

    Energies that are given win over those of isolated atoms; species that have neither solve the
    least squares of what is left of the energies of the training structures.

    Parameters
    ----------
    dataset
        Structures with energies.
    train
        Those that are trained on.
    isolated, isolated_energies
        Isolated atoms and their energies, eV.
    given
        Energies by symbol, eV.

    Raises
    ------
    InputError
        For a given symbol that is no element, and isolated atoms of a species, none of which is
        given, with several energies, as of other charges.

    Examples
    --------
    >>> water = Atoms("H2O", [(0, 0, 0), (0, 0, 1), (0, 1, 0)], info={"energy": -13.0})
    >>> print(find_references(Dataset.from_structures([water]), torch.tensor([0]), given={"H": -1}))
    H -1 eV (given), O -11 eV (least squares)
    """
    known: dict[int, tuple[float, str]] = {}
    for atoms, energy in zip(isolated, isolated_energies, strict=True):
        symbol = str(atoms.symbols)
        first, _ = known.setdefault(int(atoms.numbers[0]), (energy, ISOLATED))
        if abs(energy - first) > SAME_ENERGY and symbol not in (given or {}):
            raise InputError(
                f"isolated atoms of {symbol} have the energies {first:.6g} and {energy:.6g} eV; "
                f"state one under references, or leave out the others"
            )
    for symbol, energy in (given or {}).items():
        if symbol not in chemical_symbols[1:]:
            raise InputError(f"reference energy of {symbol!r}, which is no element")
        known[chemical_symbols.index(symbol)] = (float(energy), GIVEN)
    species = tuple(sorted({int(z) for atoms in dataset.structures for z in atoms.numbers}))
    labelled = train[dataset.labelled["energies"][train]]
    composition, energies = dataset.composition(species)[labelled], dataset.energies[labelled]
    free = torch.tensor([z not in known for z in species])
    values = torch.tensor([known.get(z, (0.0,))[0] for z in species], dtype=torch.float64)
    if free.any() and len(labelled):
        left = energies - composition @ values
        values[free] = least_squares(composition[:, free], left[:, None])[:, 0]
    origin = tuple(known[z][1] if z in known else LEAST_SQUARES for z in species)
    return References(species, tuple(values.tolist()), origin)


def least_squares(
    inputs: Float[Tensor, "row column"], targets: Float[Tensor, "row target"]
) -> Float[Tensor, "column target"]:
    """Solution of least norm; torch's default driver rounds differently from call to call."""
    return torch.linalg.lstsq(inputs, targets, driver="gelsd").solution
