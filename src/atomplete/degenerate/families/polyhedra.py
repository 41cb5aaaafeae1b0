"""Subsets of the vertices of polyhedra: every atom has a partner with the same sorted distances."""

from itertools import repeat

import numpy as np
from numpy.random import Generator

from atomplete.degenerate.congruence.alignment import Floats
from atomplete.degenerate.family import Construction, literature_then_random
from atomplete.degenerate.vertices import vertices

_DODECAHEDRON = vertices("dodecahedron")
_CUBE_OCTAHEDRON = vertices("cube+octahedron*0.5")


def _complement(places: tuple[int, ...]) -> tuple[int, ...]:
    """All other vertices of the dodecahedron."""
    return tuple(sorted(set(range(20)) - set(places)))


_TEN = (13, 14, 16, 18, 19, 17, 1, 4, 6, 3), (12, 13, 15, 14, 18, 17, 2, 4, 5, 3)
_SIX = (8, 10, 11, 9, 16, 19), (8, 10, 11, 9, 12, 15)
_EIGHT = (8, 10, 11, 9, 12, 15, 0, 7), (8, 10, 11, 9, 16, 19, 0, 7)

#: Pairs of vertex subsets, by name, with the vertices that they belong to.
SUBSETS: dict[str, tuple[Floats, tuple[int, ...], tuple[int, ...]]] = {
    "dodecahedron_6": (_DODECAHEDRON, *_SIX),
    "dodecahedron_8": (_DODECAHEDRON, *_EIGHT),
    "dodecahedron_10": (_DODECAHEDRON, *_TEN),
    "dodecahedron_10_other": (
        _DODECAHEDRON,
        (8, 10, 11, 9, 12, 15, 16, 19, 1, 6),
        (8, 10, 11, 9, 12, 15, 16, 19, 2, 5),
    ),
    "dodecahedron_14": (_DODECAHEDRON, _complement(_SIX[0]), _complement(_SIX[1])),
    "dodecahedron_12": (_DODECAHEDRON, _complement(_EIGHT[0]), _complement(_EIGHT[1])),
    "cube_octahedron_6": (_CUBE_OCTAHEDRON, (1, 4, 6, 3, 12, 13), (1, 4, 6, 3, 8, 9)),
    "cube_octahedron_8": (
        _CUBE_OCTAHEDRON,
        (0, 2, 5, 7, 10, 11, 8, 9),
        (0, 2, 5, 7, 10, 11, 12, 13),
    ),
}


def _pair(name: str, scale: float, mixed: bool) -> Construction:
    """Two subsets of the vertices, around an oxygen atom if `mixed`."""
    points, *subsets = SUBSETS[name]
    plus, minus = (scale * points[list(places)] for places in subsets)
    symbols = tuple(repeat("C", len(plus)))
    if mixed:
        symbols += ("O",)
        plus, minus = (np.vstack([member, np.zeros(3)]) for member in (plus, minus))
    return Construction(symbols, plus, minus, {"subset": name, "scale": scale})


def _draw(rng: Generator, mixed: bool) -> Construction:
    """Draw one of the pairs, and its size."""
    name = str(rng.choice(list(SUBSETS)))
    return _pair(name, rng.uniform(0.7, 2.0), mixed)


#: The published pairs, then the same in other sizes and around an atom.
constructions = literature_then_random(
    tuple(_pair(name, 1.0, False) for name in SUBSETS), _draw, "structure"
)
