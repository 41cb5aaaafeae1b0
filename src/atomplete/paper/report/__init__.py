"""The page of a filled table, and its pictures."""

from atomplete.paper.report.pair_plots import plot_pairs
from atomplete.paper.report.run_page import RUN_PAGE

__all__ = ["RUN_PAGE", "plot_pairs"]
