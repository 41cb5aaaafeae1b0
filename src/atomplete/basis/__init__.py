"""Radial functions, cutoff functions, and the splines that evaluate them."""

from atomplete.basis.cutoff import CutoffFunction, PolynomialCutoff, ShiftedCosine
from atomplete.basis.radial import GaussianTypeOrbitals, LaplacianEigenstates, RadialBasis
from atomplete.basis.spline import QuinticSpline

__all__ = [
    "CutoffFunction",
    "GaussianTypeOrbitals",
    "LaplacianEigenstates",
    "PolynomialCutoff",
    "QuinticSpline",
    "RadialBasis",
    "ShiftedCosine",
]
