"""Feature maps by name: our own representations differentiated exactly, all else numerically."""

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from atomplete.audit.subjects.named import read_spec, subject_of
from atomplete.audit.subjects.subject import CannotDescribe, Scope
from atomplete.audit.subjects.subject import Describe as DescribeRows
from atomplete.audit.verdicts.diagnosis import FLOAT32_BITS, significant_bits
from atomplete.config import representation_spec
from atomplete.degenerate.congruence.congruence import Level
from atomplete.degenerate.congruence.environment import with_positions
from atomplete.degenerate.search.feature_map import (
    STEP,
    CallableMap,
    Describe,
    FeatureMap,
    RepresentationMap,
)
from atomplete.degenerate.search.random_functions import N_FUNCTIONS
from atomplete.descriptors import NAMED, Nice, RepresentationSpec, ThreeCenter, build
from atomplete.errors import InputError

# Step of central differences in single precision, Å.
_SINGLE_STEP = 5e-3


def own_spec(
    name: str, atoms: Atoms, cutoff: float | None, **basis: int | None
) -> RepresentationSpec | None:
    """The spec that a name of ours, or a YAML file, stands for; None for any other subject.

    Parameters
    ----------
    name
        One of ``descriptors.NAMED``, or a YAML file with a spec.
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
    given = read_spec(name)
    if given is None and name not in NAMED:
        return None
    spec = representation_spec(given or name, structures=[atoms], cutoff=cutoff, source=name)
    chosen = {key: value for key, value in basis.items() if value is not None}
    content = spec.model_dump()
    return representation_spec({**content, "expansion": {**content["expansion"], **chosen}})


def own_cutoff(name: str) -> float | None:
    """The cutoff that a YAML file with a spec names, Å, if it is such a file and names one.

    Examples
    --------
    >>> own_cutoff("power_spectrum") is None
    True
    """
    given = read_spec(name)
    if given is None or "cutoff" not in (given.get("expansion") or {}):
        return None
    return representation_spec(given, source=name).expansion.cutoff


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
    describe = subject.prepare(scope)
    try:
        positions = atoms.positions[1 if level == "environment" else 0 :]
        bits = significant_bits(describe([with_positions(atoms, level, positions)]))
    except CannotDescribe as error:
        raise InputError(str(error)) from error
    # the rounding of a difference, and what the third derivative adds, are then about as large
    step = STEP if bits > FLOAT32_BITS else _SINGLE_STEP
    return CallableMap(_one_row(describe), atoms, level, step)


def _one_row(describe: DescribeRows) -> Describe:
    """One row for each structure: of several, as of all atoms, a sum of random functions."""

    def of_structures(structures: list[Atoms]) -> np.ndarray:
        try:
            described: Sequence[np.ndarray] = describe(structures)
        except CannotDescribe as error:
            raise InputError(str(error)) from error
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
