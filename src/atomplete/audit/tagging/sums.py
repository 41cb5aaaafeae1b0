"""Rows of a subject for all choices of tagged neighbours, as sums of non-linear functions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from ase import Atoms
from jaxtyping import Float
from torch import Tensor

from atomplete.audit.subjects.random_readout import RandomReadout
from atomplete.audit.subjects.subject import Rows, Scope, Subject
from atomplete.audit.tagging.choices import Choices, Environment, tag_numbers
from atomplete.errors import InputError

# Copies of environments that are described, and differentiated, at once.
_AT_ONCE, _SLOPES_AT_ONCE = 512, 16

# Rows that differ by no more than this part of them are taken for the same.
_ALIKE = 1e-6


@dataclass(frozen=True)
class Functions:
    """Size of a sum: random cosines of rows, and their seed.

    Attributes
    ----------
    number
        Of cosines, for each number of tagged neighbours.
    frequency
        Standard deviation of their arguments over typical rows, about.
    seed
        Of frequencies and phases.
    """

    number: int = 128
    frequency: float = 1.0
    seed: int = 0


class TaggedSums:
    r"""Σ w cos(a · F + b) over all choices of n tagged neighbours, for n = 0 to ``tags``.

    F is the row of the subject where the tagged neighbours are species of their own, the same
    one or two whatever they were: a phase b of its own keeps their elements apart. The weight w
    is the product of smooth functions of their distances, which vanish at the cutoff.

    Parameters
    ----------
    subject
        Describes environments.
    tags
        Largest number of tagged neighbours.
    scope
        Cutoff of the environments and species of all atoms.
    reference
        Environments, of which rows have arguments of the size that ``functions`` asks for.
    functions
        The cosines.

    Raises
    ------
    InputError
        If no row changes where a neighbour is tagged.
    """

    def __init__(
        self,
        subject: Subject,
        tags: int,
        scope: Scope,
        reference: Sequence[Environment],
        functions: Functions = Functions(),
    ) -> None:
        basis = subject.basis(scope)  # that of the atoms as they are, not of more species
        self.subject = subject if basis is None else subject.at(basis)
        self.species, self.numbers = scope.species, tag_numbers(scope.species, tags)
        species = tuple(sorted((*scope.species, *self.numbers)))
        self.scope = Scope("environment", scope.cutoff, species)
        described = [self._typical(reference, n) for n in range(tags + 1)]
        self._refuse_blindness(reference, described)
        self._readouts: list[RandomReadout] = []
        typical = torch.zeros(0)  # there are always rows without a tag
        for n, rows in enumerate(described):
            typical = typical if rows is None else rows
            self._readouts.append(
                RandomReadout(
                    _spread(typical) / functions.frequency,
                    typical[:, :0],
                    n_functions=functions.number,
                    n_phases=len(scope.species) ** n,
                    seed=functions.seed,
                )
            )
        self.n_features = functions.number * (tags + 1)

    def values(self, atoms: Atoms, centers: Sequence[int]) -> Float[np.ndarray, "center function"]:
        """Sums of some centres of a structure, one number of tagged neighbours after another."""
        found = np.zeros((len(centers), self.n_features))
        for total, center in zip(found, centers, strict=True):
            environment = Environment.of(atoms, center, self.scope.cutoff)
            parts = total.reshape(len(self._readouts), -1)
            for n, readout in enumerate(self._readouts):
                for choices in self._choices(environment, n, _AT_ONCE):
                    rows, kind, weight = _tensors(choices, self._rows(choices))
                    parts[n] += (weight @ readout.cosines(rows, kind)).numpy()
        return found

    def slopes(
        self, atoms: Atoms, centers: Sequence[int]
    ) -> tuple[Float[np.ndarray, "center function"], Float[np.ndarray, "center function atom xyz"]]:
        """Sums of some centres, and their derivatives by the positions of all atoms, 1/Å."""
        values = np.zeros((len(centers), self.n_features))
        slopes = np.zeros((len(centers), self.n_features, len(atoms), 3))
        for place, center in enumerate(centers):
            environment = Environment.of(atoms, center, self.scope.cutoff)
            parts = [self._slopes(environment, n) for n in range(len(self._readouts))]
            total, found = (torch.cat(one) for one in zip(*parts, strict=True))
            values[place] = total.numpy()
            by_atom = torch.zeros(len(found), len(atoms), 3, dtype=torch.float64)
            origin = torch.from_numpy(environment.origin)
            slopes[place] = by_atom.index_add_(1, origin, found.unflatten(1, (-1, 3))).numpy()
        return values, slopes

    def _slopes(
        self, environment: Environment, n_tags: int
    ) -> tuple[Float[Tensor, " function"], Float[Tensor, "function coordinate"]]:
        """Sums over the choices of so many tagged neighbours, and their derivatives."""
        readout = self._readouts[n_tags]
        total = torch.zeros(readout.even.shape[1], dtype=torch.float64)
        slope = total.new_zeros(len(total), 3 * len(environment.atoms))
        for choices in self._choices(environment, n_tags, _SLOPES_AT_ONCE):
            described = self.subject.jacobian(choices.copies, self.scope)
            by_row = torch.from_numpy(np.concatenate([one for _, one in described])).flatten(2)
            found = np.concatenate([row for row, _ in described])
            rows, kind, weight = _tensors(choices, found)
            cosines = readout.cosines(rows, kind)
            total += weight @ cosines
            slope += readout.derivative_of_atoms(rows, kind, weight[:, None, None] * by_row)
            slope += cosines.T @ torch.from_numpy(choices.weight_slope(environment)).flatten(1)
        return total, slope

    def _choices(self, environment: Environment, n_tags: int, at_once: int) -> Iterator[Choices]:
        return Choices.of(environment, self.numbers[:n_tags], self.species).split(at_once)

    def _rows(self, choices: Choices) -> Rows:
        return np.concatenate(self.subject.describe(choices.copies, self.scope))

    def _typical(self, reference: Sequence[Environment], n_tags: int) -> Tensor | None:
        """Rows of all choices of so many tagged neighbours; None if there is no choice."""
        choices = [part for one in reference for part in self._choices(one, n_tags, _AT_ONCE)]
        rows = [self._rows(part).astype(np.float64) for part in choices]
        return torch.from_numpy(np.concatenate(rows)) if rows else None

    def _refuse_blindness(
        self, reference: Sequence[Environment], described: Sequence[Tensor | None]
    ) -> None:
        """Raise an InputError if a tagged neighbour changes no row."""
        plain, marked = described[:2]
        if plain is None or marked is None:
            return
        counts = torch.tensor([len(one.near) for one in reference])
        if torch.allclose(marked, plain.repeat_interleave(counts, 0), rtol=1e-9, atol=1e-12):
            raise InputError(
                f"{self.subject.name} knows no species: a tagged neighbour changes none of its "
                "features"
            )


def _spread(rows: Float[Tensor, "row feature"]) -> Float[Tensor, "row feature"]:
    """Deviations of rows from their mean, or the rows themselves if all are alike."""
    spread = rows - rows.mean(0)
    return rows if spread.norm() <= _ALIKE * rows.norm() else spread


def _tensors(choices: Choices, rows: Rows) -> tuple[Tensor, Tensor, Tensor]:
    """Rows, numbers of their phases and weights."""
    arrays = (rows.astype(np.float64), choices.kind, choices.weight)
    found, kind, weight = map(torch.from_numpy, arrays)
    return found, kind, weight
