"""Descriptors of this package as subjects, differentiated exactly."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

import numpy as np
import torch
from ase import Atoms
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from atomplete.audit.subjects.random_readout import RandomReadout
from atomplete.audit.subjects.subject import Basis, CannotDescribe, Rows, Scope, Subject
from atomplete.config import checked
from atomplete.degenerate.congruence.congruence import Group
from atomplete.degenerate.random_structures import random_environment
from atomplete.descriptors import Descriptor, DescriptorSpec, Features, concatenate, run
from atomplete.descriptors.memory import MEMORY, Measurements, center_bytes
from atomplete.errors import InputError
from atomplete.registry import build, registered
from atomplete.system import Centers, System
from atomplete.units import Cutoff

#: Radial functions by number of species, which multiply the channels; fewer where many channels
#: are multiplied: with two tagged neighbours, and at order four.
RADIAL = {1: 4, 2: 3, 3: 2}
RADIAL_OF_TYPE = {"three_center": {1: 3, 2: 2, 3: 2}, "nice": {1: 3, 2: 2, 3: 1}}

#: Width in Å of the smooth end of an environment.
CUTOFF_WIDTH = 0.3

#: Rows of the centres of a system.
Source = Callable[[System], Features]

# Copies of rows that are held while they are compared, about.
_COPIES = 8

# Bound on the memory of derivatives at a time, bytes.
_JACOBIAN_BYTES = 200 * 10**6


class DescriptorSubject(Subject):
    """A descriptor of this package, fitted if it has to be.

    A row of a centre is taken as it is if nothing is tagged, but for pseudoscalars, which under
    O(3) enter by the squares of random combinations. Rows of tagged neighbours enter by a
    `RandomReadout`: the plain sum of three-centre rows is the bispectrum, and no better.

    Parameters
    ----------
    descriptor
        The descriptor, with a cutoff of its own.
    name
        Of the subject; by default the type of the descriptor.
    group
        "O3", or "SO3" to keep the sign of pseudoscalars.
    dtype
        Of the computation.

    Examples
    --------
    >>> from atomplete.descriptors import NAMED, build
    >>> subject = DescriptorSubject(build(NAMED["power_spectrum"]))
    >>> pair = Atoms("B2", [(0, 0, 0), (0, 0, 1.6)], info={"center": 0})
    >>> ((rows, slopes),) = subject.jacobian([pair], Scope("environment", 2.0, (5,)))
    >>> rows.shape, slopes.shape
    ((1, 84), (1, 84, 2, 3))
    """

    group: Group = "O3"
    cutoff: float

    def __init__(
        self,
        descriptor: Descriptor,
        name: str | None = None,
        group: Group = "O3",
        dtype: torch.dtype = torch.float64,
        measured: dict[tuple[str, tuple[int, ...]], Measurements] | None = None,
    ) -> None:
        self.descriptor, self.group, self.dtype = descriptor, group, dtype
        # memory of a centre, by species: it does not depend on the cutoff
        self._measured = {} if measured is None else measured
        self.name = name or str(descriptor.spec.type)
        self.cutoff = descriptor.cutoff
        self._prepared: dict[tuple[int, ...], tuple[Source, RandomReadout, Measurements]] = {}

    def describe(self, structures: Sequence[Atoms], scope: Scope) -> list[Rows]:
        """Rows of the centre, or of all atoms, of each structure."""
        system = self._system(structures, scope)
        self._refuse_too_many(len(system.centers))
        source, readout, _ = self._of_species(scope.species)
        parts = [self._rows(features, readout) for features in run(source, system)]
        return [part.numpy() for part in torch.cat(parts).split(_sizes(system))]

    def _refuse_too_many(self, n_rows: int) -> None:
        """Raise CannotDescribe for rows that could not be held and compared within ``MEMORY``."""
        n_features = self.descriptor.n_features if self.descriptor.one_row_per_center else 0
        size = _COPIES * n_rows * n_features * self.dtype.itemsize
        if size > MEMORY:
            raise CannotDescribe(
                f"{self.name}: {n_rows} rows of {n_features} features take {size / 1e9:.2g} GB "
                f"while they are compared, more than {MEMORY / 1e9:g} GB"
            )

    def jacobian(
        self, structures: Sequence[Atoms], scope: Scope
    ) -> list[tuple[Rows, Float[np.ndarray, "row feature atom xyz"]]]:
        """Rows of each structure and their exact derivatives by positions, 1/Å."""
        source, _, measured = self._of_species(scope.species)
        first = self._system(structures[:1], scope)
        with torch.no_grad():
            of_centers = center_bytes(source, first, self.descriptor.rows_per_center, measured)
        need = int(of_centers.sum()) * 3 * len(structures[0])
        n = max(1, _JACOBIAN_BYTES // max(need, 1))
        found = []
        for start in range(0, len(structures), n):
            found += self._differentiated(structures[start : start + n], scope)
        return found

    def _differentiated(
        self, structures: Sequence[Atoms], scope: Scope
    ) -> list[tuple[Rows, Float[np.ndarray, "row feature atom xyz"]]]:
        """Forward mode as the derivative of reverse mode: Jᵀu is linear in u."""
        source, readout, _ = self._of_species(scope.species)
        system = self._system(structures, scope)
        x = system.positions.clone().requires_grad_()
        values = self._rows(source(system.with_positions(x)), readout)
        u = torch.zeros_like(values, requires_grad=True)
        (product,) = torch.autograd.grad(values, x, u, create_graph=True, materialize_grads=True)
        # structures share no atoms: one direction moves the same coordinate of all of them
        atoms = torch.bincount(system.structure, minlength=len(system.cell)).tolist()
        directions = torch.zeros(max(atoms), 3, len(x), 3, dtype=x.dtype)
        place = torch.cat([torch.arange(n) for n in atoms])
        for xyz in range(3):
            directions[place, xyz, torch.arange(len(x)), xyz] = 1.0
        (columns,) = torch.autograd.grad(
            product, u, directions.flatten(0, 1), is_grads_batched=True, materialize_grads=True
        )
        slopes = columns.unflatten(0, (-1, 3)).permute(2, 3, 0, 1).numpy()
        rows = values.detach().numpy()
        ends = np.cumsum(_sizes(system))[:-1]
        parts = zip(np.split(rows, ends), np.split(slopes, ends), atoms, strict=True)
        return [(row, slope[:, :, :n]) for row, slope, n in parts]

    def _system(self, structures: Sequence[Atoms], scope: Scope) -> System:
        centers: Centers = "info" if scope.level == "environment" else "all"
        return System.from_atoms(
            structures, self.descriptor.cutoff, centers=centers, dtype=self.dtype
        )

    def _of_species(self, species: tuple[int, ...]) -> tuple[Source, RandomReadout, Measurements]:
        if species not in self._prepared:
            self._prepared[species] = self._prepare(species)
        return self._prepared[species]

    def _prepare(self, species: tuple[int, ...]) -> tuple[Source, RandomReadout, Measurements]:
        """The descriptor or a linear function of it, a readout, and what memory was measured.

        Arguments of the random functions are of order one for random environments.
        """
        try:
            self.descriptor.measured = self._measured.setdefault(("rows", species), {})
            parts = list(run(self.descriptor, reference(species, self.cutoff)))
        except InputError as error:  # such as of species that it does not know
            raise CannotDescribe(f"{self.name}: {error}") from error
        rows = concatenate(parts).to(self.dtype)
        readout = RandomReadout(rows.even, rows.odd, self.group)
        source: Any = self.descriptor
        if not self.descriptor.one_row_per_center:
            source = self.descriptor.projected(readout.even, readout.odd)
            source.measured = self._measured.setdefault(("readout", species), {})
        return source, readout, {}

    def _rows(self, features: Features, readout: RandomReadout) -> Float[Tensor, "center feature"]:
        """One row of a centre."""
        if not self.descriptor.one_row_per_center:
            return readout.of_centers(features)
        if self.group == "SO3" or not len(readout.odd):
            return features.values
        return torch.cat([features.even, readout.signless(features.odd)], 1)


def reference(species: tuple[int, ...], cutoff: float) -> System:
    """Random environments of some species, of which descriptors have features of typical size.

    Examples
    --------
    >>> reference((1, 8), 3.0)
    System(8 structures, 56 atoms, 8 centers, 48 pairs)
    """
    return System.from_atoms(reference_environments(species, cutoff), cutoff, centers=[0])


def reference_environments(species: tuple[int, ...], cutoff: float) -> list[Atoms]:
    """Random environments of some species, of six neighbours each; atom 0 is the centre.

    Examples
    --------
    >>> len(reference_environments((1, 8), 3.0))
    8
    """
    return [
        random_environment((species * 7)[:7], 0.9 * cutoff, rng)
        for rng in map(np.random.default_rng, range(8))
    ]


def _sizes(system: System) -> list[int]:
    """Number of centres of each structure."""
    of_center = system.structure[system.centers]
    sizes: list[int] = torch.bincount(of_center, minlength=len(system.cell)).tolist()
    return sizes


class FittedChoices(BaseModel):
    """Choices of a user for a descriptor as it is."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    dtype: Literal["float32", "float64"] = "float64"
    group: Group = "O3"


