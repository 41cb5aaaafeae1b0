"""A complete invariant metric between environments: the least root mean square displacement."""

from functools import cache
from itertools import chain, groupby, permutations, product
from math import factorial, prod

import numpy as np
from ase import Atoms

from atomplete.degenerate.congruence.alignment import Floats, Integers
from atomplete.errors import InputError
from atomplete.system import center_of

#: Bijections that are tried at most: those of eight neighbours of one species.
MOST = factorial(8)

#: Bijections whose overlap is computed to the last digit, those of largest overlap.
_BEST = 10


def matching_distance(a: Atoms, b: Atoms) -> float:
    r"""Root mean square displacement of the best alignment and bijection of two environments, Å.

    .. math:: d(A, B)^2 = \min_{Q \in O(3)} \min_\pi \frac{1}{n} \sum_k |Q a_k - b_{\pi(k)}|^2

    over bijections of the neighbours that keep the species. O(3) and the permutations are a
    compact group that acts on the coordinates by isometries, so d is a metric between its
    orbits: symmetric, with the triangle inequality, and zero only for congruent environments,
    which makes it complete. The minimum is exact: for each bijection, that over Q is known from
    the singular values of Σ_k a_k ⊗ b_π(k), and all bijections are tried.

    Parameters
    ----------
    a, b
        Environments of the atoms ``info["center"]`` (else 0), with as many neighbours of each
        species; all other atoms are neighbours.

    Raises
    ------
    InputError
        If the numbers of neighbours of some species differ, or if there are too many to try.

    References
    ----------
    Kabsch, Acta Cryst. A 32, 922 (1976), for the minimum over Q.

    Examples
    --------
    >>> bent = Atoms("OH2", [(0, 0, 0), (1, 0, 0), (0, 1, 0)])
    >>> turned = Atoms("OH2", [(0, 0, 0), (0, 0, -1), (1, 0, 0)])
    >>> straight = Atoms("OH2", [(0, 0, 0), (1, 0, 0), (-1, 0, 0)])
    >>> matching_distance(bent, turned) < 1e-7, round(matching_distance(bent, straight), 3)
    (True, 0.765)
    """
    numbers_a, points_a = _neighbors(a)
    numbers_b, points_b = _neighbors(b)
    if not np.array_equal(numbers_a, numbers_b):
        raise InputError(f"no bijection between the neighbours of {a.symbols} and {b.symbols}")
    if not len(points_a):
        return 0.0
    order = _bijections(tuple(numbers_a.tolist()))
    # Σ_k a_k ⊗ b_π(k) of all bijections, from the products of all atoms
    outer = points_a[:, None, :, None] * points_b[None, :, None, :]
    overlap = outer[np.arange(len(points_a)), order].sum(axis=1)
    likely = np.argpartition(-_singular_sum(overlap), min(_BEST, len(order)) - 1)[:_BEST]
    largest = np.linalg.svd(overlap[likely], compute_uv=False).sum(axis=1).max()
    square = np.square(points_a).sum() + np.square(points_b).sum() - 2 * largest
    return float(np.sqrt(max(square, 0.0) / len(points_a)))


def _neighbors(atoms: Atoms) -> tuple[Integers, Floats]:
    """Species of the neighbours, in order, and their positions relative to the centre."""
    center = center_of(atoms, default=0)
    others = np.flatnonzero(np.arange(len(atoms)) != center)
    others = others[np.argsort(atoms.numbers[others], kind="stable")]
    return atoms.numbers[others].astype(np.int64), atoms.positions[others] - atoms.positions[center]


@cache
def _bijections(numbers: tuple[int, ...]) -> Integers:
    """All permutations within species that are given in order, (bijection, neighbour)."""
    blocks = [[k for k, _ in group] for _, group in groupby(enumerate(numbers), lambda x: x[1])]
    if prod(factorial(len(block)) for block in blocks) > MOST:
        raise InputError(f"{len(numbers)} neighbours have more than {MOST} bijections")
    every = product(*(permutations(block) for block in blocks))
    return np.array([tuple(chain(*parts)) for parts in every], dtype=np.int64)


def _singular_sum(matrices: Floats) -> Floats:
    """Sum of the singular values of 3 × 3 matrices, to half of the digits.

    The squares are the roots of the characteristic polynomial of MᵀM, by trigonometry.
    """
    gram = matrices.transpose(0, 2, 1) @ matrices
    mean = np.trace(gram, axis1=1, axis2=2) / 3
    shifted = gram - mean[:, None, None] * np.eye(3)
    radius = np.sqrt(np.square(shifted).sum(axis=(1, 2)) / 6) + 1e-300
    angle = np.arccos(np.clip(np.linalg.det(shifted) / (2 * radius**3), -1, 1)) / 3
    total: Floats = np.zeros(len(matrices))
    for k in range(3):
        square = mean + 2 * radius * np.cos(angle + 2 * np.pi * k / 3)
        total += np.sqrt(np.maximum(square, 0))
    return total
