"""The rows of the published table and one of our own, as data."""

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict


class Row(BaseModel):
    """One model of the table: its input, its form, and what was published for it.

    Published errors are on the paper's validation set, relative to standard deviations. The row
    ``best`` is our own: it sees whole structures, and nothing was published for it.

    Examples
    --------
    >>> ROWS["B_NL"].published_difference_error
    0.2
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    v1_name: str | None
    inputs: Literal[
        "three_center", "nice", "density_correlations", "A_L_rho", "A_NL_rho", "structures"
    ]
    form: Literal["linear", "deep_set"]
    target: Literal["features", "energy"]
    published_mean_error: float | None
    published_difference_error: float | None


_COLUMNS = (
    "name", "v1_name", "inputs", "form", "target", "published_mean_error",
    "published_difference_error",
)  # fmt: skip

#: In the order of the table. The rows A_L_rho and A_NL_rho predict the ν = 7 features through a
#: latent, linear or not; A_L and A_NL, of either latent the energy.
ROWS: dict[str, Row] = {
    str(values[0]): Row.model_validate(dict(zip(_COLUMNS, values, strict=True)))
    for values in (
        ("A_L_rho", "FL", "three_center", "linear", "features", 0.0174, 1.00),
        ("A_NL_rho", "FNL", "three_center", "deep_set", "features", 0.0067, 0.143),
        ("A_L", "EL", "A_L_rho", "deep_set", "energy", 0.173, 1.00),
        ("A_NL", "ENL", "A_NL_rho", "deep_set", "energy", 0.110, 0.457),
        ("B_L", "TEL", "three_center", "linear", "energy", 0.385, 1.00),
        ("B_NL", "TENL", "three_center", "deep_set", "energy", 0.0177, 0.200),
        ("C_L", "AEL", "nice", "linear", "energy", 0.127, 0.888),
        ("C_NL", "AENL", "nice", "deep_set", "energy", 0.100, 0.431),
        ("D_L", None, "density_correlations", "linear", "energy", 0.389, 1.00),
        ("D_NL", None, "density_correlations", "deep_set", "energy", 0.169, 1.00),
        ("best", None, "structures", "deep_set", "energy", None, None),
    )
}


class TableRow(BaseModel):
    """A filled row of ``table.json``: errors on test and validation pairs, and the run's options.

    Errors are means over the seeds; the spreads are their standard deviations, with n − 1 in
    the denominator, and null for a single seed. ``seconds`` are those of all seeds.

    Examples
    --------
    >>> list(TableRow.model_fields)[:5]
    ['row', 'v1_name', 'target', 'mean_error', 'difference_error']
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    row: str
    v1_name: str | None
    target: Literal["features", "energy"]
    mean_error: float
    difference_error: float
    mean_error_spread: float | None
    difference_error_spread: float | None
    validation_mean_error: float
    validation_difference_error: float
    published_mean_error: float | None
    published_difference_error: float | None
    n_train_pairs: int
    n_validation_pairs: int
    n_test_pairs: int
    labels: str
    budget: str
    seeds: tuple[int, ...]
    seconds: float


def format_table(table: Sequence[TableRow]) -> str:
    """The table for people: measured errors beside the published ones.

    Examples
    --------
    >>> row = TableRow(
    ...     row="D_L", v1_name=None, target="energy", mean_error=0.35, difference_error=1.0,
    ...     mean_error_spread=0.01, difference_error_spread=0.0,
    ...     validation_mean_error=0.36, validation_difference_error=1.0,
    ...     published_mean_error=0.389, published_difference_error=1.0, n_train_pairs=3150,
    ...     n_validation_pairs=350, n_test_pairs=500, labels="xtb", budget="standard",
    ...     seeds=(0, 1), seconds=12.0,
    ... )
    >>> print(format_table([row]))
    xtb labels, budget standard, seeds 0, 1: 3150 training, 350 validation, 500 test pairs
    errors on test pairs over the standard deviation; published: PBE labels, validation pairs
    <BLANKLINE>
                             pair mean               pair difference
    row      (v1)            here  published            here  published     time
    D_L      -      0.3500±0.0100      0.389   1.0000±0.0000          1      12 s
    """
    first = table[0]
    seeds = ", ".join(map(str, first.seeds))
    lines = [
        f"{first.labels} labels, budget {first.budget}, seed{'s'[: len(first.seeds) - 1]} {seeds}: "
        f"{first.n_train_pairs} training, {first.n_validation_pairs} validation, "
        f"{first.n_test_pairs} test pairs",
        "errors on test pairs over the standard deviation; published: PBE labels, validation pairs",
        "",
        "                         pair mean               pair difference",
        "row      (v1)            here  published            here  published     time",
    ]
    for row in table:
        mean = _with_spread(row.mean_error, row.mean_error_spread)
        difference = _with_spread(row.difference_error, row.difference_error_spread)
        lines.append(
            f"{row.row:<8} {row.v1_name or '-':<4} {mean:>15} "
            f"{_published(row.published_mean_error)} {difference:>15} "
            f"{_published(row.published_difference_error)} {row.seconds:7.0f} s"
        )
    return "\n".join(lines)


def _with_spread(error: float, spread: float | None) -> str:
    return f"{error:.4f}" if spread is None else f"{error:.4f}±{spread:.4f}"


def _published(error: float | None) -> str:
    return f"{'-':>10}" if error is None else f"{error:10.3g}"
