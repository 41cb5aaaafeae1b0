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

# fmt: off
_FAMILIES = (
    Family(
        "b8", "c", "two scalene rings of three and an apex, eight boron atoms; the paper's draw",
        "[N23]", b8.constructions, degenerate_nu=3, default_seed=b8.SEED,
    ),
    Family(
        "distances", "a", "two neighbours at the same distances but at another angle",
        "[P20]", equal_distances.constructions, degenerate_nu=1,
    ),
    Family(
        "prl_nu2", "b", "four neighbours with the same pairs of radii and angles",
        "[P20]", prl.nu2_constructions, degenerate_nu=2,
    ),
    Family(
        "prl_nu3", "c", "two scalene rings of three or four and an apex above or below",
        "[P20]", rings.constructions, degenerate_nu=3,
    ),
    Family(
        "chiral", "d",
        "enantiomers: a scalene triangle on a circle about the centre, one point above",
        "[P20]", prl.chiral_constructions, group="SO3", degenerate_nu=3,
    ),
    Family(
        "antipodal", "e", "three antipodal pairs of neighbours, one scalar product of either sign",
        "[PC22]", antipodal.constructions, degenerate_nu=2,
    ),
    Family(
        "coplanar", "h", "four of twelve places on a ring around the centre, at one radius",
        "[P20]", planar.coplanar_constructions, degenerate_nu=2,
    ),
    Family(
        "spokes", "i", "two wheels of L spokes, one turned by either angle: needs l ≥ L",
        "[J23]", chains_and_spokes.spoke_constructions, degenerate_nu=1,
    ),
    Family(
        "antipodal_1d", "e", "the antipodal triple in cells periodic in one direction",
        "[PC22]", antipodal_cells.environment_constructions[1], degenerate_nu=2,
    ),
    Family(
        "antipodal_2d", "e", "the antipodal triple in cells periodic in two directions",
        "[PC22]", antipodal_cells.environment_constructions[2], degenerate_nu=2,
    ),
    Family(
        "antipodal_3d", "e", "the antipodal triple in cells periodic in three directions",
        "[PC22]", antipodal_cells.environment_constructions[3], degenerate_nu=2,
    ),
    Family(
        "controls", "j", "rotated, reflected and permuted copies, which nothing may separate",
        "[P20]", controls.constructions, congruent=True,
    ),
    Family(
        "kite_trapezoid", "f", "four atoms in a plane with the same six distances",
        "[B06]", planar.kite_trapezoid_constructions, level="structure", degenerate_nu=0,
    ),
    Family(
        "polyhedra", "g", "subsets of vertices, alike in the sorted distances of all atoms",
        "[L24]", polyhedra.constructions, level="structure", degenerate_nu=1,
    ),
    Family(
        "antipodal_structure", "e", "the antipodal triple as a structure, all atoms being centres",
        "[PC22]", antipodal_cells.structure_constructions, level="structure", degenerate_nu=1,
    ),
    Family(
        "crystal_1d", "e", "the antipodal triple as a structure periodic in one direction",
        "[PC22]", antipodal_cells.crystal_constructions[1], level="structure", degenerate_nu=1,
    ),
    Family(
        "crystal_2d", "e", "the antipodal triple as a structure periodic in two directions",
        "[PC22]", antipodal_cells.crystal_constructions[2], level="structure", degenerate_nu=1,
    ),
    Family(
        "crystal_3d", "e", "the antipodal triple as a structure periodic in three directions",
        "[PC22]", antipodal_cells.crystal_constructions[3], level="structure", degenerate_nu=1,
    ),
    Family(
        "chains", "i", "chains alike within reach: message passing needs k // 2 + 1 steps",
        "[J23]", chains_and_spokes.chain_constructions, level="structure",
    ),
    Family(
        "structure_controls", "j", "rotated, reflected and permuted copies of structures, moved",
        "[P20]", controls.structure_constructions, level="structure", congruent=True,
    ),
)
# fmt: on

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
