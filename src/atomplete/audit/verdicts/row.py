"""A verdict with its numbers: a row of ``audit.json``."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from atomplete.audit.verdicts.measure import Perturbed
from atomplete.audit.verdicts.pairs import Pair
from atomplete.audit.verdicts.verdict import Measured, Verdict


@dataclass(frozen=True)
class Row:
    """The verdict on one subject and one pair; ``as_json`` is a row of ``audit.json``.

    Examples
    --------
    >>> from atomplete.audit.verdicts.pairs import family_pairs
    >>> row = Row("mine", family_pairs("b8", 1)[0], "O3", "undecided", "no boron", None)
    >>> row.as_json()["family"], row.as_json()["member"]
    ('b8', 0)
    """

    subject: str
    pair: Pair
    group: str
    verdict: Verdict
    reason: str
    measured: Measured | None
    perturbed: Perturbed | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain data, with null for what is not finite or not known."""
        number = "pair_id" if self.pair.own else "member"
        row: dict[str, Any] = {
            "subject": self.subject,
            "family": self.pair.family,
            number: self.pair.number,
            "level": self.pair.level,
            "group": self.group,
            "verdict": self.verdict,
            "reason": self.reason,
            "cutoff": self.pair.scope.cutoff,
        }
        if self.measured is not None:
            typical = self.measured.typical
            row |= {
                "separation": _finite(self.measured.difference, typical),
                "noise_floor": _finite(self.measured.noise, typical),
                "separation_over_noise": _finite(self.measured.difference, self.measured.noise),
                "typical_difference": _finite(typical, 1.0),
                "structural_distance": _finite(self.measured.distance, 1.0),
                "congruent": self.measured.congruent,
            }
        if self.perturbed is not None and self.measured is not None:
            typical = self.measured.typical
            row |= {
                "slope": self.perturbed.slope,
                "structural_distances": self.perturbed.structural_distances,
                "feature_distances": [x / typical for x in self.perturbed.feature_distances],
                "perturbed_separations": [x / typical for x in self.perturbed.pair_distances],
            }
            if not np.isfinite([*row["feature_distances"], *row["structural_distances"]]).all():
                for key in ("structural_distances", "feature_distances", "perturbed_separations"):
                    del row[key]
        return row


def _finite(value: float, unit: float) -> float | None:
    """The value in that unit, where both are numbers to divide by."""
    return value / unit if np.isfinite([value, unit]).all() and unit > 0 else None
