"""Radial functions, cutoff functions, and the series that evaluate them."""

from atomplete.basis.chebyshev import ChebyshevSeries
from atomplete.basis.cutoff import CutoffFunction, PolynomialCutoff, ShiftedCosine
from atomplete.basis.radial import GaussianTypeOrbitals, LaplacianEigenstates, RadialBasis

__all__ = [
    "ChebyshevSeries",
    "CutoffFunction",
    "GaussianTypeOrbitals",
    "LaplacianEigenstates",
    "PolynomialCutoff",
    "RadialBasis",
    "ShiftedCosine",
]
