"""What a measured difference means."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Verdict = Literal["separates", "blind", "undecided", "broken"]

#: A difference so many times the noise floor is one; under ``NOTHING`` times it is none.
SEEN, NOTHING = 100.0, 10.0

#: Blindness is certain where the noise is under this part of the difference that is expected.
HIDING = 1e-3

#: Copies that differ by more than this part of a typical difference are no copies to the subject.
DIFFERENT = 0.1

#: Displacements in Å that count as rounding: closer members are congruent.
CONGRUENT = 1e-8


@dataclass(frozen=True)
class Measured:
    """Numbers on one pair.

    Attributes
    ----------
    difference
        Feature distance of the two members.
    noise
        Largest feature distance from congruent copies of either.
    typical
        Median feature distance of random structures of the same composition and size.
    distance
        Structural distance of the members, Å: how far the best alignment in the group leaves
        them apart.
    noisiest
        The kind of copies that differ most, if it is not rounding alone.

    Examples
    --------
    >>> Measured(1e-15, 1e-15, 0.5, 0.8).expected
    0.4
    """

    difference: float
    noise: float
    typical: float
    distance: float
    noisiest: str = ""

    @property
    def congruent(self) -> bool:
        """Whether the members are the same up to the group."""
        return self.distance <= CONGRUENT

    @property
    def expected(self) -> float:
        """The difference of two structures as far apart that are no degenerate pair."""
        return self.typical * min(1.0, self.distance)


def verdict_on(measured: Measured) -> tuple[Verdict, str]:
    """Return the verdict on a pair, and in words why.

    Parameters
    ----------
    measured
        Numbers on the pair.

    Returns
    -------
    verdict
        "separates": the difference is a hundred times the noise or more. "blind": it is under
        ten times the noise, and the noise is too low to hide a difference. "undecided": neither.
        "broken": not a number, or congruent members that differ.
    reason
        Empty where the numbers say it all.

    Examples
    --------
    >>> verdict_on(Measured(0.1, 1e-15, 0.5, 0.8))
    ('separates', '')
    >>> verdict_on(Measured(1e-15, 1e-15, 0.5, 0.8))
    ('blind', '')
    >>> verdict_on(Measured(1e-4, 1e-4, 0.5, 0.01))
    ('undecided', 'the noise would hide a difference')
    >>> verdict_on(Measured(0.1, 1e-15, 0.5, 0.0))
    ('broken', 'congruent members differ')
    """
    difference, noise = measured.difference, measured.noise
    if not np.isfinite([noise, measured.typical]).all() or np.isnan(difference):
        return "broken", "a description is not finite"
    if measured.noisiest and noise > DIFFERENT * measured.typical:
        return "broken", f"{measured.noisiest} copies differ"
    if measured.congruent:
        if difference > SEEN * noise:
            return "broken", "congruent members differ"
        return ("blind", "congruent") if difference <= NOTHING * noise else ("undecided", "")
    if difference > SEEN * noise:
        return "separates", ""
    if not measured.typical > SEEN * noise:
        return "undecided", "random structures do not differ either"
    if difference > NOTHING * noise:
        return "undecided", "the difference is not far above the noise"
    if noise < HIDING * measured.expected:
        return "blind", ""
    return "undecided", "the noise would hide a difference"
