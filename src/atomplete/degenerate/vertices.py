"""Vertices of rings, prisms, antiprisms and regular polyhedra, and sets joined from them."""

import re
from collections.abc import Callable
from itertools import product

import numpy as np

from atomplete.degenerate.congruence.alignment import Floats
from atomplete.errors import InputError

_GOLDEN = (1 + 5**0.5) / 2


def ring(n: int, height: float = 0.0, turn: float = 0.0) -> Floats:
    """Regular ring of n vertices at distance 1 from the z axis.

    Examples
    --------
    >>> ring(4).round(12) + 0.0
    array([[ 1.,  0.,  0.],
           [ 0.,  1.,  0.],
           [-1.,  0.,  0.],
           [ 0., -1.,  0.]])
    """
    angles = 2 * np.pi * np.arange(n) / n + turn
    return np.stack([np.cos(angles), np.sin(angles), np.full(n, height)], axis=1)


def prism(n: int) -> Floats:
    """Two rings, one above the other, all edges of equal length.

    Examples
    --------
    >>> prism(6).shape
    (12, 3)
    """
    half = np.sin(np.pi / n)
    return np.vstack([ring(n, half), ring(n, -half)])


def antiprism(n: int) -> Floats:
    """Two rings turned by half a step against each other, all edges of equal length.

    Examples
    --------
    >>> antiprism(3).shape
    (6, 3)
    """
    # edge² = (2h)² + chord², the chord between vertices half a step apart
    edge, chord = 2 * np.sin(np.pi / n), 2 * np.sin(np.pi / (2 * n))
    half = np.sqrt(edge**2 - chord**2) / 2
    return np.vstack([ring(n, half), ring(n, -half, np.pi / n)])


def _cyclic(points: Floats) -> Floats:
    return np.vstack([np.roll(points, k, axis=1) for k in range(3)])


def _signs(*values: float) -> Floats:
    """All signs of the values that are not zero."""
    choices = [(v,) if v == 0 else (v, -v) for v in values]
    return np.array(list(product(*choices)))


#: Vertices of a ring, at most.
MOST = 1000

_CUBE = _signs(1.0, 1.0, 1.0)

_POLYHEDRA: dict[str, Floats] = {
    "tetrahedron": _CUBE[_CUBE.prod(axis=1) > 0],
    "cube": _CUBE,
    "octahedron": _cyclic(_signs(0.0, 0.0, 1.0)),
    "icosahedron": _cyclic(_signs(0.0, 1.0, _GOLDEN)),
    "dodecahedron": np.vstack([_CUBE, _cyclic(_signs(0.0, _GOLDEN, 1 / _GOLDEN))]),
    "poles": _signs(0.0, 0.0, 1.0),
}
_RINGS: dict[str, Callable[[int], Floats]] = {"ring": ring, "prism": prism, "antiprism": antiprism}

_TERM = re.compile(r"(?P<name>[a-z]+)(:(?P<n>\d+))?(\*(?P<scale>[\d.]+))?")


def vertices(name: str) -> Floats:
    """Vertices by name, about the origin.

    Parameters
    ----------
    name
        ``ring:N``, ``prism:N``, ``antiprism:N`` (rings of radius 1, all edges equal),
        ``tetrahedron``, ``cube`` (the points (±1, ±1, ±1)), ``octahedron`` (distance 1 from the
        origin), ``icosahedron``, ``dodecahedron`` (around that cube), ``poles`` (0, 0, ±1).
        ``*S`` makes a set S times as large, ``+`` joins sets.

    Returns
    -------
    ndarray
        (vertex, xyz).

    Raises
    ------
    InputError
        For an unknown set, or one in which points coincide.

    Examples
    --------
    >>> vertices("cube+octahedron*0.5").shape, vertices("prism:7+poles*1.3").shape
    ((14, 3), (16, 3))
    """
    sets = []
    for term in name.replace(" ", "").split("+"):
        match = _TERM.fullmatch(term)
        known = match is not None and (
            (match["name"] in _RINGS) if match["n"] else (match["name"] in _POLYHEDRA)
        )
        if match is None or not known:
            names = [*(f"{ring}:N" for ring in _RINGS), *_POLYHEDRA]
            raise InputError(f"vertices {term!r} are unknown: choose {', '.join(names)}")
        if match["n"] and not 3 <= int(match["n"]) <= MOST:
            raise InputError(f"vertices {term!r}: a ring takes 3 to {MOST}")
        points = _RINGS[match["name"]](int(match["n"])) if match["n"] else _POLYHEDRA[match["name"]]
        sets.append(float(match["scale"] or 1) * points)
    joined = np.vstack(sets)
    apart = np.linalg.norm(joined[:, None] - joined, axis=2) + np.eye(len(joined))
    if apart.min() < 1e-6:
        raise InputError(f"vertices {name!r}: two of them coincide")
    return joined
