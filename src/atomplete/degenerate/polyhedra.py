"""Subsets of the vertices of polyhedra: every atom has a partner with the same sorted distances."""

from itertools import repeat

import numpy as np
from numpy.random import Generator

from atomplete.degenerate.alignment import Floats
from atomplete.degenerate.family import Construction, literature_then_random

_S = (1 + np.sqrt(5)) / 2
_DODECAHEDRON = np.array(
    [(0, a * _S, b / _S) for a, b in ((1, 1), (-1, 1), (-1, -1), (1, -1))]
    + [(a / _S, 0, b * _S) for a, b in ((1, 1), (-1, 1), (-1, -1), (1, -1))]
    + [(a * _S, b / _S, 0) for a, b in ((1, 1), (-1, 1), (-1, -1), (1, -1))]
    + [(1, 1, 1), (1, 1, -1), (1, -1, 1), (-1, 1, 1)]
    + [(-1, 1, -1), (-1, -1, 1), (1, -1, -1), (-1, -1, -1)]
)
_CUBE = [(1, 1, 1), (1, 1, -1), (1, -1, 1), (-1, 1, 1)]
_CUBE += [(-1, 1, -1), (-1, -1, 1), (1, -1, -1), (-1, -1, -1)]
_CUBE_OCTAHEDRON = np.vstack([_CUBE, 0.5 * np.kron(np.eye(3), [[1], [-1]])])


def _complement(places: tuple[int, ...]) -> tuple[int, ...]:
    """All other vertices of the dodecahedron."""
    return tuple(sorted(set(range(20)) - set(places)))


_TEN = (5, 7, 8, 9, 10, 11, 13, 15, 17, 18), (4, 5, 6, 7, 9, 11, 14, 15, 16, 18)
_SIX = (0, 1, 2, 3, 8, 10), (0, 1, 2, 3, 4, 6)
_EIGHT = (0, 1, 2, 3, 4, 6, 12, 19), (0, 1, 2, 3, 8, 10, 12, 19)

#: Pairs of vertex subsets, by name, with the vertices that they belong to.
SUBSETS: dict[str, tuple[Floats, tuple[int, ...], tuple[int, ...]]] = {
    "dodecahedron_6": (_DODECAHEDRON, *_SIX),
    "dodecahedron_8": (_DODECAHEDRON, *_EIGHT),
    "dodecahedron_10": (_DODECAHEDRON, *_TEN),
    "dodecahedron_10_other": (
        _DODECAHEDRON,
        (0, 1, 2, 3, 4, 6, 8, 10, 13, 17),
        (0, 1, 2, 3, 4, 6, 8, 10, 14, 16),
    ),
    "dodecahedron_14": (_DODECAHEDRON, _complement(_SIX[0]), _complement(_SIX[1])),
    "dodecahedron_12": (_DODECAHEDRON, _complement(_EIGHT[0]), _complement(_EIGHT[1])),
    "cube_octahedron_6": (_CUBE_OCTAHEDRON, (1, 3, 5, 6, 10, 11), (1, 3, 5, 6, 12, 13)),
    "cube_octahedron_8": (
        _CUBE_OCTAHEDRON,
        (0, 2, 4, 7, 8, 9, 12, 13),
        (0, 2, 4, 7, 8, 9, 10, 11),
    ),
}


def _pair(name: str, scale: float, mixed: bool) -> Construction:
    """Two subsets of the vertices, around an oxygen atom if `mixed`."""
    vertices, *subsets = SUBSETS[name]
    plus, minus = (scale * vertices[list(places)] for places in subsets)
    symbols = tuple(repeat("C", len(plus)))
    if mixed:
        symbols += ("O",)
        plus, minus = (np.vstack([points, np.zeros(3)]) for points in (plus, minus))
    return Construction(symbols, plus, minus, {"subset": name, "scale": scale})


def _draw(rng: Generator, mixed: bool) -> Construction:
    """Draw one of the pairs, and its size."""
    name = str(rng.choice(list(SUBSETS)))
    return _pair(name, rng.uniform(0.7, 2.0), mixed)


#: The published pairs, then the same in other sizes and around an atom.
constructions = literature_then_random(
    tuple(_pair(name, 1.0, False) for name in SUBSETS), _draw, "structure"
)
