import numpy as np
import pytest

from atomplete.errors import InputError
from atomplete.paper.errors import pair_errors


def test_both_errors_by_hand():
    reference = np.array([[1.0, 3.0], [5.0, 1.0], [0.0, 2.0]])
    predicted = np.array([[2.0, 4.0], [5.0, 2.0], [0.0, 1.0]])
    # means 2, 3, 1 against 3, 3.5, 0.5; differences −2, 4, −2 against −2, 3, −1
    mean_spread = np.sqrt((0 + 1 + 1) / 3)
    difference_spread = np.sqrt((2**2 + 4**2 + 2**2) / 3)
    errors = pair_errors(predicted, reference)
    assert errors.mean == pytest.approx(np.sqrt((1 + 0.25 + 0.25) / 3) / mean_spread)
    assert errors.difference == pytest.approx(np.sqrt((0 + 1 + 1) / 3) / difference_spread)


def test_neither_a_shift_nor_a_unit_of_both_matters():
    rng = np.random.default_rng(0)
    predicted, reference = rng.normal(size=(2, 20, 2))
    plain = pair_errors(predicted, reference)
    other = pair_errors(27.2 * predicted - 500, 27.2 * reference - 500)
    assert other.mean == pytest.approx(plain.mean)
    assert other.difference == pytest.approx(plain.difference)


def test_a_model_blind_to_the_members_has_a_difference_error_above_one():
    """Exactly 1 only where the differences average to zero: σ² + mean² over σ² otherwise."""
    rng = np.random.default_rng(0)
    reference = rng.normal(size=(200, 2)) + np.array([0.3, 0.0])
    blind = np.repeat(rng.normal(size=(200, 1)), 2, axis=1)
    difference = reference[:, 0] - reference[:, 1]
    expected = np.sqrt(1 + difference.mean() ** 2 / difference.var())
    assert pair_errors(blind, reference).difference == pytest.approx(expected)
    centred = reference - difference.mean() * np.array([0.5, -0.5])
    assert pair_errors(blind, centred).difference == pytest.approx(1.0)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("reference", [[[1.0, 2.0]], [[1.0, 2.0], [0.0, 1.0]]])
def test_a_reference_without_spread_is_refused(reference):
    with pytest.raises(InputError, match="no spread"):
        pair_errors(np.zeros((len(reference), 2)), np.array(reference))
