"""Structural distances of periodic pairs, from the environments within a radius."""

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list

from atomplete.degenerate.congruence.congruence import Group, Level, congruence_distance
from atomplete.degenerate.congruence.environment import environment


def structural_distance(a: Atoms, b: Atoms, *, level: Level, group: Group, radius: float) -> float:
    """Return the congruence distance, in Å, of structures that may be periodic.

    Without periodicity it is `congruence_distance`. Environments of periodic structures are
    compared within the radius. Periodic structures are as far apart as the environment of one
    atom of A (of the rarest species) from the most similar one in B: a lower bound, from which
    different structures are known for certain.

    Parameters
    ----------
    a, b, level, group
        As in `congruence_distance`.
    radius
        Of the environments in periodic structures, Å; the end of a shell of neighbours is chosen
        a little beyond it.

    Returns
    -------
    float
        The distance in Å; infinite if the species differ, also those within the radius.

    Raises
    ------
    InputError
        As in `congruence_distance`.

    Examples
    --------
    >>> from ase.build import bulk
    >>> cubic = bulk("NaCl", "rocksalt", a=5.6, cubic=True)
    >>> primitive = bulk("NaCl", "rocksalt", 5.6)
    >>> structural_distance(cubic, primitive, level="structure", group="O3", radius=5.0) < 1e-12
    True
    """
    if not (a.pbc.any() or b.pbc.any()):
        return congruence_distance(a, b, level=level, group=group)
    radius = _between_shells((a, b), radius)
    if level == "environment":
        clusters = (environment(atoms, radius) for atoms in (a, b))
        return congruence_distance(*clusters, group=group)
    numbers, counts = np.unique(a.numbers, return_counts=True)
    rarest = numbers[np.argmin(counts)]
    first = environment(a, radius, int(np.flatnonzero(a.numbers == rarest)[0]))
    others = (environment(b, radius, int(atom)) for atom in np.flatnonzero(b.numbers == rarest))
    distances = [congruence_distance(first, other, group=group) for other in others]
    return min(distances, default=float("inf"))


def _between_shells(pair: tuple[Atoms, Atoms], radius: float) -> float:
    """Middle of the widest gap between distances a little beyond the radius."""
    found = np.concatenate([neighbor_list("d", atoms, 1.2 * radius) for atoms in pair])
    edges = np.sort(np.concatenate([found[found > radius], [radius, 1.2 * radius]]))
    widest = int(np.argmax(np.diff(edges)))
    return float(edges[widest : widest + 2].mean())
