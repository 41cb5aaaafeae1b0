"""The symmetries of a point set, as orthogonal matrices with the permutations that they make."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from atomplete.degenerate.congruence.alignment import (
    Floats,
    Integers,
    anchors,
    frames,
    least_squares_alignments,
)

#: Displacement in Å that a symmetry may leave.
SYMMETRY = 1e-5


@dataclass(frozen=True, eq=False)
class PointGroup:
    """Orthogonal matrices that take a point set onto itself, about the origin.

    Attributes
    ----------
    matrices
        (element, xyz, xyz), the identity among them.
    permutations
        (element, point): the matrix takes point k to where point ``permutations[k]`` is.
    residual
        Largest distance that any element leaves, Å.

    Examples
    --------
    >>> PointGroup(np.eye(3)[None], np.array([[0, 1]]), 0.0)
    PointGroup(1 elements, 0 improper)
    """

    matrices: Float[np.ndarray, "element 3 3"]
    permutations: Int[np.ndarray, "element point"]
    residual: float

    def __repr__(self) -> str:
        """Count the elements."""
        improper = int((np.linalg.det(self.matrices) < 0).sum())
        return f"PointGroup({len(self.matrices)} elements, {improper} improper)"

    def proper(self) -> "PointGroup":
        """The rotations among the elements."""
        kept = np.linalg.det(self.matrices) > 0
        return PointGroup(self.matrices[kept], self.permutations[kept], self.residual)

    def symmetric_displacements(self) -> Float[np.ndarray, "coordinate direction"]:
        """Orthonormal displacements that every element leaves as they are.

        The derivative of a function that the group leaves invariant is one of them: along all
        others it vanishes, for any such function.
        """
        n = self.permutations.shape[1]
        average = np.zeros((3 * n, 3 * n))
        for matrix, permutation in zip(self.matrices, self.permutations, strict=True):
            moves = np.zeros((n, n))
            moves[permutation, np.arange(n)] = 1.0
            average += np.kron(moves, matrix)
        values, vectors = np.linalg.eigh((average + average.T) / (2 * len(self.matrices)))
        displacements: Floats = vectors[:, values > 0.5]
        return displacements


def point_group(
    points: Float[np.ndarray, "point 3"],
    numbers: Int[np.ndarray, " point"],
    tolerance: float = SYMMETRY,
) -> PointGroup:
    """Find the symmetries of a point set about the origin.

    Parameters
    ----------
    points
        Positions in Å, one or more.
    numbers
        Species; an element takes points to points of the same species.
    tolerance
        Largest displacement in Å that a symmetry may leave.

    Returns
    -------
    PointGroup
        All elements; of the infinite group of collinear points, those of a finite subgroup with
        the same symmetric displacements.

    Examples
    --------
    >>> water = np.array([[0.0, 0.8, 0.6], [0.0, -0.8, 0.6]])
    >>> point_group(water, np.array([1, 1]))
    PointGroup(4 elements, 2 improper)
    """
    found: dict[tuple[bool, bytes], tuple[Floats, Integers]] = {}
    candidates = _candidates(points, numbers, tolerance)
    aligned = points @ candidates.transpose(0, 2, 1)
    distances = np.linalg.norm(aligned[:, :, None] - points, axis=-1)
    distances[:, numbers[:, None] != numbers] = np.inf
    permutations = distances.argmin(axis=2)
    onto = (np.sort(permutations, axis=1) == np.arange(len(points))).all(axis=1)
    # the frames of the candidates magnify what the points are out of place
    onto &= distances.min(axis=2).max(axis=1) <= 10 * tolerance
    residual = 0.0
    for matrix, permutation in zip(candidates[onto], permutations[onto], strict=True):
        proper = bool(np.linalg.det(matrix) > 0)
        determinant = np.array([1 if proper else -1])
        best = least_squares_alignments(points, points[permutation][None], determinant)[0]
        left = float(np.linalg.norm(points @ best.T - points[permutation], axis=1).max())
        if left <= tolerance:
            residual = max(residual, left)
            found[proper, permutation.tobytes()] = best, permutation
    matrices = np.array([matrix for matrix, _ in found.values()])
    permutations = np.array([permutation for _, permutation in found.values()])
    if np.linalg.matrix_rank(points, tol=tolerance) < 2:
        matrices, permutations = _about_axis(points, matrices, permutations)
    return PointGroup(matrices, permutations, residual)


def _candidates(points: Floats, numbers: Integers, tolerance: float) -> Floats:
    """Matrices that take the frame of one pair of points to those of all pairs like it."""
    first, second = anchors(points)[0]
    radii = np.linalg.norm(points, axis=1)
    distances = np.linalg.norm(points[:, None] - points, axis=2)
    like_first, like_second = (
        (numbers == numbers[k]) & (np.abs(radii - radii[k]) <= tolerance) for k in (first, second)
    )
    like = np.abs(distances - distances[first, second]) <= 2 * tolerance
    one, two = np.nonzero(like & like_first[:, None] & like_second)
    frame = frames(points[[first]], points[[second]])
    frames_of_pairs = frames(points[one], points[two]).transpose(0, 2, 1)
    flip = np.array([[1.0], [1.0], [-1.0]])
    return np.concatenate([frames_of_pairs @ frame, frames_of_pairs @ (flip * frame)])


def _about_axis(
    points: Floats, matrices: Floats, permutations: Integers
) -> tuple[Floats, Integers]:
    """Collinear points: a third of a turn about their axis averages as all turns do."""
    axis = np.linalg.svd(points)[2][0]
    cross = np.cross(np.eye(3), axis)
    turns = []
    for k in range(3):
        angle = 2 * np.pi * k / 3
        projected = np.outer(axis, axis)
        turns.append(projected + np.cos(angle) * (np.eye(3) - projected) + np.sin(angle) * cross)
    # which elements turn about the axis already is a matter of chance: of each permutation, one
    mirror = np.eye(3) - 2 * np.outer(*(2 * [np.linalg.svd(points)[2][1]]))
    ends = {p.tobytes(): (m, p) for m, p in zip(matrices, permutations, strict=True)}
    elements = [
        (turn @ reflect @ matrix, permutation)
        for matrix, permutation in ends.values()
        for turn in turns
        for reflect in (np.eye(3), mirror)
    ]
    return np.array([m for m, _ in elements]), np.array([p for _, p in elements])
