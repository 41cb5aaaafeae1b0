"""Two rings and an apex: environments that agree up to nu = 3, of which B8 is a special case.

A ring at height +z1 and the same ring, rotated (not mirrored), at height -z1; the apex stands
at +z2 in the one structure and at -z2 in the other. The rotation that swaps the rings does not
take the second ring back to the first, so the pair differs, unless the ring has a mirror line
or the twist is a multiple of pi.
"""

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike

from atomplete.degenerate.congruence.alignment import Floats
from atomplete.degenerate.family import Construction, literature_then_random

# Steps of a ring, in rad, differ at least this much from each other: no mirror line is near.
_SCALENE = 0.2


def ring_pair(
    r: float, z1: float, z2: float, psi: float, azimuths: ArrayLike
) -> tuple[Floats, Floats]:
    """Return the neighbours of the two ring environments.

    Parameters
    ----------
    r, z1, z2
        Radius of the rings, their height above and below the centre, height of the apex, in Å.
    psi
        Angle in rad by which the lower ring is turned.
    azimuths
        Azimuths in rad of the atoms of the upper ring, shape (atom,).

    Returns
    -------
    plus, minus : ndarray
        Positions in Å, shape (neighbor, xyz): upper ring, lower ring, apex.

    References
    ----------
    [P20] Pozdnyakov et al., PRL 125, 166001 (2020); [N23] arXiv:2302.14770.

    Examples
    --------
    >>> plus, minus = ring_pair(1.5, 0.5, 1.7, 1.0, (0.0, 2.7, 4.5))
    >>> plus.shape, plus[-1], minus[-1], bool((plus[:-1] == minus[:-1]).all())
    ((7, 3), array([0. , 0. , 1.7]), array([ 0. ,  0. , -1.7]), True)
    """
    upper = np.asarray(azimuths, dtype=np.float64)
    angles = np.concatenate([upper, upper + psi])
    heights = np.repeat([z1, -z1], len(upper))
    rings = np.stack([r * np.cos(angles), r * np.sin(angles), heights], axis=1)
    return np.vstack([rings, [0.0, 0.0, z2]]), np.vstack([rings, [0.0, 0.0, -z2]])


def scalene_steps(rng: Generator, n: int) -> Floats:
    """Draw the azimuthal steps around a ring without mirror lines.

    Parameters
    ----------
    rng
        Source of random numbers.
    n
        Number of atoms in the ring.

    Returns
    -------
    ndarray
        Steps in rad, shape (n,), summing to 2 pi, no two of them nearly equal.

    Examples
    --------
    >>> steps = scalene_steps(np.random.default_rng(0), 3)
    >>> bool(np.isclose(steps.sum(), 2 * np.pi)), bool(np.diff(np.sort(steps)).min() > 0.19)
    (True, True)
    """
    while True:
        steps = rng.uniform(0.6, np.pi, n)
        steps *= 2 * np.pi / steps.sum()
        if np.diff(np.sort(steps)).min() >= _SCALENE:
            return steps


def _draw(rng: Generator, mixed: bool) -> Construction:
    """Draw a ring pair with three or four atoms to a ring."""
    n = int(rng.integers(3, 5))
    r, z1, z2 = rng.uniform(1.0, 2.5), rng.uniform(0.5, 2.0), rng.uniform(0.9, 3.0)
    psi = rng.uniform(0.3, np.pi - 0.3)
    steps = scalene_steps(rng, n)[:-1]
    plus, minus = ring_pair(r, z1, z2, psi, np.concatenate([[0.0], np.cumsum(steps)]))
    center, ring, apex = ("C", "H", "O") if mixed else ("C", "C", "C")
    parameters = {"r": r, "z1": z1, "z2": z2, "psi": psi}
    parameters |= {f"phi{k}": step for k, step in enumerate(steps, start=1)}
    return Construction((center, *[ring] * (2 * n), apex), plus, minus, parameters)


#: Members with rings of three or four atoms, random only.
constructions = literature_then_random((), _draw)
