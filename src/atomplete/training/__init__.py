"""Fitting of potentials and latents."""

from atomplete.training.feature_table import RowTable
from atomplete.training.tight_binding_fit import TightBindingFitSpec, fit_tight_binding

__all__ = ["RowTable", "TightBindingFitSpec", "fit_tight_binding"]
