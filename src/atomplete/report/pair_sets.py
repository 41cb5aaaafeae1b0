"""Pairs for the 3D viewer: structures and what is known of them, packed for a page."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols, covalent_radii
from jaxtyping import Float

from atomplete.audit.verdicts.pairs import Pair, family_pairs
from atomplete.audit.verdicts.verdict import NOTHING
from atomplete.degenerate.families.registry import FAMILIES
from atomplete.report.records import AuditEntry

#: Distance in Å within which members have an atom in common, as for the viewer.
_SHARED = 1e-3
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
        Further lists and tables for the page, such as energies, ready for JSON.
    """

    key: str
    title: str
    note: str
    pairs: Sequence[Pair]
    verdicts: Sequence[AuditEntry] = ()
    congruent: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of_family(
        cls, name: str, n: int, seed: int | None = None, verdicts: Sequence[AuditEntry] = ()
    ) -> "PairSet":
        """First members of a family of degenerate pairs."""
        family = FAMILIES[name]
        group = _GROUPS[family.group]
        kind = "congruent controls" if family.congruent else f"different under {group}"
        note = f"{family.description}; {kind}, {family.level} level {family.source}"
        title, pairs = f"{family.letter}: {name}", family_pairs(name, n, seed)
        return cls(name, title, note, pairs, verdicts, family.congruent)

    def payload(self) -> dict[str, Any]:
        """All of it for ``page.js``: numbers as base64 of little-endian arrays."""
        members = [atoms for pair in self.pairs for atoms in (pair.plus, pair.minus)]
        centers = [int(atoms.info.get("center", -1)) for atoms in members]
        positions = np.concatenate([x for p in self.pairs for x in _positions(p.plus, p.minus)])
        # a screen has a thousand pixels; the scale keeps one part in 32 thousand
        scale = float(np.abs(positions).max()) / 32767 or 1.0
        verdicts: dict[int, list[dict[str, Any]]] = {}
        for verdict in self.verdicts:
            verdicts.setdefault(verdict.number, []).append(_said(verdict))
        content = {
            "key": self.key,
            "title": self.title,
            "note": self.note,
            "congruent": self.congruent,
            "ids": packed([pair.number for pair in self.pairs], "<i4"),
            "sizes": packed([len(atoms) for atoms in members], "<u2"),
            "centers": packed(centers, "<i2"),
            "numbers": packed(np.concatenate([atoms.numbers for atoms in members]), "u1"),
            "positions": packed(np.round(positions / scale), "<i2"),
            "scale": scale,
            "verdicts": verdicts,
            **self.facts,
        }
        if any(atoms.pbc.any() for atoms in members):
            cells = [np.round(atoms.cell.array[atoms.pbc], 4).tolist() for atoms in members]
            content["cells"] = cells
        return content


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


def packed(values: Any, dtype: str) -> str:
    """Numbers as base64 text."""
    return base64.b64encode(np.ascontiguousarray(values, dtype=dtype).tobytes()).decode()


def _said(verdict: AuditEntry) -> dict[str, Any]:
    return {
        "subject": verdict.subject,
        "style": verdict.style,
        "words": verdict.words,
        "reason": verdict.reason,
        "separation": verdict.separation,
        "noise_floor": verdict.noise_floor,
    }


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
