"""Pairs that take reach or angular resolution to tell apart: chains and spokes."""

from itertools import repeat

import numpy as np
from numpy.random import Generator

from atomplete.degenerate.family import Construction, literature_then_random

# A chain's claim is about neighbours within this many spacings.
_REACH = 1.1


def _chain(k: int, spacing: float, symbols: tuple[str, str]) -> Construction:
    """A chain of k atoms with an end that leans to the other side, or to the same side."""
    ends, inner = symbols
    chain = [(0.0, 5.0 * t, 0.0) for t in range(k)]
    far = (4.0, 5.0 * (k - 1) + 3.0, 0.0)
    plus, minus = (np.array([(x, -3.0, 0.0), *chain, far]) for x in (-4.0, 4.0))
    parameters = {"k": k, "spacing": spacing, "cutoff": _REACH * spacing}
    return Construction(
        (ends, *repeat(inner, k), ends), spacing / 5 * plus, spacing / 5 * minus, parameters
    )


def _chains(n: int, seed: int) -> list[Construction]:
    """The published chain of four, then others; longer than the bounds on other families."""
    rng = np.random.default_rng(seed)
    members = [_chain(4, 5.0, ("C", "C"))]
    for number in range(1, n):
        symbols = ("H", "C") if number % 2 else ("C", "C")
        members.append(_chain(int(rng.integers(2, 7)), rng.uniform(1.2, 2.5), symbols))
    return members[:n]


def _spokes(rng: Generator, mixed: bool) -> Construction:
    """Two wheels of L spokes in one plane, the outer turned by either angle."""
    order = int(rng.integers(2, 7))
    inner, outer = rng.uniform(1.2, 1.8), rng.uniform(2.6, 3.4)
    # turned by 0 or π/L a wheel has mirror lines; in between, a turn has its mirror image
    first, second = np.pi / order * np.array([rng.uniform(0.05, 0.35), rng.uniform(0.65, 0.95)])
    spokes = 2 * np.pi * np.arange(order) / order

    def wheel(radius: float, turn: float) -> np.ndarray:
        angles = spokes + turn
        return np.stack([radius * np.cos(angles), radius * np.sin(angles), 0 * angles], axis=1)

    plus, minus = (np.vstack([wheel(inner, 0.0), wheel(outer, t)]) for t in (first, second))
    tips = "H" if mixed else "C"
    return Construction(
        ("C", *repeat("C", order), *repeat(tips, order)),
        plus,
        minus,
        {"L": order, "inner": inner, "outer": outer, "turn_plus": first, "turn_minus": second},
    )


#: Chains that message passing tells apart after floor(k / 2) + 1 steps within their cutoff.
chain_constructions = _chains

#: Wheels of L = 2 to 6 spokes, for which the angular order l has to reach L.
spoke_constructions = literature_then_random((), _spokes)
