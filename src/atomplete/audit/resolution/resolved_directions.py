"""Number of directions of motion that a descriptor resolves around one structure.

An invariant function of n neighbours of a fixed centre can resolve 3n − 3 directions, one of n
atoms 3n − 6: all but rotations (and translations). Where the structure has symmetries, derivatives
along all but totally symmetric displacements vanish for any invariant function. What vanishes
beyond that is spurious: the descriptor is degenerate there, or its basis is too small, and then
the zeros go away as it grows.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Literal

import numpy as np
from ase import Atoms

from atomplete.audit.feature_map import FeatureMap
from atomplete.audit.precision import WITHIN, resampled
from atomplete.audit.records import LocalResolution, RankVerdict
from atomplete.audit.resolution.rigid_motions import movable, rigid_motions, without
from atomplete.audit.subjects.subject import Basis, CannotDescribe
from atomplete.degenerate.congruence.alignment import Floats
from atomplete.degenerate.congruence.point_group import SYMMETRY, PointGroup, point_group
from atomplete.errors import InputError

#: Bases with more features than this are not tried.
MOST_FEATURES = 60_000

# A singular value is zero if it is not so many times what rigid motions leave, or this part of
# the largest one.
_OVER_NOISE, _OVER_LARGEST = 100.0, 1e-10

# What an atom out of place by 1 Å makes of a derivative that symmetry forbids, as a part of the
# largest one: a bound for structures whose symmetry is not exact.
_ASYMMETRY = 100.0

# Derivatives along rigid motions above this part of the largest one are not rounding.
_BROKEN = 1e-4


def local_resolution(
    features: FeatureMap,
    larger: Iterable[tuple[Basis, FeatureMap]] = (),
    precision: float = 0.0,
) -> LocalResolution:
    """Compare the rank of the Jacobian of a descriptor with the largest that invariance allows.

    Parameters
    ----------
    features
        The descriptor; its template is the structure, at the environment level with the
        centre at the origin, as `environment` makes it.
    larger
        Bases, and the same descriptor in larger and larger bases, asked for only if there are
        zeros that the symmetry does not require.
    precision
        Largest error of the coordinates, Å: what other positions within it change by as much is
        zero.

    Returns
    -------
    LocalResolution
        At this structure.

    Raises
    ------
    InputError
        For a structure without two atoms, periodic, or without features.

    Examples
    --------
    >>> from ase import Atoms
    >>> from atomplete.audit.subjects.named import subject_of
    >>> water = Atoms("B3", [(0, 0, 0), (0, 0.8, 0.6), (0, -0.8, 0.6)])
    >>> local_resolution(FeatureMap(subject_of("power_spectrum"), water, "environment", 2.0))
    LocalResolution(B3, 2 of 3 directions, 1 forbidden: resolved)
    """
    found = _measured(features, precision)
    if found.verdict != "spurious":
        return found
    ranks = []
    for basis, in_larger in larger:
        try:
            better = _measured(in_larger, precision)
        except CannotDescribe:  # it has become too large
            break
        ranks.append(better.rank)
        if better.verdict == "resolved":
            update = {"verdict": "truncated", "resolved_by": str(basis), "best_rank": better.rank}
            return found.model_copy(update=update)
    if not ranks:
        return found
    update = {"verdict": "degenerate", "best_rank": max(found.rank, *ranks)}
    return found.model_copy(update=update)


def larger_bases(features: FeatureMap, steps: int = 3) -> Iterator[tuple[Basis, FeatureMap]]:
    """The same subject on the same structure in larger bases, if it has one to choose.

    Parameters
    ----------
    features
        The subject and the structure.
    steps
        How many; each adds two radial functions and two angular orders. There are fewer where
        the features would become more than `MOST_FEATURES`.

    Examples
    --------
    >>> from ase import Atoms
    >>> from atomplete.audit.subjects.named import subject_of
    >>> features = FeatureMap(subject_of("power_spectrum"), Atoms("B3"), "environment", 2.0)
    >>> [str(basis) for basis, _ in larger_bases(features, 2)]
    ['n=6, l≤5', 'n=8, l≤7']
    """
    basis = features.subject.basis(features.scope)
    if basis is None:
        return
    for step in range(1, steps + 1):
        larger = replace(
            basis,
            max_radial=basis.max_radial + 2 * step,
            max_angular=basis.max_angular + 2 * step,
        )
        subject = features.subject.at(larger)
        if (subject.n_features(features.scope) or 0) > MOST_FEATURES:
            return
        yield larger, features.of(subject)


def _measured(features: FeatureMap, precision: float) -> LocalResolution:
    """Rank of the allowed directions, in the largest group that the derivatives respect."""
    atoms, level = features.template, features.level
    positions = movable(features)
    others = resampled(Atoms(positions=positions), precision, np.random.default_rng(0), 2)
    values, jacobians = features.jacobian(np.array([positions, *(a.positions for a in others)]))
    size = float(np.linalg.norm(values[0]))
    if size == 0 or not jacobians.size:
        raise InputError(f"{atoms.get_chemical_formula()}: all its features vanish")
    jacobian = jacobians[0] / size
    changes = [float(np.linalg.norm(other / size - jacobian, 2)) for other in jacobians[1:]]
    rigid = rigid_motions(positions, level)
    largest = float(np.linalg.norm(jacobian, 2))
    noise = float(np.linalg.norm(jacobian @ rigid, axis=0).max())
    zero = max(_OVER_NOISE * noise, _OVER_LARGEST * largest)
    everything = without(np.eye(positions.size), rigid)
    open_to = max(zero, WITHIN * max(changes, default=0.0))
    numbers = atoms.numbers[-len(positions) :].astype(np.int64)
    symmetries = point_group(positions, numbers, max(SYMMETRY, 2 * WITHIN * precision))
    group, allowed = _allowed(symmetries, rigid, everything, jacobian, open_to)
    singular_values = np.linalg.svd(jacobian @ allowed, compute_uv=False)[: allowed.shape[1]]
    missing = [0.0] * (allowed.shape[1] - len(singular_values))
    rank = int((singular_values > open_to).sum())
    is_broken = noise > _BROKEN * largest or group == "none"
    verdict: RankVerdict = "resolved" if rank == allowed.shape[1] else "spurious"
    return LocalResolution(
        subject=features.subject.name,
        cutoff=features.scope.cutoff,
        formula=atoms.get_chemical_formula(),
        level=level,
        group="none" if is_broken else group,
        directions=everything.shape[1],
        required_zeros=everything.shape[1] - allowed.shape[1],
        rank=rank,
        singular_values=(*singular_values.tolist(), *missing),
        noise=noise,
        position_precision=precision,
        imprecise_zeros=int((singular_values > zero).sum()) - rank,
        best_rank=rank,
        verdict="broken" if is_broken else verdict,
    )


def _allowed(
    symmetries: PointGroup, rigid: Floats, everything: Floats, jacobian: Floats, zero: float
) -> tuple[Literal["O3", "SO3", "none"], Floats]:
    """The group whose forbidden directions have no derivative, and the directions it allows."""
    groups: list[tuple[Literal["O3", "SO3"], PointGroup]]
    groups = [("O3", symmetries), ("SO3", symmetries.proper())]
    for name, group in groups:
        allowed = without(group.symmetric_displacements(), rigid)
        forbidden = without(everything, allowed)
        bound = max(zero, _ASYMMETRY * group.residual * float(np.linalg.norm(jacobian, 2)))
        if not forbidden.size or np.linalg.norm(jacobian @ forbidden, 2) <= bound:
            return name, allowed
    return "none", everything
