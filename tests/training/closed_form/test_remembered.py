"""Passes over items: computed once if all are small, else once in each pass."""

import pytest

from atomplete.training.closed_form.remembered import Remembered


@pytest.mark.parametrize(("memory", "passes"), [(10, 1), (11, 1), (9, 3), (0, 3)])
def test_items_are_the_same_in_each_pass(memory, passes):
    computed = []

    def compute():
        computed.append(None)
        yield from range(5)

    items = Remembered(compute, int, memory)  # of 10 bytes together
    for _ in range(3):
        assert list(items) == [0, 1, 2, 3, 4]
    assert len(computed) == passes


def test_a_pass_that_is_left_early_is_none():
    items = Remembered(lambda: iter("abc"), len, 10)
    assert next(iter(items)) == "a"
    assert [*items, *items] == list("abcabc")
