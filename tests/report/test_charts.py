"""Charts: points where their values say, notes on them, ticks and numbers that people can read."""

from xml.etree import ElementTree

import numpy as np
import pytest
from report_folders import points_of

from atomplete.report import charts
from atomplete.report.charts import number


def drawn(axes, **options):
    return ElementTree.fromstring(charts.inline(axes, "x < y", **options))


def texts(root):
    return ["".join(text.itertext()) for text in root.iter("text")]


def test_points_lie_where_the_axes_say_and_name_their_values():
    axes = charts.plain("epoch", "loss", log="y")
    axes.plot([0, 5, 10], [1e-3, 0.1, 10], "o-", label="a")
    root = drawn(axes)
    assert root.get("aria-label") == "x < y"
    (group,) = (g for g in root.iter("g") if g.find("./g/use/title") is not None)
    points = points_of(group)
    # 0.1 is the geometric mean of the ends, 5 the arithmetic one
    np.testing.assert_allclose(points[1], (points[0] + points[2]) / 2, atol=0.1)
    assert (points[0] < points[2]).all()
    notes = [title.text for title in root.iter("title")]
    assert notes[1] == "a: epoch: 5.00, loss: 0.100"


def test_what_has_no_place_is_left_out():
    axes = charts.plain("epoch", "loss", log="y")
    axes.plot([1, 2, 3], [0.1, np.nan, 1.0], "o", label="a")
    notes = [title.text for title in drawn(axes).iter("title")]
    assert notes == ["a: epoch: 1.00, loss: 0.100", "a: epoch: 3.00, loss: 1.00"]


def test_colours_follow_the_theme_and_nothing_is_fetched():
    axes = charts.plain("x", "y")
    axes.plot([0, 1], [0, 1], color=charts.PALETTE[1])
    text = charts.inline(axes, "a line")
    assert "var(--c1)" in text
    assert "#" not in text.replace("url(#", "").replace('href="#', "")
    assert "http" not in text


def test_names_are_text_and_each_is_named_once():
    axes = charts.plain("x", "y")
    for k, name in enumerate(("<b>", "b", "b")):
        axes.plot([0, 1], [k, k], label=name)
    assert texts(drawn(axes))[-2:] == ["<b>", "b"]
    assert "b" not in texts(drawn(charts.lanes("x", ["a"]), legend=False))


def test_ticks_of_many_decades_are_powers():
    axes = charts.plain("x", "y", log="xy")
    axes.set(xlim=(1e-17, 2), ylim=(4, 70))
    found = texts(drawn(axes))
    assert "10⁻¹⁶" in found
    assert {"5", "10", "20", "50"} <= set(found)


def test_parity_keeps_points_within_the_frame():
    reference, predicted = np.array([0.0, 1.0, 2.0]), np.array([0.1, 40.0, 1.9])
    limits = charts.parity_limits(reference, predicted)
    assert limits[0] < 0
    assert 2 < limits[1] < 3
    (axes,) = charts.grid()
    charts.parity(axes, reference, predicted, limits, width=0.5, gid="points b")
    (group,) = (g for g in drawn(axes, legend=False).iter("g") if g.get("data-points") == "b")
    points = points_of(group)
    assert points[1, 1] > points[2, 1] > points[0, 1]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (0.0, "0"),
        (1.0, "1.00"),
        (0.01234, "0.0123"),
        (-0.5, "−0.500"),
        (123.4, "123"),
        (5432.1, "5432"),
        (3.21e-15, "3.2·10⁻¹⁵"),
    ],
)
def test_numbers(value, text):
    assert number(value) == text
