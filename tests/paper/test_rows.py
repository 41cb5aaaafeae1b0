import pytest

from atomplete.paper import ROWS, TableRow, format_table

#: Name in v3 and v1, input, whether it is linear, target, published mean and difference error.
PUBLISHED = [
    ("A_L_rho", "FL", "three_center", True, "features", 0.0174, 1.00),
    ("A_NL_rho", "FNL", "three_center", False, "features", 0.0067, 0.143),
    ("A_L", "EL", "A_L_rho", False, "energy", 0.173, 1.00),
    ("A_NL", "ENL", "A_NL_rho", False, "energy", 0.110, 0.457),
    ("B_L", "TEL", "three_center", True, "energy", 0.385, 1.00),
    ("B_NL", "TENL", "three_center", False, "energy", 0.0177, 0.200),
    ("C_L", "AEL", "nice", True, "energy", 0.127, 0.888),
    ("C_NL", "AENL", "nice", False, "energy", 0.100, 0.431),
    ("D_L", None, "density_correlations", True, "energy", 0.389, 1.00),
    ("D_NL", None, "density_correlations", False, "energy", 0.169, 1.00),
    ("best", None, "structures", False, "energy", None, None),
]


def test_rows_are_those_of_the_published_table_and_our_own():
    found = [
        (
            row.name,
            row.v1_name,
            row.inputs,
            row.form == "linear",
            row.target,
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
        "target": "energy",
        "mean_error": 0.0456,
        "difference_error": 0.3217,
        "published_mean_error": 0.0177,
        "published_difference_error": 0.2,
        "labels": "xtb",
        "budget": "standard",
        "seeds": [3],
        "mean_error_spread": None,
        "difference_error_spread": None,
        "seconds": 61.2,
    }
    last = format_table([TableRow.model_validate(values)]).splitlines()[-1]
    assert last.split() == ["B_NL", "TENL", "0.0456", "0.0177", "0.3217", "0.2", "61", "s"]
    ours = {"row": "best", "v1_name": None, "published_mean_error": None}
    ours = TableRow.model_validate(values | ours | {"published_difference_error": None})
    both = format_table([TableRow.model_validate(values), ours]).splitlines()[-2:]
    assert len(both[0]) == len(both[1])
    assert both[1].split() == ["best", "-", "0.0456", "-", "0.3217", "-", "61", "s"]
    several = {"seeds": [3, 5], "mean_error_spread": 0.002, "difference_error_spread": 0.0304}
    first, *_, last = format_table([TableRow.model_validate(values | several)]).splitlines()
    assert "seeds 3, 5:" in first
    assert last.split()[2:5:2] == ["0.0456±0.0020", "0.3217±0.0304"]


def test_fields_that_are_not_known_are_refused():
    with pytest.raises(ValueError, match="colour"):
        TableRow.model_validate({"colour": "red"})
