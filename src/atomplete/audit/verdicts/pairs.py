"""Pairs that are audited."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from ase import Atoms

from atomplete.audit.precision import WITHIN
from atomplete.audit.subjects.subject import Scope
from atomplete.degenerate.congruence.congruence import Group, Level
from atomplete.degenerate.congruence.environment import extent
from atomplete.degenerate.congruence.periodic import structural_distance
from atomplete.degenerate.families.registry import get

#: Displacements in Å that count as rounding: closer members are congruent.
CONGRUENT = 1e-8

#: How far periodic structures are compared, Å, unless their ``info`` has a cutoff.
PERIODIC_RADIUS = 5.0

# The cutoff is beyond the farthest neighbour by this factor and this much, Å, in steps of a half.
_FACTOR, _MARGIN = 1.1, 0.3


@dataclass(frozen=True, eq=False)
class Pair:
    """Pair of structures that is audited: different ones, or congruent ones as a control.

    Attributes
    ----------
    family
        Name of the family, or of the user's file without its suffix.
    number
        Member of the family, or the user's ``pair_id``.
    level
        "environment" or "structure".
    plus, minus
        The two structures.
    own
        Whether it is the user's.
    precision
        Largest error of the coordinates, Å; zero if they are exact.

    Examples
    --------
    >>> pair = family_pairs("distances", 1)[0]
    >>> pair.scope
    Scope(level='environment', cutoff=6.0, species=(6,))
    """

    family: str
    number: int
    level: Level
    plus: Atoms
    minus: Atoms
    own: bool = False
    precision: float = 0.0

    @property
    def radius(self) -> float:
        """Distance in Å of the farthest neighbour, or what the pair claims to be about."""
        if "cutoff" in self.plus.info:
            return float(self.plus.info["cutoff"])
        if self.plus.pbc.any():
            return PERIODIC_RADIUS
        return max(extent(atoms, self.level) for atoms in (self.plus, self.minus))

    @property
    def scope(self) -> Scope:
        """Scope in which a subject sees both members, and of crystals no more."""
        if "cutoff" in self.plus.info or self.plus.pbc.any():
            cutoff = self.radius
        else:
            cutoff = np.ceil(2 * (_FACTOR * self.radius + _MARGIN)) / 2
        species = sorted({int(z) for a in (self.plus, self.minus) for z in a.numbers})
        return Scope(self.level, float(cutoff), tuple(species))

    @property
    def tolerance(self) -> float:
        """Distance in Å up to which members count as congruent."""
        # of two atoms, each relative to a centre
        return max(CONGRUENT, 2 * WITHIN * self.precision)

    def distance(self, group: Group) -> float:
        """Congruence distance of the members, Å."""
        return _distance(self, group)


@lru_cache(maxsize=10_000)
def _distance(pair: Pair, group: Group) -> float:
    return structural_distance(
        pair.plus, pair.minus, level=pair.level, group=group, radius=pair.radius
    )


def family_pairs(name: str, n: int, seed: int | None = None) -> list[Pair]:
    """Return the first pairs of a family.

    Parameters
    ----------
    name
        Of the family.
    n
        How many.
    seed
        Of the random members; by default the family's own.

    Examples
    --------
    >>> [pair.level for pair in family_pairs("polyhedra", 2)]
    ['structure', 'structure']
    """
    family = get(name)
    return [
        Pair(name, number, family.level, *members)
        for number, members in enumerate(family.pairs(n, seed))
    ]
