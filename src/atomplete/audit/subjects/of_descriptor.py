"""Our own representations as subjects: density correlations, and functions of tagged rows."""

from collections.abc import Sequence
from functools import lru_cache
from math import pi
from typing import Any, Literal

import numpy as np
import torch
from ase import Atoms
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from atomplete.audit.subjects.subject import (
    CannotDescribe,
    Describe,
    Resolution,
    Rows,
    Scope,
    Subject,
)
from atomplete.config import representation_spec
from atomplete.degenerate.congruence.congruence import Group
from atomplete.degenerate.random_structures import random_environment
from atomplete.descriptors import (
    Features,
    Nice,
    Representation,
    RepresentationSpec,
    build,
    stream,
)
from atomplete.errors import InputError
from atomplete.system import Centers, System

#: Random functions of a row, and of the pseudoscalars of a centre.
N_FUNCTIONS = 32

#: Radial functions by number of species, which multiply the channels; fewer where many channels
#: are multiplied: with two tagged neighbours, and at order four.
RADIAL = {1: 4, 2: 3, 3: 2}
RADIAL_OF_TYPE = {"three_center": {1: 3, 2: 2, 3: 2}, "nice": {1: 3, 2: 2, 3: 1}}

#: Width in Å of the smooth end of an environment.
CUTOFF_WIDTH = 0.3

_CHUNK_BYTES = 64 * 2**20


