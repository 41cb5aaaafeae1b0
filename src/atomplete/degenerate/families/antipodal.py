"""Three antipodal pairs of neighbours: environments that no histogram of distances tells apart.

The neighbours {±u, ±v, ±w} show every angle together with its supplement, so that the sign of
a scalar product is lost in all sums over pairs. The product of the three signs is not: it is
the same for all congruent triples, and it changes when one scalar product changes sign.
"""

from collections.abc import Mapping

import numpy as np
from numpy.random import Generator

from atomplete.degenerate.congruence.alignment import Floats
from atomplete.degenerate.family import Construction, literature_then_random

# Sign changes of the Gram matrix that turn u·w and leave all else.
_FLIP = np.array([[1.0, 1.0, -1.0], [1.0, 1.0, 1.0], [-1.0, 1.0, 1.0]])


def _antipodal(symbols: tuple[str, str, str, str], plus: Floats, minus: Floats) -> Construction:
    """Pair of the environments {±u, ±v, ±w} with u, v, w the rows of `plus` and of `minus`."""
    center, *tips = symbols
    return Construction(
        (center, *(symbol for tip in tips for symbol in (tip, tip))),
        np.stack([plus, -plus], axis=1).reshape(6, 3),
        np.stack([minus, -minus], axis=1).reshape(6, 3),
        _parameters(plus @ plus.T),
    )


def _parameters(gram: Floats) -> Mapping[str, float]:
    """Lengths in Å and scalar products in Å² of the plus member."""
    names = ("length_u", "length_v", "length_w", "u_dot_v", "u_dot_w", "v_dot_w")
    values = np.concatenate([np.sqrt(np.diag(gram)), gram[np.triu_indices(3, 1)]])
    return dict(zip(names, values.tolist(), strict=True))


def _draw(rng: Generator, mixed: bool) -> Construction:
    """Draw lengths and angles, and realise the Gram matrices of both signs of u·w."""
    symbols = ("C", "C", "H", "O") if mixed else ("C", "C", "C", "C")
    while True:
        lengths = rng.uniform(0.9, 3.3, 3)
        cosines = rng.choice([-1.0, 1.0], 3) * rng.uniform(0.2, 0.7, 3)
        gram = np.eye(3)
        gram[np.triu_indices(3, 1)] = gram.T[np.triu_indices(3, 1)] = cosines
        # far from singular, so that u, v and w are not nearly coplanar in either member
        if min(np.linalg.det(gram), np.linalg.det(gram * _FLIP)) > 0.05:
            plus, minus = (np.linalg.cholesky(g) for g in (gram, gram * _FLIP))
            return _antipodal(symbols, lengths[:, None] * plus, lengths[:, None] * minus)


# u lies in the yz plane, v in the xy plane, w in the xz plane: the flip is a mirror of u alone.
_V, _W = (2.03951216, 6.27697301, 0.0), (-3.3, 0.0, 4.4)
_PUBLISHED = _antipodal(
    ("C", "C", "C", "C"),
    np.array([(0.0, 1.1, 2.2), _V, _W]),
    np.array([(0.0, 1.1, -2.2), _V, _W]),
)

#: The published pair, then random ones.
constructions = literature_then_random((_PUBLISHED,), _draw)
