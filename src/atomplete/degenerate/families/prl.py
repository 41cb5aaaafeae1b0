"""The nu = 2 family and the chiral nu = 3 family of PRL 125, 166001."""

import numpy as np
from numpy.random import Generator

from atomplete.degenerate.families.rings import scalene_steps
from atomplete.degenerate.family import Construction, literature_then_random


def nu2_pair(
    symbols: tuple[str, str, str, str],
    a: tuple[float, float, float],
    b: tuple[float, float, float],
    s: float,
    cz: float,
) -> Construction:
    """Return the pair {A, B, B', C} and {A, B, B', C'}, degenerate for the power spectrum.

    B' is B turned by pi about the z axis, and so is C' from C; C is perpendicular to A in the
    xy plane. Every angle and radius of the one set has its equal in the other.

    Parameters
    ----------
    symbols
        Species of the centre, of A, of B and B', and of C.
    a, b
        Positions of A and B in Å.
    s
        Ratio of the distances of C and of A from the z axis.
    cz
        Height of C in Å.

    Returns
    -------
    Construction
        The pair, with neighbours in the order A, B, B', C.

    References
    ----------
    [P20] Pozdnyakov et al., PRL 125, 166001 (2020).

    Examples
    --------
    >>> pair = nu2_pair(("C", "C", "C", "C"), (5, 0, 5), (5, 5, 5), 1.0, 5)
    >>> pair.plus[-1], pair.minus[-1]
    (array([-0.,  5.,  5.]), array([ 0., -5.,  5.]))
    """
    half_turn = np.array([-1.0, -1.0, 1.0])
    c = np.array([-s * a[1], s * a[0], cz])
    common = [np.asarray(a), np.asarray(b), half_turn * b]
    names = ("ax", "ay", "az", "bx", "by", "bz", "s", "cz")
    center, at_a, at_b, at_c = symbols
    return Construction(
        (center, at_a, at_b, at_b, at_c),
        np.array([*common, c], dtype=np.float64),
        np.array([*common, half_turn * c], dtype=np.float64),
        dict(zip(names, (*a, *b, s, cz), strict=True)),
    )


def _draw_nu2(rng: Generator, mixed: bool) -> Construction:
    """Draw A, B and C; B stays off the two mirror planes of the pair, through A and through C."""
    azimuth = rng.uniform(0.0, 2 * np.pi)
    beside = azimuth + rng.integers(4) * np.pi / 2 + rng.uniform(0.25, np.pi / 2 - 0.25)
    ra, rb, s = rng.uniform(1.0, 2.5), rng.uniform(1.0, 2.5), rng.uniform(0.6, 1.4)
    az, bz, cz = rng.uniform(-2.0, 2.0, 3)
    a = (ra * np.cos(azimuth), ra * np.sin(azimuth), az)
    b = (rb * np.cos(beside), rb * np.sin(beside), bz)
    return nu2_pair(("C", "H", "C", "O") if mixed else ("C",) * 4, a, b, s, cz)


def _draw_chiral(rng: Generator, mixed: bool) -> Construction:
    """Draw a scalene triangle on a circle about the centre, and a fourth point on its axis."""
    r, h = rng.uniform(0.9, 3.0), rng.uniform(0.9, 3.0)
    phi1, phi2, _ = scalene_steps(rng, 3)
    angles = np.array([0.0, phi1, phi1 + phi2])
    circle = np.stack([r * np.cos(angles), r * np.sin(angles), np.zeros(3)], axis=1)
    return Construction(
        ("C", "H", "H", "H", "O") if mixed else ("C",) * 5,
        np.vstack([circle, [0.0, 0.0, h]]),
        np.vstack([circle, [0.0, 0.0, -h]]),
        {"r": r, "h": h, "phi1": phi1, "phi2": phi2},
    )


_PUBLISHED_NU2 = nu2_pair(("C",) * 4, (5.0, 0.0, 5.0), (5.0, 5.0, 5.0), 1.0, 5.0)

#: Pairs that agree up to nu = 2: the published one, then random ones.
nu2_constructions = literature_then_random((_PUBLISHED_NU2,), _draw_nu2)

#: Pairs of enantiomers that agree up to nu = 3, pseudoscalars included; random only.
chiral_constructions = literature_then_random((), _draw_chiral)