class RepresentationChoices(BaseModel):
    """What a user may choose for one of our representations."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    max_radial: int | None = Field(default=None, ge=1)
    max_angular: int | None = Field(default=None, ge=0)
    width: float | None = Field(default=None, gt=0)
    cutoff: float | None = Field(default=None, gt=0)
    dtype: Literal["float32", "float64"] = "float64"
    group: Group = "O3"


def representation_subject(
    name: str, content: dict[str, Any], choices: RepresentationChoices
) -> Subject:
    r"""Return one of our representations as a subject.

    Density correlations (N = 0) are taken as they are. Rows of tagged neighbours enter by a fixed
    non-linear function, summed over the rows of a centre with the weight of each (see
    `Features.weight`): :math:`\sum_r w_r \cos(u_k \cdot x_r + b_k) \cos(v_k \cdot y_r)` with
    x_r the scalars and y_r the pseudoscalars of row r and random u, v, b of k = 1..32; the plain
    sum would see no more than densities do. Under "SO3" it is one cosine of all. Pseudoscalars
    of a centre enter as they are under "SO3", as squares of random combinations under "O3".

    Parameters
    ----------
    name
        Of the subject.
    content
        Spec as plain data; what its expansion does not name comes from the choices and, cutoff
        and species, from what is audited.
    choices
        Basis, dtype and group.

    Examples
    --------
    >>> content = {"type": "density_correlations", "nu": [2]}
    >>> subject = representation_subject("power_spectrum", content, RepresentationChoices())
    >>> describe = subject.prepare(Scope("environment", 2.0, (5,)))
    >>> describe([Atoms("B2", [(0, 0, 0), (0, 0, 1.6)], info={"center": 0})])[0].shape
    (1, 40)
    """
    _spec(content, choices, Scope("environment", 5.0, (6,)), name)  # refuse a wrong one at once

    @lru_cache(maxsize=8)
    def prepare(scope: Scope) -> Describe:
        spec = _spec(content, choices, scope, name)
        unknown = set(scope.species) - set(spec.expansion.species)
        if unknown:
            raise CannotDescribe(f"{name} does not know atomic number {min(unknown)}")
        return _Description(spec, choices, scope)

    def at(resolution: Resolution) -> Subject:
        # a key of the spec itself would win over the choices
        expansion = dict(content.get("expansion", {}))
        for key in ("max_radial", "max_angular", "radial"):
            expansion.pop(key, None)
        update = {
            "max_radial": resolution.max_radial,
            "max_angular": resolution.max_angular,
            "width": resolution.width or choices.width,
            "dtype": resolution.dtype,
        }
        return representation_subject(
            name, {**content, "expansion": expansion}, choices.model_copy(update=update)
        )

    return Subject(name, ("environment", "structure"), choices.group, prepare, "atomplete", at)


def _spec(
    content: dict[str, Any], choices: RepresentationChoices, scope: Scope, name: str
) -> RepresentationSpec:
    """The spec with a basis for the scope."""
    radial = RADIAL_OF_TYPE.get(str(content.get("type")), RADIAL)
    width = choices.width
    expansion = {
        "cutoff": choices.cutoff or scope.cutoff,
        "species": scope.species,
        "max_radial": choices.max_radial or radial.get(len(scope.species), 1),
        "max_angular": 3 if choices.max_angular is None else choices.max_angular,
        "radial": {"type": "laplacian"}
        if width is None
        else {"type": "gto", "density_width": width},
        "cutoff_function": {"type": "polynomial", "width": CUTOFF_WIDTH},
    }
    given = content.get("expansion", {})
    if isinstance(given, dict):  # anything else is refused below, by name
        given = {**expansion, **given}
    spec = representation_spec({**content, "expansion": given}, source=name)
    for key in ("components", "radial_components"):
        if spec.type == "three_center" and getattr(spec, key) is not None:
            raise InputError(f"{name}: {key} would have to be fitted; audit a fitted model.pt")
    return spec


class _Description:
    """A representation set up for a scope."""

    def __init__(
        self, spec: RepresentationSpec, choices: RepresentationChoices, scope: Scope
    ) -> None:
        self.spec, self.group, self.level = spec, choices.group, scope.level
        self.dtype = getattr(torch, choices.dtype)
        self.representation: Representation = build(spec)
        references = [
            random_environment((scope.species * 7)[:7], 0.9 * spec.expansion.cutoff, rng)
            for rng in map(np.random.default_rng, range(8))
        ]
        with torch.no_grad():
            system = System.from_atoms(references, spec.expansion.cutoff, centers=[0])
            if isinstance(self.representation, Nice):
                self.representation.fit([system])
            parts = stream(self.representation, system, _CHUNK_BYTES)
            self._fix_scales(next(parts))

    def _fix_scales(self, features: Features) -> None:
        """Random functions, with arguments of order one for random environments."""
        generator = torch.Generator().manual_seed(0)
        rows = features.values.shape[1]
        even_size, odd_size = (
            torch.linalg.vector_norm(part, dim=1).mean().clamp_min(1e-300)
            for part in (features.even, features.odd)
        )
        weights = torch.randn(rows, N_FUNCTIONS, generator=generator, dtype=torch.float64)
        self.even_weights = (weights[features.parity > 0] / even_size).to(self.dtype)
        self.odd_weights = (weights[features.parity < 0] / odd_size).to(self.dtype)
        phase = 2 * pi * torch.rand(N_FUNCTIONS, generator=generator, dtype=torch.float64)
        self.phase = phase.to(self.dtype)
        self.size = float(even_size)

    def __call__(self, structures: Sequence[Atoms]) -> list[Rows]:
        centers: Centers = "info" if self.level == "environment" else "all"
        cutoff = self.spec.expansion.cutoff
        system = System.from_atoms(structures, cutoff, centers=centers, dtype=self.dtype)
        with torch.no_grad():
            parts = [
                self._centers(part) for part in stream(self.representation, system, _CHUNK_BYTES)
            ]
        sizes = torch.bincount(system.structure[system.centers], minlength=len(structures))
        return [part.numpy() for part in torch.cat(parts).split(sizes.tolist())]

    def _centers(self, features: Features) -> Float[Tensor, "center feature"]:
        """One row of a centre."""
        if "neighbor_1" not in features.rows:
            return self._with_signless_odd(features)
        even_part = features.even @ self.even_weights + self.phase
        odd_part = features.odd @ self.odd_weights
        rows = (
            torch.cos(even_part + odd_part)
            if self.group == "SO3"
            else torch.cos(even_part) * torch.cos(odd_part)
        )
        total = rows.new_zeros(len(features.center_structure), N_FUNCTIONS)
        return total.index_add(0, features.center_of_row, features.weight[:, None] * rows)

    def _with_signless_odd(self, features: Features) -> Float[Tensor, "center feature"]:
        if self.group == "SO3" or not len(self.odd_weights):
            return features.values
        squares = (features.odd @ self.odd_weights).square()
        return torch.cat([features.even, self.size * squares], 1)
