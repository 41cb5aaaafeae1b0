"""Pictures of results."""

from atomplete.report.plots import plot_pairs

__all__ = ["plot_pairs"]
