"""Choices of tagged neighbours of one centre: copies of its environment, with weights."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import torch
from ase import Atoms
from jaxtyping import Float, Int

from atomplete.radial import PolynomialCutoff
from atomplete.system import System

# A periodic structure is cut out within so many cutoffs of the centre: packages also see the tails
# of densities that are centred beyond the cutoff.
_REACH = 2.0

_HEAVIEST = 118


@dataclass(frozen=True)
class Environment:
    """A centre in atoms that are not periodic, and the neighbours that may be tagged.

    In a periodic structure, images of an atom are atoms here, so that each can be tagged alone.

    Attributes
    ----------
    atoms
        The centre, named in the info, and what is around it.
    origin
        (atom,) the atom of the structure that each is, or is an image of.
    near
        (neighbor,) atoms nearer than the cutoff, increasing, without the centre.
    weight
        (neighbor,) 1 at the centre, 0 from the cutoff on, with two continuous derivatives.
    weight_slope
        (neighbor, xyz) its derivative in the vector from the centre, 1/Å.

    Examples
    --------
    >>> chain = Atoms("C", cell=[1.5, 0, 0], pbc=(True, False, False))
    >>> found = Environment.of(chain, 0, cutoff=2.0)
    >>> found.origin.tolist(), found.near.tolist()
    ([0, 0, 0, 0, 0], [2, 3])
    """

    atoms: Atoms
    origin: Int[np.ndarray, " atom"]
    near: Int[np.ndarray, " neighbor"]
    weight: Float[np.ndarray, " neighbor"]
    weight_slope: Float[np.ndarray, "neighbor xyz"]

    @classmethod
    def of(cls, structure: Atoms, center: int, cutoff: float) -> "Environment":
        """Cut it out of a structure; ``cutoff`` is that of the tagged neighbours, Å."""
        reach = _REACH * cutoff if structure.pbc.any() else cutoff
        system = System.from_atoms([structure], reach, centers=[center])
        vectors, origin = system.r_ij, system.j.numpy()
        if structure.pbc.any():
            positions = np.concatenate([np.zeros((1, 3)), vectors.numpy()])
            origin, listed, place = np.insert(origin, 0, center), 1 + np.arange(len(origin)), 0
        else:  # whole: some packages see beyond the cutoff
            positions, listed, place = structure.positions, origin, center
            origin = np.arange(len(structure))
        atoms = Atoms(structure.numbers[origin], positions, info={"center": place})
        inside = torch.linalg.vector_norm(vectors, dim=1) < cutoff
        r = vectors[inside].requires_grad_()
        weight = PolynomialCutoff(width=cutoff)(torch.linalg.vector_norm(r, dim=1), cutoff)
        (slope,) = torch.autograd.grad(weight.sum(), r)
        near = listed[inside.numpy()]
        return cls(atoms, origin, near, weight.detach().numpy(), slope.numpy())


@dataclass(frozen=True)
class Choices:
    """Copies of an environment, one for each choice of tagged neighbours, in all orders.

    Attributes
    ----------
    copies
        With the tagged neighbours as species of their own, the first tag first.
    tagged
        (choice, tag) positions in ``near`` of the environment.
    kind
        (choice,) number that stands for the species of the tagged neighbours.
    weight
        (choice,) product of the weights of the tagged neighbours.

    Examples
    --------
    >>> water = Atoms("OH2", [(0, 0, 0), (0, 0, 1), (0, 1, 0)])
    >>> choices = Choices.of(Environment.of(water, 0, 1.5), (117, 118), species=(1, 8))
    >>> [str(copy.symbols) for copy in choices.copies]
    ['OTsOg', 'OOgTs']
    """

    copies: list[Atoms]
    tagged: Int[np.ndarray, "choice tag"]
    kind: Int[np.ndarray, " choice"]
    weight: Float[np.ndarray, " choice"]

    @classmethod
    def of(cls, environment: Environment, tags: Sequence[int], species: Sequence[int]) -> "Choices":
        """All choices of as many neighbours as there are atomic numbers of tags; one of none."""
        n_near, n_tags = len(environment.near), len(tags)
        choices = list(permutations(range(n_near), n_tags))
        tagged = np.array(choices, dtype=np.int64).reshape(len(choices), n_tags)
        numbers = environment.atoms.numbers[environment.near]
        digits = np.searchsorted(np.asarray(species), numbers)[tagged]
        kind = digits @ len(species) ** np.arange(n_tags, dtype=np.int64)
        copies = []
        for choice in tagged:
            copy = environment.atoms.copy()
            copy.numbers[environment.near[choice]] = tags
            copies.append(copy)
        return cls(copies, tagged, kind, environment.weight[tagged].prod(axis=1))

    def split(self, n: int) -> Iterator["Choices"]:
        """The same, no more than ``n`` at a time."""
        for start in range(0, len(self.copies), n):
            part = slice(start, start + n)
            yield Choices(self.copies[part], self.tagged[part], self.kind[part], self.weight[part])

    def weight_slope(self, environment: Environment) -> Float[np.ndarray, "choice atom xyz"]:
        """Derivatives of the weights by the positions of all atoms of the environment, 1/Å."""
        found = np.zeros((len(self.tagged), len(environment.atoms), 3))
        choice = np.arange(len(self.tagged))
        for tag in range(self.tagged.shape[1]):
            others = np.delete(self.tagged, tag, axis=1)
            product = environment.weight[others].prod(axis=1)
            slope = product[:, None] * environment.weight_slope[self.tagged[:, tag]]
            found[choice, environment.near[self.tagged[:, tag]]] += slope
            found[:, environment.atoms.info["center"]] -= slope
        return found


def tag_numbers(species: Sequence[int], n_tags: int) -> tuple[int, ...]:
    """Atomic numbers for tagged neighbours: the heaviest that no atom has, increasing.

    Examples
    --------
    >>> tag_numbers((1, 6, 118), 2)
    (116, 117)
    """
    free = [number for number in range(_HEAVIEST, 0, -1) if number not in species]
    return tuple(sorted(free[:n_tags]))
