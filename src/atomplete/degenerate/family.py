"""A family of degenerate pairs: what it claims, and how its members are made."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from ase import Atoms
from numpy.random import Generator
from numpy.typing import ArrayLike

from atomplete.degenerate.congruence.congruence import Group, Level
from atomplete.errors import InputError

#: Bounds in Å on all distances in random members, centre included.
SHORTEST, LONGEST = 0.8, 7.0


@dataclass(frozen=True)
class Construction:
    """The two members of a pair, before they become ASE atoms.

    Attributes
    ----------
    symbols
        Chemical symbols of all atoms; at the environment level the centre comes first.
    plus, minus
        Positions in Å, shape (atom, xyz), of the atoms other than the centre, which is put at
        the origin; at the structure level of all atoms.
    parameters
        What the member was built from, by readable name: lengths in Å, angles in rad. A
        ``cutoff`` among them is the radius that the claim about the pair is made for.
    cell
        Lengths in Å of an orthorhombic cell, zero in directions without periodicity.

    Examples
    --------
    >>> Construction(("O", "H"), [(0, 0, 1)], [(0, 0, 1)], {"r": 1.0}).parameters
    {'r': 1.0}
    """

    symbols: Sequence[str]
    plus: ArrayLike
    minus: ArrayLike
    parameters: Mapping[str, float | str]
    cell: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Family:
    """A family of pairs that some representations cannot tell apart.

    Attributes
    ----------
    name, letter
        Key in the registry, and the letter of the construction in the documentation.
    level
        "environment" (seen from one centre) or "structure" (all atoms as centres).
    group
        The group in which the pairs have been compared: "O3" where the pairs are different even
        up to improper rotations, "SO3" where they are enantiomers, and for controls the group
        in which all of them are congruent.
    congruent
        True only for controls, which no invariant descriptor may separate.
    degenerate_nu
        The pairs have the same density correlations of orders up to this nu (of either parity),
        and different ones at nu + 1; at the structure level, the same ones at all centres, taken
        together. None where they agree at every order: controls, and chains within their cutoff.
    description, source
        What the pairs are, and the literature they come from.
    default_seed
        Seed of the random members where none is given.
    constructions
        Function of (n, seed) that returns the first n members.

    Examples
    --------
    >>> from atomplete.degenerate.families.registry import get
    >>> get("antipodal")
    Family('antipodal', letter='e', level='environment', group='O3')
    """

    name: str
    letter: str
    description: str
    source: str
    constructions: Callable[[int, int], list[Construction]] = field(compare=False)
    level: Level = "environment"
    group: Group = "O3"
    congruent: bool = False
    degenerate_nu: int | None = None
    default_seed: int = 0

    def __repr__(self) -> str:
        """Name the family and what its pairs are compared by."""
        return (
            f"Family({self.name!r}, letter={self.letter!r}, level={self.level!r}, "
            f"group={self.group!r})"
        )

    def pairs(self, n: int, seed: int | None = None) -> list[tuple[Atoms, Atoms]]:
        """Return the first `n` pairs; fewer pairs are always the head of more pairs.

        Parameters
        ----------
        n
            Number of pairs.
        seed
            Seed of the random members; by default `default_seed`.

        Returns
        -------
        list of tuple of Atoms
            (plus, minus), each with ``info``: pair_id, sign ("+" or "-"), family, level, center
            (index of the centre; absent at the structure level) and the parameters.

        Raises
        ------
        InputError
            If `n` or `seed` is negative.

        Examples
        --------
        >>> from atomplete.degenerate.families.registry import get
        >>> plus, minus = get("distances").pairs(1)[0]
        >>> plus.positions[2], minus.positions[2], plus.info["sign"]
        (array([3., 0., 4.]), array([-5.,  0.,  0.]), '+')
        """
        seed = self.default_seed if seed is None else seed
        if n < 0 or seed < 0:
            raise InputError(f"family {self.name}: n={n} and seed={seed} must not be negative")
        return [self._pair(k, member) for k, member in enumerate(self.constructions(n, seed))]

    def _pair(self, pair_id: int, member: Construction) -> tuple[Atoms, Atoms]:
        """Turn a construction into two labelled ASE structures."""
        pair = []
        for sign, others in (("+", member.plus), ("-", member.minus)):
            labels = {"pair_id": pair_id, "sign": sign, "family": self.name, "level": self.level}
            positions = np.asarray(others, dtype=np.float64)
            if self.level == "environment":
                labels["center"] = 0
                positions = np.concatenate([np.zeros((1, 3)), positions])
            # plain floats: NumPy's own would not compare equal in type after a round trip
            parameters = {
                name: value if isinstance(value, str) else float(value)
                for name, value in member.parameters.items()
            }
            atoms = Atoms(member.symbols, positions, info={**labels, **parameters})
            atoms.set_cell(member.cell)
            atoms.pbc = np.array(member.cell) > 0
            pair.append(atoms)
        return pair[0], pair[1]


def literature_then_random(
    literature: Sequence[Construction],
    draw: Callable[[Generator, bool], Construction],
    level: Level = "environment",
) -> Callable[[int, int], list[Construction]]:
    """Return a source of members: the published ones first, then random ones.

    Parameters
    ----------
    literature
        Published members.
    draw
        Function of a generator and of a flag, which asks for mixed species rather than a single
        one; the flag alternates. A draw whose distances do not suit is drawn again.
    level
        Of the members; at the environment level their distances to the centre count as well.

    Returns
    -------
    callable
        A function of (n, seed) that returns the first n members.

    Examples
    --------
    >>> member = Construction(("C", "C"), [(0, 0, 1)], [(0, 0, 1)], {})
    >>> source = literature_then_random([member], lambda rng, mixed: member)
    >>> len(source(3, 0))
    3
    """

    def suits(positions: ArrayLike, cell: tuple[float, float, float]) -> bool:
        if level == "environment":
            positions = np.concatenate([np.zeros((1, 3)), np.asarray(positions)])
        return suitable(positions, cell)

    def constructions(n: int, seed: int) -> list[Construction]:
        rng = np.random.default_rng(seed)
        members = list(literature[:n])
        while len(members) < n:
            mixed = len(members) % 2 == 1
            member = draw(rng, mixed)
            if suits(member.plus, member.cell) and suits(member.minus, member.cell):
                members.append(member)
        return members

    return constructions


def suitable(positions: ArrayLike, cell: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> bool:
    """Tell whether all distances are within bounds.

    Parameters
    ----------
    positions
        Of all atoms, in Å, shape (atom, xyz).
    cell
        As in `Construction`.

    Returns
    -------
    bool
        True if they all lie between `SHORTEST` and `LONGEST`, and none to a periodic image is
        below `SHORTEST`.

    Examples
    --------
    >>> suitable([(0, 0, 0.0), (0, 0, 1.0)]), suitable([(0, 0, 1.0), (0, 0, 1.5)])
    (True, False)
    >>> suitable([(0, 0, 0.0), (0, 0, 1.0)], (0.0, 0.0, 1.5))
    False
    """
    points = np.asarray(positions, dtype=np.float64)
    rows, columns = np.triu_indices(len(points), 1)
    vectors = points[rows] - points[columns]
    longest = np.linalg.norm(vectors, axis=1).max()
    lengths = np.asarray(cell)
    periodic = lengths > 0
    # the nearest image, which in an orthorhombic cell is nearest in each direction
    vectors[:, periodic] -= lengths[periodic] * np.round(vectors[:, periodic] / lengths[periodic])
    shortest = min([np.linalg.norm(vectors, axis=1).min(), *lengths[periodic]])
    return bool(shortest >= SHORTEST and longest <= LONGEST)
