"""Degenerate sets in a plane: kite and trapezoid, and subsets of a regular ring of twelve."""

from itertools import repeat

import numpy as np
from numpy.random import Generator

from atomplete.degenerate.congruence.alignment import Floats
from atomplete.degenerate.family import Construction, literature_then_random

_KITE = np.array([(0.0, 1.0), (-1.0, 0.0), (0.0, -1.0), (3.0, 0.0)])
_TRAPEZOID = np.array([(1.0, 1.0), (-1.0, 1.0), (-2.0, 0.0), (2.0, 0.0)])

# Places on a ring of twelve with all intervals once, and their counterpart.
_TETRACHORDS = ((0, 2, 5, 6), (0, 1, 3, 7))


def _in_space(points: Floats) -> Floats:
    """Points of a plane, as points of its embedding at z = 0."""
    return np.column_stack([points, np.zeros(len(points))])


def _kite_trapezoid(scale: float, symbol: str) -> Construction:
    """The trapezoid and the kite, which have the same six distances."""
    return Construction(
        tuple(repeat(symbol, 4)),
        scale * _in_space(_TRAPEZOID),
        scale * _in_space(_KITE),
        {"scale": scale},
    )


def _draw_kite_trapezoid(rng: Generator, mixed: bool) -> Construction:
    """Draw the size; a single species in any case, or the distances would have names."""
    return _kite_trapezoid(rng.uniform(0.8, 1.7), "H" if mixed else "C")


def _coplanar(radius: float, symbols: tuple[str, str]) -> Construction:
    """Four places of a regular ring of twelve around the centre."""
    angles = 2 * np.pi * np.array(_TETRACHORDS) / 12
    plus, minus = radius * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    center, neighbor = symbols
    return Construction(
        (center, *repeat(neighbor, 4)), _in_space(plus), _in_space(minus), {"radius": radius}
    )


def _draw_coplanar(rng: Generator, mixed: bool) -> Construction:
    """Draw the radius of the ring, which is large enough for neighbours thirty degrees apart."""
    return _coplanar(rng.uniform(1.6, 3.4), ("O", "C") if mixed else ("C", "C"))


#: Two structures with the same distances: those of the literature, then of other sizes.
kite_trapezoid_constructions = literature_then_random(
    (_kite_trapezoid(1.0, "C"),), _draw_kite_trapezoid, "structure"
)

#: Coplanar neighbours at one radius, which agree up to nu = 2; random radii.
coplanar_constructions = literature_then_random((), _draw_coplanar)
