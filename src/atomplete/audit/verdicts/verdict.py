"""Verdicts on measured separations."""

from typing import Literal

import numpy as np

from atomplete.audit.precision import WITHIN
from atomplete.audit.verdicts.separation import Separation

Verdict = Literal["separates", "blind", "blind within precision", "undecided", "broken"]

#: A difference so many times the noise floor is one; under ``NOTHING`` times it is none.
SEEN, NOTHING = 100.0, 10.0

#: Blindness is certain where the noise is under this part of the difference that is expected.
HIDING = 1e-3

#: Copies that differ by more than this part of a typical difference are no copies to the subject.
DIFFERENT = 0.1


def verdict_on(measured: Separation) -> tuple[Verdict, str]:
    """Return the verdict on a pair, and in words why.

    Parameters
    ----------
    measured
        Separation of the pair.

    Returns
    -------
    verdict
        "separates": the difference is a hundred times the noise or more. "blind": it is under
        ten times the noise, and the noise is too low to hide a difference. "blind within
        precision": there is one, but no more than five times what other positions with the same
        digits make. "undecided": none of these. "broken": not a number, or congruent members
        that differ.
    reason
        Empty where the numbers say it all.

    Examples
    --------
    >>> verdict_on(Separation(0.1, 1e-15, 0.5, 0.8))
    ('separates', '')
    >>> verdict_on(Separation(1e-15, 1e-15, 0.5, 0.8))
    ('blind', '')
    >>> verdict_on(Separation(1e-8, 1e-15, 0.5, 0.8, imprecision=1e-8))
    ('blind within precision', '')
    >>> verdict_on(Separation(1e-4, 1e-4, 0.5, 0.01))
    ('undecided', 'the noise would hide a difference')
    >>> verdict_on(Separation(0.1, 1e-15, 0.5, 0.0))
    ('broken', 'congruent members differ')
    """
    difference, noise, open_to = measured.difference, measured.noise, WITHIN * measured.imprecision
    finite = np.isfinite([noise, open_to, measured.typical]).all()
    if not finite or np.isnan(difference):
        return "broken", "a description is not finite"
    if measured.noisiest and noise > DIFFERENT * measured.typical:
        return "broken", f"{measured.noisiest} copies differ"
    if measured.congruent:
        if difference > max(SEEN * noise, open_to):
            return "broken", "congruent members differ"
        if difference <= NOTHING * noise:
            return "blind", "congruent"
        if difference <= open_to:
            return "blind", "congruent within the precision of the positions"
        return "undecided", ""
    if NOTHING * noise < difference <= open_to:
        return "blind within precision", ""
    if difference > SEEN * noise:
        return "separates", ""
    if not measured.typical > SEEN * noise:
        return "undecided", "random structures do not differ either"
    if difference > NOTHING * noise:
        return "undecided", "the difference is not far above the noise"
    if noise < HIDING * measured.expected:
        return "blind", ""
    return "undecided", "the noise would hide a difference"
