"""The rows of the published table, as data."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Row(BaseModel):
    """One model of the table: its input, its form, and what was published for it.

    Published errors are on the paper's validation set, relative to standard deviations.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    v1_name: str | None
    inputs: Literal["three_center", "density_correlations"]
    form: Literal["linear", "deep_set"]
    published_mean_error: float
    published_difference_error: float


_COLUMNS = (
    "name", "v1_name", "inputs", "form", "published_mean_error", "published_difference_error"
)  # fmt: skip

#: Rows that need no ν = 7 features, in the order of the table.
ROWS: dict[str, Row] = {
    str(values[0]): Row.model_validate(dict(zip(_COLUMNS, values, strict=True)))
    for values in (
        ("B_L", "TEL", "three_center", "linear", 0.385, 1.00),
        ("B_NL", "TENL", "three_center", "deep_set", 0.0177, 0.200),
        ("D_L", None, "density_correlations", "linear", 0.389, 1.00),
        ("D_NL", None, "density_correlations", "deep_set", 0.169, 1.00),
    )
}


class TableRow(BaseModel):
    """A filled row of ``table.json``."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    row: str
    v1_name: str | None
    mean_error: float
    difference_error: float
    validation_mean_error: float
    validation_difference_error: float
    published_mean_error: float
    published_difference_error: float
    n_train_pairs: int
    n_validation_pairs: int
    n_test_pairs: int
    labels: str
    budget: str
    seed: int
    seconds: float
