"""Feature maps by name: our own representations differentiated exactly, all else numerically."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from ase import Atoms

from atomplete.audit.subject import Describe as DescribeRows
from atomplete.audit.subject import Scope
from atomplete.audit.subjects import subject_of
from atomplete.config import representation_spec
from atomplete.degenerate.congruence import Level
from atomplete.degenerate.feature_map import (
    CallableMap,
    Describe,
    FeatureMap,
    RepresentationMap,
)
from atomplete.degenerate.random_functions import N_FUNCTIONS
from atomplete.errors import InputError
from atomplete.representations import NAMED, Nice, RepresentationSpec, ThreeCenter, build


def own_spec(
    name: str, atoms: Atoms, cutoff: float | None, **basis: int | None
) -> RepresentationSpec | None:
    """The spec that a name of ours, or a YAML file, stands for; None for any other subject.

    Parameters
    ----------
    name
        One of ``representations.NAMED``, or a YAML file with a spec.
    atoms
        Whose species are described, unless the spec names some.
    cutoff
        Radius of an environment, Å; by default that of the spec.
    **basis
        ``max_radial`` and ``max_angular``, where not None.

    Examples
    --------
    >>> spec = own_spec("power_spectrum", Atoms("CO"), cutoff=3.0, max_angular=5)
    >>> spec.expansion.species, spec.expansion.cutoff, spec.expansion.max_angular
    ((6, 8), 3.0, 5)
    >>> own_spec("dscribe:SOAP", Atoms("CO"), cutoff=3.0) is None
    True
    """
    given: Any = name
    if name.endswith((".yaml", ".yml")):
        try:
            given = yaml.safe_load(Path(name).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise InputError(f"{name}: cannot be read as a spec ({error})") from error
        if not isinstance(given, dict):
            raise InputError(f"{name}: not a spec (type: ...)")
    elif name not in NAMED:
        return None
    spec = representation_spec(given, structures=[atoms], cutoff=cutoff)
    chosen = {key: value for key, value in basis.items() if value is not None}
    content = spec.model_dump()
    return representation_spec({**content, "expansion": {**content["expansion"], **chosen}})


def feature_map(
    name: str, atoms: Atoms, level: Level, cutoff: float, **basis: int | None
) -> FeatureMap:
    """A representation by name, as a function of the positions of one structure.

    Parameters
    ----------
    name
        As for `own_spec`, or any other subject of an audit.
    atoms
        The structure; at the environment level the centre first and at the origin.
    level
        Of the description.
    cutoff
        Radius of an environment, Å.
    **basis
        ``max_radial`` and ``max_angular`` of our own representations.

    Raises
    ------
    InputError
        If the name is not understood, or the subject does not describe this level.

    Examples
    --------
    >>> feature_map("power_spectrum", Atoms("B2"), "environment", 2.0)(np.ones((1, 1, 3))).shape
    (1, 84)
    """
    spec = own_spec(name, atoms, cutoff, **basis)
    if spec is not None:
        representation = build(spec)
        if isinstance(representation, Nice) or (
            isinstance(representation, ThreeCenter)
            and (representation.even is not None or representation.radial is not None)
        ):
            raise InputError(f"{name}: its contractions would have to be fitted")
        return RepresentationMap(representation, atoms, level)
    if any(value is not None for value in basis.values()):
        raise InputError(f"{name}: options of the basis follow the name, as in NAME?n_max=6")
    subject = subject_of(name)
    if level not in subject.levels:
        raise InputError(f"{name} describes {' or '.join(subject.levels)}, not the {level} level")
    scope = Scope(level, cutoff, tuple(sorted(set(atoms.numbers.tolist()))))
    return CallableMap(_one_row(subject.prepare(scope)), atoms, level)


def _one_row(describe: DescribeRows) -> Describe:
    """One row for each structure: of several, as of all atoms, a sum of random functions."""

    def of_structures(structures: list[Atoms]) -> np.ndarray:
        described: Sequence[np.ndarray] = describe(structures)
        rng = np.random.default_rng(0)
        if max(map(len, described), default=0) <= 1:
            return np.concatenate(described).astype(np.float64)
        weights = rng.normal(size=(described[0].shape[1], N_FUNCTIONS))
        phases = rng.uniform(0, 2 * np.pi, N_FUNCTIONS)
        size = reference.setdefault("size", np.linalg.norm(described[0], axis=1).max() or 1.0)
        return np.array([np.cos(x @ weights / size + phases).sum(axis=0) for x in described])

    # of the first structure, and then the same for all
    reference: dict[str, float] = {}
    return of_structures
