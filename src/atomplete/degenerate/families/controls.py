"""Congruent pairs, which no invariant descriptor may separate."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from atomplete.degenerate.congruence.alignment import Floats
from atomplete.degenerate.family import Construction, literature_then_random

_KINDS = ("rotated", "reflected", "permuted")


def _draw(rng: Generator, mixed: bool) -> Construction:
    """Draw a random environment, and one kind of copy of it."""
    n = int(rng.integers(4, 9))
    directions = rng.normal(size=(n, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    neighbors = rng.uniform(1.0, 3.4, (n, 1)) * directions
    species = rng.choice(["C", "H", "O"] if mixed else ["C"], n)
    copy, kind = _copy(neighbors, species, rng)
    return Construction(("C", *species.tolist()), neighbors, copy, {"control": kind})


def _draw_structure(rng: Generator, mixed: bool) -> Construction:
    """Draw a random structure, and one kind of copy of it, elsewhere."""
    n = int(rng.integers(4, 9))
    positions = rng.uniform(-2.0, 2.0, (n, 3))
    species = rng.choice(["C", "H", "O"] if mixed else ["C"], n)
    copy, kind = _copy(positions, species, rng)
    copy = copy + rng.uniform(-5.0, 5.0, 3)
    return Construction(tuple(species.tolist()), positions, copy, {"control": kind})


def _copy(neighbors: Floats, species: NDArray[np.str_], rng: Generator) -> tuple[Floats, str]:
    """One kind of copy of a point set, and its name."""
    kind = str(rng.choice(_KINDS))
    if kind == "permuted":
        # only within a species, as one list of symbols serves both members
        order = np.arange(len(neighbors))
        for symbol in np.unique(species):
            order[species == symbol] = rng.permutation(order[species == symbol])
        copy = neighbors[order]
    else:
        # a normalised quaternion of normal deviates is uniform over the rotations
        matrix = Rotation.from_quat(rng.normal(size=4)).as_matrix()
        copy = neighbors @ (matrix if kind == "rotated" else -matrix).T
    return copy, kind


def _notebook_rings(psi: float, apex: float) -> Construction:
    """An isosceles ring, turned by `psi` about the y axis below, and the apex on that axis."""
    ring = np.array([(3.0, 2.0, -4.0), (0.0, 2.0, 5.0), (-3.0, 2.0, -4.0)])
    turned = Rotation.from_rotvec([0.0, psi, 0.0]).apply(ring) * [1.0, -1.0, 1.0]
    return _notebook(np.vstack([ring, turned]), apex, {"psi": psi, "apex": apex})


def _notebook(common: Floats, apex: float, parameters: dict[str, float]) -> Construction:
    """Neighbours with an apex at either end of the y axis."""
    return Construction(
        ("C",) * (len(common) + 2),
        np.vstack([common, [0.0, apex, 0.0]]),
        np.vstack([common, [0.0, -apex, 0.0]]),
        {"control": "notebook", **parameters},
    )


# Both circulate as degenerate pairs of four-body order in a teaching notebook, but the triangle
# is isosceles, and the half turn about its mirror line (about a line in between, for two rings)
# takes one member to the other. The twist of the rings is free; this one is generic.
_NOTEBOOK = (
    _notebook_rings(1.0, 5.0),
    _notebook(np.array([(3.0, 0.0, -4.0), (0.0, 0.0, 5.0), (-3.0, 0.0, -4.0)]), 5.0, {"apex": 5.0}),
)

#: The two pairs of the notebook, then random environments with a copy.
constructions = literature_then_random(_NOTEBOOK, _draw)

#: Random structures with a copy.
structure_constructions = literature_then_random((), _draw_structure, "structure")
