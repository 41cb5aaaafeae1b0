"""Structures from features: what a complete description must allow."""

from atomplete.reconstruction.composition import likely_compositions
from atomplete.reconstruction.decode import decode
from atomplete.reconstruction.features import Effort, from_features
from atomplete.reconstruction.row_sums import RowSums
from atomplete.reconstruction.rows import from_rows
from atomplete.reconstruction.solution import Reconstruction
from atomplete.reconstruction.stability import position_errors

__all__ = [
    "Effort",
    "Reconstruction",
    "RowSums",
    "decode",
    "from_features",
    "from_rows",
    "likely_compositions",
    "position_errors",
]
