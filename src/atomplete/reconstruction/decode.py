"""Structures whose features are nearest to given ones: midpoints, paths and means."""

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from jaxtyping import Float

from atomplete.audit.search.starts import Limits
from atomplete.audit.subjects.subject import Scope, Subject
from atomplete.errors import InputError
from atomplete.reconstruction.features import Effort, from_features
from atomplete.reconstruction.solution import Reconstruction


def decode(
    subject: Subject,
    structures: Sequence[Atoms],
    weights: Float[np.ndarray, "result structure"],
    limits: Limits,
    *,
    effort: Effort | None = None,
    seed: int = 0,
) -> list[Reconstruction]:
    """Decode weighted means of the features of environments of the same atoms.

    Means of features are rarely the features of a structure: ``nearest`` of a result is what comes
    nearest, and ``residual`` is how near that is.

    Parameters
    ----------
    subject
        Any subject that gives one row for an environment.
    structures
        Environments of the same species in the same order, the centre first.
    weights
        For each result, the weights of the structures: [[0.5, 0.5]] is the midpoint of two,
        [[1, 0], [0.5, 0.5], [0, 1]] a path, equal weights of all a mean.
    limits
        Distances that results keep; the longest is the cutoff.
    effort
        How long to look, for each result.
    seed
        Of all that is random.

    Raises
    ------
    InputError
        If the structures are not of the same atoms, or there are not as many weights.

    Examples
    --------
    >>> from atomplete.audit import subject_of
    >>> bonds = [Atoms("OH", [(0, 0, 0), (0, 0, r)], info={"center": 0}) for r in (1.0, 1.2)]
    >>> ends = decode(subject_of("power_spectrum"), bonds, np.eye(2), Limits(0.5, 2.0))
    >>> [round(float(found.nearest.get_distance(0, 1)), 6) for found in ends]
    [1.0, 1.2]
    """
    numbers = structures[0].numbers.tolist() if structures else []
    for index, atoms in enumerate(structures):
        if atoms.numbers.tolist() != numbers:
            raise InputError(f"structure {index} has other atoms than structure 0")
    weights = np.atleast_2d(np.asarray(weights, dtype=np.float64))
    if not structures or weights.shape[1] != len(structures):
        raise InputError(f"{weights.shape[1]} weights for {len(structures)} structures")
    scope = Scope("environment", limits.longest, tuple(sorted(set(numbers))))
    rows = np.concatenate(subject.describe(structures, scope))
    if len(rows) != len(structures):
        raise InputError(f"{subject.name} gives no single row for an environment")
    return [
        from_features(subject, mean[None], [numbers], limits, effort=effort, seed=seed)
        for mean in weights @ rows
    ]
