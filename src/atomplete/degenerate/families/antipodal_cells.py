"""The antipodal triple as a whole structure, and in cells of one, two and three dimensions.

With u in the yz, v in the xy and w in the xz plane, turning the sign of u·w is a mirror of u
alone. Each of the planes is a mirror of any orthorhombic cell, so that all distances to and
between periodic images agree as well.
"""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator

from atomplete.degenerate.congruence.alignment import Floats
from atomplete.degenerate.congruence.congruence import Level
from atomplete.degenerate.family import Construction, literature_then_random

_U, _V, _W = (0.0, 1.1, 2.2), (2.03951216, 6.27697301, 0.0), (-3.3, 0.0, 4.4)

# The cutoff in a cell, over the length of the longest of u, v and w.
_REACH = 1.2

_CENTER = np.zeros((1, 3))


def _pair(
    vectors: Floats, cell: tuple[float, float, float], symbols: tuple[str, ...], level: Level
) -> Construction:
    """The environments {±u, ±v, ±w} in a cell, with u or its mirror image."""
    center, *tips = symbols
    mirrored = vectors * [(1.0, 1.0, -1.0), (1.0, 1.0, 1.0), (1.0, 1.0, 1.0)]
    plus, minus = (np.stack([v, -v], axis=1).reshape(6, 3) for v in (vectors, mirrored))
    if level == "structure":
        plus, minus = (np.concatenate([_CENTER, points]) for points in (plus, minus))
    parameters = {
        "dimensions": sum(length > 0 for length in cell),
        **dict(zip(("uy", "uz"), vectors[0, 1:].tolist(), strict=True)),
        **dict(zip(("vx", "vy"), vectors[1, :2].tolist(), strict=True)),
        **dict(zip(("wx", "wz"), vectors[2, ::2].tolist(), strict=True)),
    }
    if parameters["dimensions"]:
        # in a cell there is no largest distance: the triple itself is what has to be seen
        parameters["cutoff"] = _REACH * np.linalg.norm(vectors, axis=1).max()
    names = (center, *(symbol for tip in tips for symbol in (tip, tip)))
    return Construction(names, plus, minus, parameters, cell)


def _vectors(rng: Generator) -> Floats:
    """Draw u, v and w, each in its plane and well off the axes."""
    rows = []
    for first, second in ((1, 2), (0, 1), (2, 0)):
        angle, length = rng.uniform(0.35, np.pi / 2 - 0.35), rng.uniform(1.1, 2.6)
        row = np.zeros(3)
        row[[first, second]] = length * np.cos(angle), length * np.sin(angle)
        rows.append(row)
    return np.array(rows)


def _draw(dimensions: int, level: Level) -> Callable[[Generator, bool], Construction]:
    """Source of random pairs in cells with a given number of periodic directions."""

    def draw(rng: Generator, mixed: bool) -> Construction:
        symbols = ("C", "C", "H", "O") if mixed else ("C", "C", "C", "C")
        vectors = _vectors(rng)
        room = 2 * np.abs(vectors).max(axis=0) + rng.uniform(1.2, 2.4, 3)
        periodic = rng.permutation(3) < dimensions
        cell = tuple(np.where(periodic, room, 0.0).tolist())
        return _pair(vectors, cell, symbols, level)

    return draw


_PUBLISHED = _pair(np.array([_U, _V, _W]), (0.0, 0.0, 0.0), ("C",) * 4, "structure")

#: The published triple as a structure, then random ones.
structure_constructions = literature_then_random((_PUBLISHED,), _draw(0, "structure"), "structure")

#: Random triples seen from their centre, periodic in one, two and three directions.
environment_constructions = {
    dimensions: literature_then_random((), _draw(dimensions, "environment"))
    for dimensions in (1, 2, 3)
}

#: Random crystals, periodic in one, two and three directions.
crystal_constructions = {
    dimensions: literature_then_random((), _draw(dimensions, "structure"), "structure")
    for dimensions in (1, 2, 3)
}
