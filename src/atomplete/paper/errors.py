"""The two errors of the paper: on the mean of a pair, and on its difference."""

from dataclasses import dataclass

import numpy as np

from atomplete.errors import InputError


@dataclass(frozen=True)
class PairErrors:
    """Root mean square errors, each over the standard deviation of its own quantity.

    A model that cannot tell the members of a pair apart has ``difference`` 1 if the
    differences average to zero.

    Examples
    --------
    >>> PairErrors(mean=0.1, difference=1.0).difference
    1.0
    """

    mean: float
    difference: float


def pair_errors(predicted: np.ndarray, reference: np.ndarray) -> PairErrors:
    """Errors on (E+ + E−)/2 and on E+ − E−, relative to their spread in the reference.

    Parameters
    ----------
    predicted, reference
        (pair, 2), energies of the plus and the minus structure; or (pair, 2, feature), their
        features: squared errors and variances are summed over these.

    Raises
    ------
    InputError
        If there is no spread to compare with: a single pair, or all alike.

    References
    ----------
    arXiv:2302.14770, table I. The published mean error divides by the spread of single
    energies instead of pair means, which differs by less than 0.1 % there.

    Examples
    --------
    >>> reference = np.array([[1.0, 0.0], [3.0, 4.0]])
    >>> pair_errors(reference.mean(1, keepdims=True) + np.zeros((2, 2)), reference)
    PairErrors(mean=0.0, difference=1.0)
    """
    return PairErrors(
        mean=_relative_rmse(predicted.mean(1), reference.mean(1)),
        difference=_relative_rmse(
            predicted[:, 0] - predicted[:, 1], reference[:, 0] - reference[:, 1]
        ),
    )


def _relative_rmse(predicted: np.ndarray, reference: np.ndarray) -> float:
    variance = np.sum(np.var(reference, axis=0))
    if variance == 0:
        raise InputError(f"the {len(reference)} pairs have no spread to compare with")
    return float(np.sqrt(np.sum(np.mean((predicted - reference) ** 2, axis=0)) / variance))
