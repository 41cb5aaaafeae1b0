"""Quasi-constant manifolds: how far a structure can move while its features hardly change.

From a structure, step by step along the direction in which features change least (the softest
singular vector of ∂F/∂R, rotations excluded), and after each step back onto the same features along
the stiff directions. See Parsaeifard and Goedecker, J. Chem. Phys. 156, 034302 (2022).
"""

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from jaxtyping import Float

from atomplete.audit.feature_map import FeatureMap
from atomplete.audit.resolution.rigid_motions import movable, rigid_motions
from atomplete.audit.search.starts import Limits
from atomplete.degenerate.congruence.alignment import Floats
from atomplete.degenerate.congruence.congruence import congruence_distance
from atomplete.degenerate.congruence.environment import with_positions
from atomplete.errors import InputError

# Directions are stiff, and used to come back, if they are more than this part of the stiffest and
# so many times the softest, which is the way to go.
_STIFF, _OVER_SOFTEST = 1e-3, 10.0


@dataclass(frozen=True, eq=False)
class SoftPath:
    """Structures along the softest direction.

    Attributes
    ----------
    structures
        The first is the start.
    structural_distances
        Congruence distance to the start, Å.
    feature_distances
        |F − F(start)| relative to |F(start)|.

    Examples
    --------
    >>> SoftPath((Atoms("BH"),), np.zeros(1), np.zeros(1))
    SoftPath(1 structures, 0.000 Å at features 0e+00 apart)
    """

    structures: tuple[Atoms, ...]
    structural_distances: Float[np.ndarray, " step"]
    feature_distances: Float[np.ndarray, " step"]

    def __repr__(self) -> str:
        """Say where it ends."""
        return (
            f"SoftPath({len(self.structures)} structures, {self.structural_distances[-1]:.3f} Å at "
            f"features {self.feature_distances[-1]:.0e} apart)"
        )


def follow_softest(
    features: FeatureMap, limits: Limits, *, step: float = 0.02, n_steps: int = 50
) -> SoftPath:
    """Integrate along the softest direction.

    Parameters
    ----------
    features
        The descriptor; its template is the start.
    limits
        Distances at which the path ends.
    step
        Length in Å, of the displacement of all atoms together.
    n_steps
        Most steps.

    Returns
    -------
    SoftPath
        Where a subject is degenerate the structural distance grows and the feature distance stays
        at rounding; where it is only soft, both grow.

    Raises
    ------
    InputError
        If the start is not within the limits.

    Examples
    --------
    >>> from atomplete.audit.subjects.named import subject_of
    >>> bent = Atoms("B3", [(0, 0, 0), (0, 1.3, 0.9), (0.2, -1.5, 0.6)])
    >>> distances = FeatureMap(subject_of("radial_spectrum"), bent, "environment", 2.5)
    >>> path = follow_softest(distances, Limits(0.9, 1.9), n_steps=4)
    >>> bool(path.structural_distances[-1] > 0.05), bool(path.feature_distances[-1] < 1e-12)
    (True, True)
    """
    x = movable(features)
    excess = limits.excess(x[None], features.level)[0].max()
    if excess > 0:
        raise InputError(
            f"the structure breaks the limits {limits.shortest:g} to {limits.longest:g} Å on "
            f"distances by {excess:.3g} Å"
        )
    start = features(x[None])[0]
    size = float(np.linalg.norm(start)) or 1.0
    along: Floats | None = None
    points, distances = [x], [0.0]
    for _ in range(n_steps):
        direction = _softest(features, x, along)
        tried = _returned(features, x + step * direction.reshape(x.shape), start)
        if limits.excess(tried[None], features.level)[0].max() > 0:
            break
        # the next step goes on in the same sense
        x, along = tried, direction
        points.append(x)
        distances.append(float(np.linalg.norm(features(x[None])[0] - start)) / size)
    structures = [with_positions(features.template, features.level, point) for point in points]
    structural_distances = [
        congruence_distance(structures[0], s, level=features.level) for s in structures
    ]
    return SoftPath(tuple(structures), np.array(structural_distances), np.array(distances))


def _decomposed(features: FeatureMap, x: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Features, and the singular vectors and values of their Jacobian without rigid motions."""
    values, jacobians = features.jacobian(x[None])
    rigid = rigid_motions(x, features.level)
    rest = np.linalg.svd(np.eye(x.size) - rigid @ rigid.T)[0][:, : x.size - rigid.shape[1]]
    # as many rows as columns at least, so that there are as many directions as columns
    short = max(rest.shape[1] - len(values[0]), 0)
    jacobian = np.pad(jacobians[0] @ rest, ((0, short), (0, 0)))
    left, singular, right = np.linalg.svd(jacobian, full_matrices=False)
    return values[0], left[: len(values[0])], singular, rest @ right.T


def _softest(features: FeatureMap, x: Floats, along: Floats | None) -> Floats:
    """Unit displacement of least change; among several, the one that goes on as before."""
    _, _, singular, directions = _decomposed(features, x)
    if along is None:
        softest: Floats = directions[:, -1]
        return softest
    soft = directions[:, singular <= max(3 * singular[-1], 1e-9 * singular[0])]
    projected = soft @ (soft.T @ along)
    length = float(np.linalg.norm(projected))
    if length < 0.1:  # it has turned away: take the softest, in the same sense
        projected = directions[:, -1] * (np.sign(directions[:, -1] @ along) or 1.0)
        length = 1.0
    onward: Floats = projected / length
    return onward


def _returned(features: FeatureMap, x: Floats, start: Floats) -> Floats:
    """Two Gauss–Newton steps along stiff directions towards the features of the start."""
    for _ in range(2):
        values, left, singular, directions = _decomposed(features, x)
        stiff = singular > max(_STIFF * singular[0], _OVER_SOFTEST * singular[-1])
        change = left.T @ (values - start)
        x = x - (directions[:, stiff] @ (change[stiff] / singular[stiff])).reshape(x.shape)
    return x
