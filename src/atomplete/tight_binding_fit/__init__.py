"""Tight-binding models fitted to energies and forces."""

from atomplete.tight_binding_fit.fit import TightBindingFitSpec, fit_tight_binding

__all__ = ["TightBindingFitSpec", "fit_tight_binding"]
