"""The page of a filled table, and the choice of the page that suits a folder."""

from atomplete.paper.report.plots import plot_pairs
from atomplete.paper.report.write import write_report

__all__ = ["plot_pairs", "write_report"]
