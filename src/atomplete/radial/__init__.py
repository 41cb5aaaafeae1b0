"""Radial functions, cutoff functions, and the series that evaluate them."""

from atomplete.radial.chebyshev import ChebyshevSeries
from atomplete.radial.cutoff import CutoffFunction, PolynomialCutoff, ShiftedCosine
from atomplete.radial.radial_functions import (
    GaussianTypeOrbitals,
    LaplacianEigenstates,
    RadialBasis,
)

__all__ = [
    "ChebyshevSeries",
    "CutoffFunction",
    "GaussianTypeOrbitals",
    "LaplacianEigenstates",
    "PolynomialCutoff",
    "RadialBasis",
    "ShiftedCosine",
]
