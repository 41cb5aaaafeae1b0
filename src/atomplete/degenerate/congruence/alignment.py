"""Candidate rotations and reflections that bring one point set onto another."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

# Points nearer than this (Å) to the origin, or to a line through it, span no direction of
# their own; any direction will do then, at the price of a displacement of at most twice this.
_NO_DIRECTION = 1e-10

# Distances within this (Å) count as equal in the choice of the anchors.
_TIE = 1e-6

# Candidate frames times points squared held at once: 8 MB of float64.
_CHUNK_ENTRIES = 1_000_000

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def anchors(points: Floats) -> Integers:
    """Return the points farthest from the origin, each with the points farthest from its axis.

    Parameters
    ----------
    points
        Positions in Å, shape (point, xyz), with at least one point.

    Returns
    -------
    ndarray
        Indices, shape (pair, 2): several pairs where distances tie, so that the choice depends
        neither on the order of the points nor on rounding. A single point is paired with itself.

    Examples
    --------
    >>> anchors(np.array([[0.0, 1.0, 0.0], [3.0, 0.0, 0.0], [2.5, 0.5, 0.0]]))
    array([[1, 0]])
    >>> anchors(np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]))
    array([[0, 1],
           [1, 0]])
    """
    radii = np.linalg.norm(points, axis=1)
    first = np.nonzero(radii >= radii.max() - _TIE)[0]
    axes = frames(points[first], points[first])[:, 0]
    along = points @ axes.T
    off_axis = np.linalg.norm(points[:, None] - along[:, :, None] * axes, axis=-1).T
    if len(points) > 1:
        off_axis[np.arange(len(first)), first] = -np.inf
    rows, second = np.nonzero(off_axis >= off_axis.max(axis=1, keepdims=True) - _TIE)
    return np.stack([first[rows], second], axis=1)


def frames(first: Floats, second: Floats) -> Floats:
    """Return right-handed orthonormal frames from pairs of vectors, by Gram-Schmidt.

    The first axis lies along `first`, the second in the half-plane of `second`. Where a vector
    leaves an axis open (zero or collinear vectors), any valid axis is filled in.

    Parameters
    ----------
    first, second
        Vectors in Å, shape (frame, xyz).

    Returns
    -------
    ndarray
        Axes as rows, shape (frame, axis, xyz).

    Examples
    --------
    >>> frames(np.array([[0.0, 0.0, 2.0]]), np.array([[1.0, 0.0, 5.0]]))[0]
    array([[0., 0., 1.],
           [1., 0., 0.],
           [0., 1., 0.]])
    """
    e1 = _normalised(first, np.broadcast_to([1.0, 0.0, 0.0], first.shape))
    # the Cartesian axis least parallel to e1 is never collinear with it
    spare = np.eye(3)[np.argmin(np.abs(e1), axis=1)]
    e2 = _normalised(_rejection(second, e1), _rejection(spare, e1))
    # a second pass: the first one loses orthogonality when `second` is nearly along e1
    e2 = _rejection(e2, e1)
    e2 /= np.linalg.norm(e2, axis=1, keepdims=True)
    return np.stack([e1, e2, np.cross(e1, e2)], axis=1)


def candidate_alignments(
    points_a: Floats, numbers_a: Integers, points_b: Floats, numbers_b: Integers, *, mirror: bool
) -> Iterator[tuple[float, Floats]]:
    """Yield the orthogonal matrices that take the anchor frames of A to pair frames of B.

    Every ordered pair of points of B with the species of a pair of anchors of A gives one proper
    matrix, and one improper one where `mirror` is set. They come in chunks, the pairs most
    similar to the anchors (in radii and distance) first.

    Parameters
    ----------
    points_a, points_b
        Positions in Å, shape (point, xyz), at least one point each.
    numbers_a, numbers_b
        Atomic numbers, shape (point,).
    mirror
        Whether to include improper matrices.

    Yields
    ------
    bound : float
        No alignment that takes the anchors onto the pairs of this or a later chunk has a
        largest displacement below this, in Å.
    matrices : ndarray
        Shape (candidate, xyz, xyz); `points_a @ matrix.T` is the aligned copy of A.

    Examples
    --------
    >>> a, b = np.array([[1.0, 0.0, 0.0]]), np.array([[0.0, 1.0, 0.0]])
    >>> ((bound, matrices),) = candidate_alignments(a, np.array([6]), b, np.array([6]), mirror=True)
    >>> bound, np.round(a @ matrices[0].T, 12) + 0.0
    (0.0, array([[0., 1., 0.]]))
    """
    pairs_a = anchors(points_a)
    first, second = numbers_a[pairs_a].T[:, :, None, None]
    # a single point is its own partner, in A and in B alike
    distinct = ~np.eye(len(points_b), dtype=bool) if len(points_b) > 1 else True
    pair, j1, j2 = np.nonzero(
        (numbers_b[:, None] == first) & (numbers_b[None, :] == second) & distinct
    )
    k1, k2 = pairs_a[pair].T
    radii_a, radii_b = (np.linalg.norm(points, axis=1) for points in (points_a, points_b))
    distances_a = np.linalg.norm(points_a[k1] - points_a[k2], axis=1)
    distances_b = np.linalg.norm(points_b[j1] - points_b[j2], axis=1)
    bounds = np.max(
        [
            np.abs(radii_b[j1] - radii_a[k1]),
            np.abs(radii_b[j2] - radii_a[k2]),
            np.abs(distances_b - distances_a) / 2,
        ],
        axis=0,
    )
    order = np.argsort(bounds, kind="stable")
    chunk = max(1, _CHUNK_ENTRIES // len(points_a) ** 2)
    for start in range(0, len(order), chunk):
        rows = order[start : start + chunk]
        frames_a = frames(points_a[k1[rows]], points_a[k2[rows]])
        frames_b = frames(points_b[j1[rows]], points_b[j2[rows]]).transpose(0, 2, 1)
        matrices = frames_b @ frames_a
        if mirror:
            flip = np.array([[1.0], [1.0], [-1.0]])
            matrices = np.concatenate([matrices, frames_b @ (flip * frames_a)])
        yield float(bounds[rows[0]]), matrices


def least_squares_alignments(points_a: Floats, matched_b: Floats, determinants: Integers) -> Floats:
    """Return the orthogonal matrices that fit matched points best, by Kabsch's method.

    Parameters
    ----------
    points_a
        Positions in Å, shape (point, xyz).
    matched_b
        Positions in Å of the partners in several matchings, shape (matching, point, xyz).
    determinants
        1 for a rotation, -1 for an improper one; shape (matching,).

    Returns
    -------
    ndarray
        The minimisers Q of sum_k |Q a_k - b_k|^2, shape (matching, xyz, xyz).

    Examples
    --------
    >>> a = np.eye(3)
    >>> q = least_squares_alignments(a, np.roll(a, 1, axis=1)[None], np.array([1]))
    >>> np.round(q[0]) + 0.0
    array([[0., 0., 1.],
           [1., 0., 0.],
           [0., 1., 0.]])
    """
    u, _, vt = np.linalg.svd(matched_b.transpose(0, 2, 1) @ points_a)
    # the direction that fits worst gives way where the determinant has to change
    u[:, :, 2] *= (np.sign(np.linalg.det(u) * np.linalg.det(vt)) * determinants)[:, None]
    aligned: Floats = u @ vt
    return aligned


def _rejection(vectors: Floats, axes: Floats) -> Floats:
    """Part of each vector perpendicular to the unit axis beside it."""
    return vectors - np.sum(vectors * axes, axis=1, keepdims=True) * axes


def _normalised(vectors: Floats, otherwise: Floats) -> Floats:
    """Unit vectors, taken from `otherwise` where a vector has no direction."""
    short = np.linalg.norm(vectors, axis=1, keepdims=True) < _NO_DIRECTION
    chosen = np.where(short, otherwise, vectors)
    return chosen / np.linalg.norm(chosen, axis=1, keepdims=True)
