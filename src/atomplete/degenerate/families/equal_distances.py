"""Two neighbours at the same distances but at another angle: invisible to nu = 1."""

import numpy as np
from numpy.random import Generator

from atomplete.degenerate.family import Construction, literature_then_random


def _pair(
    symbols: tuple[str, str, str], r1: float, r2: float, angles: tuple[float, float]
) -> Construction:
    """One neighbour on the x axis, the other in the xz plane at either angle."""
    plus, minus = (
        np.array([[r1, 0.0, 0.0], [r2 * np.cos(angle), 0.0, r2 * np.sin(angle)]])
        for angle in angles
    )
    parameters = {"r1": r1, "r2": r2, "angle_plus": angles[0], "angle_minus": angles[1]}
    return Construction(symbols, plus, minus, parameters)


def _draw(rng: Generator, mixed: bool) -> Construction:
    """Draw two radii, and two angles that differ well."""
    r1, r2 = rng.uniform(0.9, 3.5, 2)
    angle, change = rng.uniform(0.5, 1.7), rng.uniform(0.3, 1.4)
    symbols = ("O", "C", "H") if mixed else ("C", "C", "C")
    return _pair(symbols, r1, r2, (angle, angle + change))


# The positions are written out: 5 cos(acos(3/5)) is not 3 to the last bit.
_PUBLISHED = Construction(
    ("C", "C", "C"),
    [(5.0, 0.0, 0.0), (3.0, 0.0, 4.0)],
    [(5.0, 0.0, 0.0), (-5.0, 0.0, 0.0)],
    {"r1": 5.0, "r2": 5.0, "angle_plus": np.arccos(0.6), "angle_minus": np.pi},
)

#: The published pair, then random ones.
constructions = literature_then_random((_PUBLISHED,), _draw)
