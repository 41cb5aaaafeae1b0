"""Features of one environment or structure as functions of positions, with their Jacobian.

Searches and local analyses see every representation in this way: one row of numbers for each set
of positions, species fixed.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import torch
from ase import Atoms
from jaxtyping import Float
from torch import Tensor

from atomplete.degenerate.congruence.alignment import Floats
from atomplete.degenerate.congruence.congruence import Level
from atomplete.degenerate.congruence.environment import with_positions
from atomplete.degenerate.search.random_functions import RandomFunctions
from atomplete.descriptors import DensityCorrelations, Nice, Representation
from atomplete.errors import InputError
from atomplete.system import System

#: Anything that maps structures to numbers, (structure, feature).
Describe = Callable[[list[Atoms]], np.ndarray]

#: Step of central differences in double precision, Å: errors of the order of its square, or 1e-16
#: over it.
STEP = 2e-5

#: Bound on what the rows of one block of structures take in all directions, bytes.
_BLOCK_BYTES = 2e8


class FeatureMap(Protocol):
    """Features of many sets of positions.

    Attributes
    ----------
    template
        Species; at the environment level atom 0 is the centre.
    level
        "environment": positions are those of the neighbours, relative to the centre, which stays
        at the origin. "structure": of all atoms.
    """

    template: Atoms
    level: Level

    def __call__(self, positions: Floats) -> Floats:
        """(structure, feature) of (structure, atom, xyz) in Å."""

    def jacobian(self, positions: Floats) -> tuple[Floats, Floats]:
        """(structure, feature) and (structure, feature, coordinate), 1/Å."""


class RepresentationMap:
    """A representation of this package, differentiated by torch.

    Parameters
    ----------
    representation
        The representation; its contractions must have been fitted.
    template, level
        As in `FeatureMap`.
    seed
        Of the random functions, where there are rows to be summed; their scale is that of the
        features of the template.

    Raises
    ------
    InputError
        If there are rows to be summed, and the template has no positions that give them a scale.

    Examples
    --------
    >>> from atomplete.descriptors import NAMED, build
    >>> features = RepresentationMap(build(NAMED["power_spectrum"]), Atoms("BB"), "environment")
    >>> values, jacobian = features.jacobian(np.array([[[0.0, 0.0, 1.6]]]))
    >>> values.shape, jacobian.shape
    ((1, 84), (1, 84, 3))
    """

    def __init__(
        self, representation: Representation, template: Atoms, level: Level, seed: int = 0
    ) -> None:
        self.template, self.level = template, level
        self._representation = representation
        n_atoms = len(template)
        centers = range(1) if level == "environment" else range(n_atoms)
        pairs = [(i, j) for i in centers for j in range(n_atoms) if i != j]
        # all pairs, also beyond the cutoff, where they weigh nothing: positions may change
        self._one = System(
            positions=torch.zeros(n_atoms, 3, dtype=torch.float64),
            species=torch.tensor(template.numbers, dtype=torch.long),
            cell=torch.zeros(1, 3, 3, dtype=torch.float64),
            structure=torch.zeros(n_atoms, dtype=torch.long),
            centers=torch.arange(len(centers)),
            i=torch.tensor([i for i, _ in pairs], dtype=torch.long),
            j=torch.tensor([j for _, j in pairs], dtype=torch.long),
            shift=torch.zeros(len(pairs), 3, dtype=torch.float64),
        )
        one_row = isinstance(representation, DensityCorrelations | Nice) or not getattr(
            representation.spec, "n_tagged", 2
        )
        self._functions = None
        if not one_row or level == "structure":
            self._functions = RandomFunctions(representation, self._at(template.positions), seed)

    def __call__(self, positions: Floats) -> Floats:
        """(structure, feature) of (structure, atom, xyz)."""
        with torch.no_grad():
            blocks = [self._features(block).numpy() for block in self._blocks(positions)]
        return np.concatenate(blocks)

    def jacobian(self, positions: Floats) -> tuple[Floats, Floats]:
        """(structure, feature) and (structure, feature, coordinate)."""
        values, jacobians = zip(*map(self._jacobian, self._blocks(positions)), strict=True)
        return np.concatenate(values), np.concatenate(jacobians)

    def _blocks(self, positions: Floats) -> Sequence[Tensor]:
        n_directions = positions.shape[1] * 3
        need = int(self._representation.row_bytes(self._one).sum()) * n_directions
        return torch.from_numpy(positions).split(max(1, int(_BLOCK_BYTES // need)))

    def _jacobian(self, positions: Float[Tensor, "structure atom xyz"]) -> tuple[Floats, Floats]:
        """Forward mode as the derivative of reverse mode: Jᵀu is linear in u."""
        x = positions.clone().requires_grad_()
        values = self._features(x)
        u = torch.zeros_like(values, requires_grad=True)
        (product,) = torch.autograd.grad(values, x, u, create_graph=True)
        n = x[0].numel()
        directions = torch.eye(n, dtype=x.dtype).view(n, 1, *x.shape[1:]).expand(n, *x.shape)
        (columns,) = torch.autograd.grad(product, u, directions, is_grads_batched=True)
        return values.detach().numpy(), columns.permute(1, 2, 0).numpy()

    def _features(self, positions: Float[Tensor, "structure atom xyz"]) -> Tensor:
        system = self._at(positions)
        if self._functions is None:
            return self._representation(system).values
        return self._functions(system)

    def _at(self, positions: Float[Tensor, "structure atom xyz"] | np.ndarray) -> System:
        """Copies of the template, one for each set of positions."""
        positions = torch.as_tensor(positions, dtype=torch.float64).reshape(
            -1, *positions.shape[-2:]
        )
        if positions.shape[1] < len(self.template):
            positions = torch.cat([torch.zeros_like(positions[:, :1]), positions], 1)
        n, one = len(positions), self._one
        atom = torch.arange(n) * len(self.template)
        center = torch.arange(n) * len(one.centers)
        return replace(
            one,
            positions=positions.reshape(-1, 3),
            species=one.species.repeat(n),
            cell=one.cell.expand(n, 3, 3),
            structure=torch.arange(n).repeat_interleave(len(self.template)),
            centers=(atom[:, None] + one.centers).flatten(),
            i=(center[:, None] + one.i).flatten(),
            j=(atom[:, None] + one.j).flatten(),
            shift=one.shift.repeat(n, 1),
        )


class CallableMap:
    """Any function of structures, differentiated by central differences.

    Parameters
    ----------
    describe
        From a list of structures to numbers, (structure, feature).
    template, level
        As in `FeatureMap`; the centre is ``info["center"]``, 0.
    step
        Of the differences, Å.

    Examples
    --------
    >>> def distances(structures):
    ...     return np.array([np.sort(a.get_distances(0, [1, 2])) for a in structures])
    >>> features = CallableMap(distances, Atoms("OH2"), "environment")
    >>> features.jacobian(np.array([[[0.0, 0.0, 1.0], [0.0, 0.9, 0.0]]]))[1].round(6)[0]
    array([[0., 0., 0., 0., 1., 0.],
           [0., 0., 1., 0., 0., 0.]])
    """

    def __init__(
        self, describe: Describe, template: Atoms, level: Level, step: float = STEP
    ) -> None:
        self.template, self.level = template, level
        self._describe, self._step = describe, step

    def __call__(self, positions: Floats) -> Floats:
        """(structure, feature) of (structure, atom, xyz)."""
        structures = [with_positions(self.template, self.level, x) for x in positions]
        values = np.asarray(self._describe(structures), dtype=np.float64)
        if values.ndim != 2 or len(values) != len(structures):
            raise InputError(
                f"the representation gave an array of shape {values.shape} for "
                f"{len(structures)} structures, not ({len(structures)}, feature)"
            )
        bad = ~np.isfinite(values).all(axis=1)
        if bad.any():
            where = structures[int(bad.argmax())]
            raise InputError(
                f"the representation is not finite for {where.get_chemical_formula()} at "
                f"{where.positions.round(4).tolist()}"
            )
        return values

    def jacobian(self, positions: Floats) -> tuple[Floats, Floats]:
        """(structure, feature) and (structure, feature, coordinate)."""
        n, n_coordinates = len(positions), positions[0].size
        steps = self._step * np.eye(n_coordinates).reshape(-1, *positions.shape[1:])
        moved = [positions[:, None] + sign * steps for sign in (1, -1)]
        together = np.concatenate(
            [positions, *(m.reshape(-1, *positions.shape[1:]) for m in moved)]
        )
        values = self(together)
        forward, backward = values[n:].reshape(2, n, n_coordinates, -1)
        return values[:n], ((forward - backward) / (2 * self._step)).transpose(0, 2, 1)
