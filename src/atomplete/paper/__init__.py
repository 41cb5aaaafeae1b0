"""The table of models of arXiv:2302.14770 as data, and the run that fills it."""

from atomplete.paper.errors import PairErrors, pair_errors
from atomplete.paper.experiment import ReproduceOptions, reproduce
from atomplete.paper.table import ROWS, Row, TableRow, format_table

__all__ = [
    "ROWS",
    "PairErrors",
    "ReproduceOptions",
    "Row",
    "TableRow",
    "format_table",
    "pair_errors",
    "reproduce",
]
