"""Charts: points where their values say, ticks that are round, numbers that people can read."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from atomplete.report.axis import Axis, number
from atomplete.report.svg import Lane, Series, chart, lanes

X = Axis("epoch", 0.0, 10.0)
Y = Axis("loss", 1e-3, 10.0, log=True)


def drawing(text):
    return ElementTree.fromstring(re.match(r"<svg.*</svg>", text).group(0))


def circles(text):
    found = drawing(text).iter("circle")
    return np.array([(float(c.get("cx")), float(c.get("cy"))) for c in found])


def test_points_lie_where_the_axes_say():
    text = chart("a chart", X, Y, [Series("a", [0, 5, 10], [1e-3, 0.1, 10])])
    points = circles(text)
    # 0.1 is the geometric mean of the ends, 5 the arithmetic one
    np.testing.assert_allclose(points[1], (points[0] + points[2]) / 2, atol=0.1)
    assert points[0, 0] < points[2, 0]
    assert points[0, 1] > points[2, 1]  # upwards is towards smaller y


def test_what_has_no_place_is_left_out():
    text = chart("", X, Y, [Series("a", [1, 2, 3, 4], [0.1, 0.0, np.nan, 1.0])])
    assert len(circles(text)) == 2
    assert "nan" not in text


def test_marks_and_spreads():
    text = chart(
        "",
        X,
        Y,
        [Series("a", [5.0], [1.0], bounds=[(0.5, 1.5)])],
        x_marks=[(2.0, "here"), (99, "there")],
    )
    assert "here" in text
    assert "there" not in text  # beyond the axis
    (point,) = circles(text)
    high, low = map(float, re.search(r'class="spread" d="M\S+ (\S+)V(\S+?)"', text).groups())
    assert high < point[1] < low


def test_names_are_text():
    text = chart("x < y", X, Y, [Series("<b>", [1], [1]), Series("b", [1], [1])])
    assert drawing(text).get("aria-label") == "x < y"
    assert "<b>" not in text
    assert text.count("<li>") == 2


@pytest.mark.parametrize(
    ("axis", "ticks"),
    [
        (Axis("", 0, 10), [0, 2, 4, 6, 8, 10]),
        (Axis("", -0.31, 0.29), [-0.2, 0, 0.2]),
        (Axis("", 0.5, 3e3, log=True), [1, 10, 100, 1000]),
        (Axis("", 5, 60, log=True), [5, 10, 20, 50]),
        (Axis("", 8, 512, log=True, marked=(8, 64)), [8, 64]),
    ],
)
def test_ticks(axis, ticks):
    np.testing.assert_allclose(axis.ticks(), ticks, atol=1e-12)


def test_an_axis_holds_its_values():
    for values in ([3.0], [0.0], [1.0, np.inf], [-2.0, 5.0]):
        axis = Axis.around("", values)
        for value in filter(np.isfinite, values):
            assert 0 <= axis.position(value) <= 1
    axis = Axis.around("", [0.0, 1e-8, 1.0], log=True)
    assert 0 < axis.position(1e-8) < axis.position(1.0) < 1
    assert Axis.around("", [], log=True).ticks()


def test_ticks_of_many_decades_are_powers():
    axis = Axis("", 1e-17, 1.0, log=True)
    assert [axis.tick_text(v) for v in (1e-15, 2e-3, 1.0)] == ["10⁻¹⁵", "2·10⁻³", "1"]
    assert Axis("", -1, 1).tick_text(-0.5) == "−0.5"


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


def test_lanes_shade_the_noise():
    axis = Axis("separation", 1e-16, 1.0, log=True)
    text = lanes("", axis, [Lane("a", [1e-16, 1e-8, 0.0], ["blind", "separates", "blind"], 1e-8)])
    points = circles(text)
    floor = drawing(text).find("rect")
    edge = float(floor.get("x")) + float(floor.get("width"))
    assert points[1, 0] == pytest.approx(edge, abs=0.1)
    assert points[2, 0] == points[0, 0] == float(floor.get("x"))  # a zero lies at the low end
