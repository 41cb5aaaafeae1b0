"""The B8 pairs of arXiv:2302.14770: seven boron atoms around an eighth, bit for bit.

The draw does not keep away from isosceles rings: the members of 16 of the first 4000 pairs can be
laid on each other to within 1e-3 Å, those of pair 2998 to within 1.4e-5 Å.
"""

import numpy as np
from numpy.typing import NDArray

from atomplete.degenerate.congruence.alignment import Floats
from atomplete.degenerate.families.rings import ring_pair
from atomplete.degenerate.family import Construction

#: Seed of the paper's draw.
SEED = 12345

#: The parameters in the order of the draw, with their bounds: r, z1, z2 in Å, angles in rad.
BOUNDS = {
    "r": (0.5, 2.0),
    "z1": (0.5, 2.0),
    "z2": (1.5, 1.8),
    "psi": (0.0, np.pi),
    "phi1": (np.pi / 6, np.pi),
    "phi2": (np.pi / 6, np.pi),
}

# Distances in Å: of every neighbour to the centre, and the least between two neighbours.
_CENTER_DISTANCES = (1.5, 1.8)
_LEAST_DISTANCE = 1.2

# About 7 % of the attempts are accepted. Attempts in blocks are the same stream as one by one.
_BLOCK = 16384


def parameters(n: int, seed: int = SEED) -> Floats:
    """Return the parameters of the first accepted attempts of the paper's draw.

    Each attempt takes six numbers, in the order of `BOUNDS`, from numpy's legacy generator. It
    is accepted if all distances to the centre lie in (1.5, 1.8) Å and all distances between
    neighbours exceed 1.2 Å.

    Parameters
    ----------
    n
        Number of pairs.
    seed
        Seed of the generator.

    Returns
    -------
    ndarray
        Shape (pair, parameter).

    References
    ----------
    [N23] arXiv:2302.14770.

    Examples
    --------
    >>> dict(zip(BOUNDS, parameters(1)[0].round(4).tolist()))
    {'r': 1.3945, 'z1': 0.5779, 'z2': 1.7685, 'psi': 2.2879, 'phi1': 2.666, 'phi2': 1.8332}
    """
    generator = np.random.RandomState(seed)
    low, high = np.array(list(BOUNDS.values())).T
    accepted = [np.empty((0, len(BOUNDS)))]
    while sum(map(len, accepted)) < n:
        attempts = generator.uniform(low, high, (_BLOCK, len(BOUNDS)))
        accepted.append(attempts[_accepted(attempts)])
    return np.concatenate(accepted)[:n]


def pair(r: float, z1: float, z2: float, psi: float, phi1: float, phi2: float) -> Construction:
    """Return the B8 pair of given parameters.

    Parameters
    ----------
    r, z1, z2, psi
        As in `atomplete.degenerate.families.rings.ring_pair`.
    phi1, phi2
        Steps in rad between the atoms of a ring, at azimuths 0, phi1 and phi1 + phi2.

    Returns
    -------
    Construction
        Centre, upper ring, lower ring, eighth atom; all boron.

    References
    ----------
    [N23] arXiv:2302.14770.

    Examples
    --------
    >>> pair(*parameters(1)[0]).plus[0].round(4)
    array([1.3945, 0.    , 0.5779])
    """
    plus, minus = ring_pair(r, z1, z2, psi, (0.0, phi1, phi1 + phi2))
    values = dict(zip(BOUNDS, (r, z1, z2, psi, phi1, phi2), strict=True))
    return Construction(("B",) * 8, plus, minus, values)


def constructions(n: int, seed: int) -> list[Construction]:
    """Return the first `n` pairs of the draw.

    Parameters
    ----------
    n
        Number of pairs.
    seed
        Seed of the generator; `SEED` is the paper's.

    Returns
    -------
    list of Construction
        The pairs, in the order of acceptance.

    Examples
    --------
    >>> len(constructions(2, SEED))
    2
    """
    return [pair(*row) for row in parameters(n, seed)]


def _accepted(attempts: Floats) -> NDArray[np.bool_]:
    """Mark the attempts that keep the distances of the paper; shape (attempt,)."""
    r, z1, z2, psi, phi1, phi2 = attempts.T
    to_center = np.hypot(r, z1)
    ring = np.stack([np.zeros_like(phi1), phi1, phi1 + phi2], axis=1)
    turned = ring + psi[:, None]

    def chords(first: Floats, second: Floats) -> Floats:
        return 2 * r[:, None] * np.abs(np.sin((first - second) / 2))

    within = chords(ring, np.roll(ring, 1, axis=1)).min(axis=1)
    across = chords(np.repeat(ring, 3, axis=1), np.tile(turned, 3)).min(axis=1)
    # the apex is nearest to the ring on its own side, whichever side that is
    least = np.min([within, np.hypot(across, 2 * z1), np.hypot(r, z2 - z1)], axis=0)
    low, high = _CENTER_DISTANCES
    return (to_center > low) & (to_center < high) & (least > _LEAST_DISTANCE)
