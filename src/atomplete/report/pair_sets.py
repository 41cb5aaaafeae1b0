"""Pairs for the 3D viewer: structures and what is known of them, packed for a page."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols, covalent_radii
from jaxtyping import Float

from atomplete.degenerate.congruence.congruence import Group
from atomplete.degenerate.families.registry import FAMILIES
from atomplete.degenerate.family import Family
from atomplete.report.resolution import NAMES, Pair, enclosing_expansion, pair_distances
from atomplete.runs.progress import progress_of

#: Members of each family that a page shows.
MEMBERS = 4
#: Distance in Å within which members have an atom in common, as for the viewer.
_SHARED = 1e-3


@dataclass(frozen=True)
class PairSet:
    """Pairs that are shown together, under one heading of the selector.

    Attributes
    ----------
    key, title, note
        Name in the page, heading, and what the pairs are.
    pairs, ids
        The structures, and the number of each pair.
    group
        The group up to which the members differ.
    distances, noise, typical
        (name, pair), and (name,); see ``PairDistances``. None where they are not defined.
    congruent
        Whether the members are copies of each other, which nothing may tell apart.
    facts
        Further lists and tables for the page, such as energies, ready for JSON.
    """

    key: str
    title: str
    note: str
    pairs: Sequence[Pair]
    ids: Sequence[int]
    group: Group
    distances: Float[np.ndarray, "name pair"] | None = None
    noise: Float[np.ndarray, "name pair"] | None = None
    typical: Float[np.ndarray, " name"] | None = None
    congruent: bool = False
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def periodic(self) -> bool:
        """Whether any of the structures is."""
        return any(atoms.pbc.any() for pair in self.pairs for atoms in pair)

    def payload(self) -> dict[str, Any]:
        """All of it for ``viewer.js``: numbers as base64 of little-endian arrays."""
        members = [atoms for pair in self.pairs for atoms in pair]
        centers = [int(atoms.info.get("center", -1)) for atoms in members]
        positions = np.concatenate([x for pair in self.pairs for x in _positions(*pair)])
        # a screen has a thousand pixels; the scale keeps one part in 32 thousand
        scale = float(np.abs(positions).max()) / 32767 or 1.0
        content: dict[str, Any] = {
            "key": self.key,
            "title": self.title,
            "note": self.note,
            "group": self.group,
            "congruent": self.congruent,
            "ids": packed(self.ids, "<i4"),
            "sizes": packed([len(atoms) for atoms in members], "<u2"),
            "centers": packed(centers, "<i2"),
            "numbers": packed(np.concatenate([atoms.numbers for atoms in members]), "u1"),
            "positions": packed(np.round(positions / scale), "<i2"),
            "scale": scale,
            **self.facts,
        }
        if self.periodic:
            content["cells"] = [
                np.round(atoms.cell.array[atoms.pbc], 4).tolist() for atoms in members
            ]
        if self.distances is not None and self.noise is not None:
            content["distances"] = {
                name: packed(self.distances[k], "<f4") for k, name in enumerate(NAMES)
            }
            content["noise"] = {name: packed(self.noise[k], "<f4") for k, name in enumerate(NAMES)}
        if self.typical is not None:
            content["typical"] = dict(zip(NAMES, map(float, self.typical), strict=True))
        return content


def packed(values: Any, dtype: str) -> str:
    """Numbers as base64 text."""
    return base64.b64encode(np.ascontiguousarray(values, dtype=dtype).tobytes()).decode()


def element_styles(sets: Sequence[PairSet]) -> dict[int, tuple[str, float]]:
    """Symbol and covalent radius in Å of each element of the page, by atomic number."""
    numbers = {int(z) for s in sets for pair in s.pairs for atoms in pair for z in atoms.numbers}
    return {z: (chemical_symbols[z], float(covalent_radii[z])) for z in sorted(numbers)}


def family_sets(names: Sequence[str], n: int = MEMBERS, *, progress: bool = False) -> list[PairSet]:
    """The first members of families of degenerate pairs, each measured in a basis of its own."""
    with progress_of("families", len(names), progress) as step:
        sets = []
        for name in names:
            sets.append(_measured(family_set(FAMILIES[name], n)))
            step()
        return sets


def family_set(family: Family, n: int, seed: int | None = None) -> PairSet:
    """The first members of a family, not measured."""
    kind = "congruent controls" if family.congruent else f"different under {_TITLES[family.group]}"
    return PairSet(
        key=family.name,
        title=f"{family.letter}: {family.name}",
        note=f"{family.description}; {kind}, {family.level} level {family.source}",
        pairs=family.pairs(n, seed),
        ids=range(n),
        group=family.group,
        congruent=family.congruent,
    )


def _measured(one: PairSet) -> PairSet:
    # without a cutoff, nothing encloses the environments of a crystal
    if any(a.pbc.any() and "cutoff" not in a.info for pair in one.pairs for a in pair):
        return one
    measured = [pair_distances([p], enclosing_expansion(*p), one.group) for p in one.pairs]
    return replace(
        one,
        distances=np.concatenate([m.values for m in measured], axis=1),
        noise=np.stack([m.noise for m in measured], axis=1),
    )


_TITLES = {"O3": "O(3)", "SO3": "SO(3)"}


def _positions(plus: Atoms, minus: Atoms) -> list[Float[np.ndarray, "atom xyz"]]:
    """Both members relative to their centres, or at the structure level to the centroid."""
    origins = [
        atoms.positions[atoms.info["center"]]
        if "center" in atoms.info
        else atoms.positions.mean(axis=0)
        for atoms in (plus, minus)
    ]
    # members that share atoms stay as they are to each other, so that the others stand out
    if "center" not in plus.info and len(plus) == len(minus):
        apart = np.linalg.norm(plus.positions - minus.positions, axis=1)
        if apart.min() < _SHARED:
            origins[1] = origins[0]
    return [
        np.asarray(atoms.positions - origin)
        for atoms, origin in zip((plus, minus), origins, strict=True)
    ]