class Choices(FittedChoices):
    """Choices of a user for a descriptor whose basis suits what is audited."""

    max_radial: int | None = Field(default=None, ge=1)
    max_angular: int | None = Field(default=None, ge=0)
    width: float | None = Field(default=None, gt=0)
    cutoff: Cutoff | None = None


class SpecSubject(Subject):
    """Descriptor of this package by its spec, in a basis that suits what is audited.

    One that needs a fit is fitted to random environments.

    Parameters
    ----------
    name
        Of the subject.
    content
        Spec as plain data; cutoff, species and basis, where it does not name them, are those of
        the scope.
    choices
        Basis, cutoff, dtype and group; these win.

    Raises
    ------
    InputError
        For a spec that is not understood.

    Examples
    --------
    >>> content = {"type": "density_correlations", "nu": [2]}
    >>> subject = SpecSubject("power_spectrum", content, Choices())
    >>> pair = Atoms("B2", [(0, 0, 0), (0, 0, 1.6)], info={"center": 0})
    >>> subject.describe([pair], Scope("environment", 2.0, (5,)))[0].shape
    (1, 40)
    """

    group: Group = "O3"

    def __init__(self, name: str, content: Mapping[str, Any], choices: Choices) -> None:
        self.name, self.content, self.choices = name, content, choices
        self.group = choices.group
        # not by lru_cache: what a cache of a method holds is freed late, and this may be large
        self._recent: dict[Scope, DescriptorSubject] = {}
        self._measured: dict[tuple[str, tuple[int, ...]], Measurements] = {}
        # refuses a wrong spec at once, and tells one that has a cutoff of its own
        cutoffs = {self._spec(Scope("environment", r, (6,))).cutoff for r in (5.0, 6.0)}
        self.cutoff = cutoffs.pop() if len(cutoffs) == 1 else None

    @classmethod
    def of(cls, name: str, content: Mapping[str, Any], options: Mapping[str, Any]) -> "SpecSubject":
        """Make one with options of a user: choices, or further fields of the spec."""
        chosen = {key: value for key, value in options.items() if key in Choices.model_fields}
        fields = {key: value for key, value in options.items() if key not in chosen}
        return cls(name, {**content, **fields}, checked(Choices, chosen, name))

    def describe(self, structures: Sequence[Atoms], scope: Scope) -> list[Rows]:
        """Rows of the centre, or of all atoms, of each structure."""
        return self._adapted(scope).describe(structures, scope)

    def jacobian(
        self, structures: Sequence[Atoms], scope: Scope
    ) -> list[tuple[Rows, Float[np.ndarray, "row feature atom xyz"]]]:
        """Rows of each structure and their exact derivatives by positions, 1/Å."""
        return self._adapted(scope).jacobian(structures, scope)

    def basis(self, scope: Scope) -> Basis | None:
        """Truncation of its basis in a scope; None for a spec without an expansion."""
        expansion = getattr(self._spec(scope), "expansion", None)
        if expansion is None:
            return None
        width, dtype = self.choices.width, self.choices.dtype
        return Basis(expansion.max_radial, expansion.max_angular, width, dtype)

    def n_features(self, scope: Scope) -> int:
        """Number of features of a row, before any readout and any fit."""
        return build(self._spec(scope)).n_features

    def at(self, basis: Basis) -> "SpecSubject":
        """Return the same descriptor in another basis."""
        update = {key: value for key, value in asdict(basis).items() if value is not None}
        return SpecSubject(self.name, self.content, self.choices.model_copy(update=update))

    def _spec(self, scope: Scope) -> DescriptorSpec:
        """The spec with a basis for the scope."""
        kind, _ = registered(Descriptor, str(self.content.get("type")))
        choices = self.choices.model_dump(exclude_none=True, exclude={"dtype", "group"})
        adapted = {"cutoff": scope.cutoff, "species": scope.species}
        if "expansion" not in kind.model_fields:
            known = {key: value for key, value in adapted.items() if key in kind.model_fields}
            return checked(kind, {**known, **self.content, **choices}, self.name)
        if "width" in choices:
            choices["radial"] = {"type": "gto", "density_width": choices.pop("width")}
        given = self.content.get("expansion", {})
        if isinstance(given, Mapping):  # anything else is refused below, by name
            radial = RADIAL_OF_TYPE.get(str(self.content.get("type")), RADIAL)
            defaults = {
                "max_radial": radial.get(len(scope.species), 1),
                "max_angular": 3,
                "radial": {"type": "laplacian"},
                "cutoff_function": {"type": "polynomial", "width": CUTOFF_WIDTH},
            }
            given = {**adapted, **defaults, **given, **choices}
        return checked(kind, {**self.content, "expansion": given}, self.name)

    def _adapted(self, scope: Scope) -> DescriptorSubject:
        """The descriptor for a scope; the last two are kept."""
        if scope not in self._recent:
            while len(self._recent) > 1:
                del self._recent[next(iter(self._recent))]
            self._recent[scope] = self._adapt(scope)
        return self._recent[scope]

    def _adapt(self, scope: Scope) -> DescriptorSubject:
        """The descriptor in a basis for the scope, fitted if it has to be."""
        descriptor: Descriptor = build(self._spec(scope))
        try:
            descriptor.fit([reference(scope.species, descriptor.cutoff)])
        except InputError as error:  # such as of species that it does not know
            raise CannotDescribe(f"{self.name}: {error}") from error
        dtype = getattr(torch, self.choices.dtype)
        return DescriptorSubject(descriptor, self.name, self.group, dtype, self._measured)
