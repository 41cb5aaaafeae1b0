import pytest

from atomplete.paper import ROWS, TableRow, format_table

#: Name in v3 and v1, input, whether it is linear, published mean and difference error.
PUBLISHED = [
    ("B_L", "TEL", "three_center", True, 0.385, 1.00),
    ("B_NL", "TENL", "three_center", False, 0.0177, 0.200),
    ("D_L", None, "density_correlations", True, 0.389, 1.00),
    ("D_NL", None, "density_correlations", False, 0.169, 1.00),
]


def test_rows_are_those_of_the_published_table():
    found = [
        (
            row.name,
            row.v1_name,
            row.inputs,
            row.form == "linear",
            row.published_mean_error,
            row.published_difference_error,
        )
        for row in ROWS.values()
    ]
    assert found == PUBLISHED
    assert list(ROWS) == [row.name for row in ROWS.values()]


def test_the_table_for_people_shows_measured_beside_published():
    values = dict.fromkeys(TableRow.model_fields, 0) | {
        "row": "B_NL",
        "v1_name": "TENL",
        "mean_error": 0.0456,
        "difference_error": 0.3217,
        "published_mean_error": 0.0177,
        "published_difference_error": 0.2,
        "labels": "xtb",
        "budget": "standard",
        "seconds": 61.2,
    }
    last = format_table([TableRow.model_validate(values)]).splitlines()[-1]
    assert last.split() == ["B_NL", "TENL", "0.0456", "0.0177", "0.3217", "0.2", "61", "s"]


def test_fields_that_are_not_known_are_refused():
    with pytest.raises(ValueError, match="colour"):
        TableRow.model_validate({"colour": "red"})
