"""The rows of the published table, as data."""

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict


class Row(BaseModel):
    """One model of the table: its input, its form, and what was published for it.

    Published errors are on the paper's validation set, relative to standard deviations.

    Examples
    --------
    >>> ROWS["B_NL"].published_difference_error
    0.2
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
    """A filled row of ``table.json``: errors on test and validation pairs, and the run's options.

    Examples
    --------
    >>> list(TableRow.model_fields)[:4]
    ['row', 'v1_name', 'mean_error', 'difference_error']
    """

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


def format_table(table: Sequence[TableRow]) -> str:
    """The table for people: measured errors beside the published ones.

    Examples
    --------
    >>> row = TableRow(
    ...     row="D_L", v1_name=None, mean_error=0.35, difference_error=1.0,
    ...     validation_mean_error=0.36, validation_difference_error=1.0,
    ...     published_mean_error=0.389, published_difference_error=1.0, n_train_pairs=3150,
    ...     n_validation_pairs=350, n_test_pairs=500, labels="xtb", budget="standard", seed=0,
    ...     seconds=12.0,
    ... )
    >>> print(format_table([row]))
    xtb labels, budget standard, seed 0: 3150 training, 350 validation, 500 test pairs
    errors on test pairs over the standard deviation; published: PBE labels, validation pairs
    <BLANKLINE>
                     pair mean         pair difference
    row   (v1)    here  published      here  published     time
    D_L   -     0.3500      0.389    1.0000          1      12 s
    """
    first = table[0]
    lines = [
        f"{first.labels} labels, budget {first.budget}, seed {first.seed}: {first.n_train_pairs} "
        f"training, {first.n_validation_pairs} validation, {first.n_test_pairs} test pairs",
        "errors on test pairs over the standard deviation; published: PBE labels, validation pairs",
        "",
        "                 pair mean         pair difference",
        "row   (v1)    here  published      here  published     time",
    ]
    for row in table:
        lines.append(
            f"{row.row:<5} {row.v1_name or '-':<4} {row.mean_error:7.4f} "
            f"{row.published_mean_error:10.3g} {row.difference_error:9.4f} "
            f"{row.published_difference_error:10.3g} {row.seconds:7.0f} s".rstrip()
        )
    return "\n".join(lines)
