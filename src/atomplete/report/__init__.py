"""Pictures and pages of results."""

from atomplete.report.plots import plot_pairs
from atomplete.report.write import write_report

__all__ = ["plot_pairs", "write_report"]
