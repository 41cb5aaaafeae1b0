"""The registry of families of degenerate pairs.

Literature keys: [N23] arXiv:2302.14770; [P20] PRL 125, 166001 (2020), arXiv:2001.11696;
[PC22] MLST 3, 045020 (2022), arXiv:2201.07136; [L24] arXiv:2402.04836 and arXiv:2302.05743; [J23]
Joshi et al., ICML 2023, arXiv:2301.09308; [B06] Boutin and Kemper, arXiv:math/0304192.
"""

from ase import Atoms

from atomplete.degenerate.families import (
    antipodal,
    antipodal_cells,
    b8,
    chains_and_spokes,
    controls,
    equal_distances,
    planar,
    polyhedra,
    prl,
    rings,
)
from atomplete.degenerate.family import Family
from atomplete.errors import InputError

_FAMILIES = (
    Family(
        name="b8",
        letter="c",
        degenerate_nu=3,
        description="two scalene rings of three and an apex, eight boron atoms; the paper's draw",
        source="[N23]",
        default_seed=b8.SEED,
        constructions=b8.constructions,
    ),
    Family(
        name="distances",
        letter="a",
        degenerate_nu=1,
        description="two neighbours at the same distances but at another angle",
        source="[P20]",
        constructions=equal_distances.constructions,
    ),
    Family(
        name="prl_nu2",
        letter="b",
        degenerate_nu=2,
        description="four neighbours with the same pairs of radii and angles",
        source="[P20]",
        constructions=prl.nu2_constructions,
    ),
    Family(
        name="prl_nu3",
        letter="c",
        degenerate_nu=3,
        description="two scalene rings of three or four and an apex above or below",
        source="[P20]",
        constructions=rings.constructions,
    ),
    Family(
        name="chiral",
        letter="d",
        group="SO3",
        degenerate_nu=3,
        description="enantiomers: a scalene triangle on a circle about the centre, one point above",
        source="[P20]",
        constructions=prl.chiral_constructions,
    ),
    Family(
        name="antipodal",
        letter="e",
        degenerate_nu=2,
        description="three antipodal pairs of neighbours, one scalar product of either sign",
        source="[PC22]",
        constructions=antipodal.constructions,
    ),
    Family(
        name="coplanar",
        letter="h",
        degenerate_nu=2,
        description="four of twelve places on a ring around the centre, at one radius",
        source="[P20]",
        constructions=planar.coplanar_constructions,
    ),
    Family(
        name="spokes",
        letter="i",
        degenerate_nu=1,
        description="two wheels of L spokes, one turned by either angle: needs l ≥ L",
        source="[J23]",
        constructions=chains_and_spokes.spoke_constructions,
    ),
    Family(
        name="antipodal_1d",
        letter="e",
        degenerate_nu=2,
        description="the antipodal triple in cells periodic in one direction",
        source="[PC22]",
        constructions=antipodal_cells.environment_constructions[1],
    ),
    Family(
        name="antipodal_2d",
        letter="e",
        degenerate_nu=2,
        description="the antipodal triple in cells periodic in two directions",
        source="[PC22]",
        constructions=antipodal_cells.environment_constructions[2],
    ),
    Family(
        name="antipodal_3d",
        letter="e",
        degenerate_nu=2,
        description="the antipodal triple in cells periodic in three directions",
        source="[PC22]",
        constructions=antipodal_cells.environment_constructions[3],
    ),
    Family(
        name="controls",
        letter="j",
        congruent=True,
        description="rotated, reflected and permuted copies, which nothing may separate",
        source="[P20]",
        constructions=controls.constructions,
    ),
    Family(
        name="kite_trapezoid",
        letter="f",
        level="structure",
        degenerate_nu=0,
        description="four atoms in a plane with the same six distances",
        source="[B06]",
        constructions=planar.kite_trapezoid_constructions,
    ),
    Family(
        name="polyhedra",
        letter="g",
        level="structure",
        degenerate_nu=1,
        description="subsets of vertices, alike in the sorted distances of all atoms",
        source="[L24]",
        constructions=polyhedra.constructions,
    ),
    Family(
        name="antipodal_structure",
        letter="e",
        level="structure",
        degenerate_nu=1,
        description="the antipodal triple as a structure, all atoms being centres",
        source="[PC22]",
        constructions=antipodal_cells.structure_constructions,
    ),
    Family(
        name="crystal_1d",
        letter="e",
        level="structure",
        degenerate_nu=1,
        description="the antipodal triple as a structure periodic in one direction",
        source="[PC22]",
        constructions=antipodal_cells.crystal_constructions[1],
    ),
    Family(
        name="crystal_2d",
        letter="e",
        level="structure",
        degenerate_nu=1,
        description="the antipodal triple as a structure periodic in two directions",
        source="[PC22]",
        constructions=antipodal_cells.crystal_constructions[2],
    ),
    Family(
        name="crystal_3d",
        letter="e",
        level="structure",
        degenerate_nu=1,
        description="the antipodal triple as a structure periodic in three directions",
        source="[PC22]",
        constructions=antipodal_cells.crystal_constructions[3],
    ),
    Family(
        name="chains",
        letter="i",
        level="structure",
        description="chains alike within reach: message passing needs k // 2 + 1 steps",
        source="[J23]",
        constructions=chains_and_spokes.chain_constructions,
    ),
    Family(
        name="structure_controls",
        letter="j",
        level="structure",
        congruent=True,
        description="rotated, reflected and permuted copies of structures, moved",
        source="[P20]",
        constructions=controls.structure_constructions,
    ),
)

#: The families by name.
FAMILIES: dict[str, Family] = {family.name: family for family in _FAMILIES}


def get(name: str) -> Family:
    """Return a family by name.

    Parameters
    ----------
    name
        Key of `FAMILIES`.

    Raises
    ------
    InputError
        If there is no such family.

    Examples
    --------
    >>> get("b8").degenerate_nu
    3
    >>> get("b9")
    Traceback (most recent call last):
    atomplete.errors.InputError: family 'b9' is unknown: choose one of b8, distances, ...
    """
    if name not in FAMILIES:
        raise InputError(f"family {name!r} is unknown: choose one of {', '.join(FAMILIES)}")
    return FAMILIES[name]


def generate(name: str, n: int, seed: int | None = None) -> list[Atoms]:
    """Return the first pairs of a family as one list.

    Parameters
    ----------
    name
        Name of the family.
    n
        Number of pairs.
    seed
        Seed of the random members; by default the family's own.

    Returns
    -------
    list of Atoms
        2 n structures: plus, minus, plus, minus and so on, labelled as in `Family.pairs`.

    Raises
    ------
    InputError
        If there is no such family, or `n` or `seed` is negative.

    Examples
    --------
    >>> [(atoms.info["pair_id"], atoms.info["sign"]) for atoms in generate("b8", 2)]
    [(0, '+'), (0, '-'), (1, '+'), (1, '-')]
    """
    return [atoms for pair in get(name).pairs(n, seed) for atoms in pair]
