"""The table of models of arXiv:2302.14770 as data, and the run that fills it."""

from atomplete.paper.errors import PairErrors, pair_errors
from atomplete.paper.experiment import reproduce
from atomplete.paper.options import ReproduceOptions
from atomplete.paper.studies.ablation import AblationOptions, ablation
from atomplete.paper.studies.latent_size import LatentSize, latent_sizes
from atomplete.paper.studies.learning_curve import CurvePoint, Extrapolation, learning_curve
from atomplete.paper.studies.objectives import objectives
from atomplete.paper.table import ROWS, Row, TableRow, format_table

__all__ = [
    "ROWS",
    "AblationOptions",
    "CurvePoint",
    "Extrapolation",
    "LatentSize",
    "PairErrors",
    "ReproduceOptions",
    "Row",
    "TableRow",
    "ablation",
    "format_table",
    "latent_sizes",
    "learning_curve",
    "objectives",
    "pair_errors",
    "reproduce",
]
