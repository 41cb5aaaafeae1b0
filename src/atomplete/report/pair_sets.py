"""Pairs for the 3D viewer: structures and what is known of them, as data of a page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols, covalent_radii

from atomplete.audit.records import PairVerdict
from atomplete.audit.verdicts.pairs import Pair, family_pairs
from atomplete.audit.verdicts.verdict import NOTHING
from atomplete.degenerate.families.registry import FAMILIES

#: Distance in Å within which members have an atom in common, as for the viewer.
_SHARED = 1e-3
#: Fields of verdicts that the page shows.
_SAID = {"subject", "reason", "separation", "noise_floor"}
_GROUPS = {"O3": "O(3)", "SO3": "SO(3)"}


@dataclass(frozen=True)
class PairSet:
    """Pairs that are shown together, under one heading of the selector.

    Attributes
    ----------
    key, title, note
        Name in the page, heading, and what the pairs are.
    pairs
        The pairs; a set has at least one.
    verdicts
        Verdicts on some of them, or all.
    congruent
        Whether the members are copies of each other, which nothing may tell apart.
    facts
        Further values of pairs by their numbers, ready for JSON: ``part`` and ``energies``.
    shared
        Further values of the set, ready for JSON: ``rows`` and ``points``.
    """

    key: str
    title: str
    note: str
    pairs: Sequence[Pair]
    verdicts: Sequence[PairVerdict] = ()
    congruent: bool = False
    facts: Mapping[int, dict[str, Any]] = field(default_factory=dict)
    shared: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of_family(
        cls, name: str, n: int, seed: int | None = None, verdicts: Sequence[PairVerdict] = ()
    ) -> "PairSet":
        """First members of a family of degenerate pairs."""
        family = FAMILIES[name]
        group = _GROUPS[family.group]
        kind = "congruent controls" if family.congruent else f"different under {group}"
        note = f"{family.description}; {kind}, {family.level} level {family.source}"
        title, pairs = f"{family.letter}: {name}", family_pairs(name, n, seed)
        return cls(name, title, note, pairs, verdicts, family.congruent)

    def payload(self) -> dict[str, Any]:
        """All of it for ``page.js``, ready for JSON."""
        verdicts: dict[int, list[dict[str, Any]]] = {}
        for verdict in self.verdicts:
            said = verdict.model_dump(include=_SAID) | {"words": verdict.words}
            verdicts.setdefault(verdict.number or 0, []).append(said)
        pairs = [
            {
                "id": pair.number,
                "members": _members(pair.plus, pair.minus),
                "verdicts": verdicts.get(pair.number, []),
                **self.facts.get(pair.number, {}),
            }
            for pair in self.pairs
        ]
        told = {"title": self.title, "note": self.note, "congruent": self.congruent}
        return {"key": self.key, **told, "pairs": pairs, **self.shared}


def viewer_data(sets: Sequence[PairSet]) -> dict[str, Any]:
    """Data of a page with these sets: with thresholds, and symbols and radii (Å) of elements."""
    numbers = {
        int(z) for s in sets for pair in s.pairs for a in (pair.plus, pair.minus) for z in a.numbers
    }
    return {
        "sets": [one.payload() for one in sets],
        "elements": {z: (chemical_symbols[z], float(covalent_radii[z])) for z in sorted(numbers)},
        # differences of so many noise floors are none
        "nothing": NOTHING,
    }


def _members(plus: Atoms, minus: Atoms) -> list[dict[str, Any]]:
    """Both members relative to their centres, or at the structure level to the centroid."""
    centers = [int(atoms.info.get("center", -1)) for atoms in (plus, minus)]
    origins = [
        atoms.positions.mean(axis=0) if center < 0 else atoms.positions[center]
        for atoms, center in zip((plus, minus), centers, strict=True)
    ]
    # members that share atoms stay as they are to each other, so that the others stand out
    if centers[0] < 0 and len(plus) == len(minus):
        apart = np.linalg.norm(plus.positions - minus.positions, axis=1)
        if apart.min() < _SHARED:
            origins[1] = origins[0]
    return [
        {
            "positions": np.round(atoms.positions - origin, 4).tolist(),
            "numbers": atoms.numbers.tolist(),
            "center": center,
            "cell": np.round(atoms.cell.array[atoms.pbc], 4).tolist(),
        }
        for atoms, origin, center in zip((plus, minus), origins, centers, strict=True)
    ]
