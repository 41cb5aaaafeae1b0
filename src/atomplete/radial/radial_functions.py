"""Radial functions R_nl(r) of the two density models.

Gaussian-smeared densities on orthonormalised Gaussian-type orbitals (the paper's basis, the one
of librascal and featomic), and sharp (delta) densities on eigenfunctions of the Laplacian in a
ball, which are smooth by construction.
"""

from itertools import pairwise
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy.optimize import brentq
from scipy.special import ive, spherical_jn


class GaussianTypeOrbitals(BaseModel):
    """R_nl(r) of a Gaussian of width σ at distance r, on orthonormalised GTOs.

    The primitives are r^n exp(−r²/2σ_n²) with σ_n = r_c max(√n, 1)/n_max, n = 0..n_max − 1,
    Löwdin-orthonormalised; the density is (πσ²)^(−3/4) exp(−|x − r|²/2σ²).

    References
    ----------
    Musil et al., J. Chem. Phys. 154, 114109 (2021).

    Examples
    --------
    >>> basis = GaussianTypeOrbitals(density_width=0.2)
    >>> basis.evaluate(np.array([1.5]), cutoff=2.0, max_radial=6, max_angular=3).shape
    (1, 6, 4)
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    type: Literal["gto"] = "gto"
    density_width: float = Field(default=0.2, gt=0, description="width σ of the density, Å")

    def evaluate(
        self, r: np.ndarray, *, cutoff: float, max_radial: int, max_angular: int
    ) -> np.ndarray:
        """R_nl at the distances ``r`` (point,): an array (point, n, l)."""
        n = np.arange(max_radial)
        widths = cutoff * np.maximum(np.sqrt(n), 1.0) / max_radial
        # the widest orbital and the smeared atom at the cutoff must both have decayed
        end = max(cutoff + 10 * self.density_width, 12 * widths[-1])
        panels = int(np.ceil(end / min(self.density_width, widths[0])))
        x, w = _composite_gauss_legendre(end, panels)
        primitives = x[:, None] ** n * np.exp(-(x[:, None] ** 2) / (2 * widths**2))
        primitives = primitives / np.sqrt((w * x**2) @ primitives**2)
        overlap = np.einsum("x,xn,xm->nm", w * x**2, primitives, primitives)
        eigenvalues, vectors = np.linalg.eigh(overlap)
        orbitals = primitives @ (vectors / np.sqrt(eigenvalues)) @ vectors.T

        sigma2 = self.density_width**2
        prefactor = 4 * np.pi * (np.pi * sigma2) ** -0.75
        argument = np.outer(r, x) / sigma2
        gauss = np.exp(-((r[:, None] - x) ** 2) / (2 * sigma2)) * (w * x**2) * prefactor
        radial = np.empty((len(r), max_radial, max_angular + 1))
        for o3_lambda in range(max_angular + 1):
            radial[:, :, o3_lambda] = (gauss * _scaled_bessel_i(o3_lambda, argument)) @ orbitals
        return radial


class LaplacianEigenstates(BaseModel):
    """R_nl(r) = N_nl j_l(z_nl r/r_c) of a sharp atom at distance r, zero at the cutoff.

    z_nl is the n-th positive zero of j_l, N_nl normalises ∫_0^{r_c} R² r² dr to one.

    References
    ----------
    Bigi, Huguenin-Dumittan, Ceriotti, Manolopoulos, J. Chem. Phys. 157, 234101 (2022).

    Examples
    --------
    >>> basis = LaplacianEigenstates()
    >>> edge = basis.evaluate(np.array([2.0]), cutoff=2.0, max_radial=6, max_angular=3)
    >>> bool(abs(edge).max() < 1e-12)
    True
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    type: Literal["laplacian"] = "laplacian"

    def evaluate(
        self, r: np.ndarray, *, cutoff: float, max_radial: int, max_angular: int
    ) -> np.ndarray:
        """R_nl at the distances ``r`` (point,): an array (point, n, l)."""
        zeros = _spherical_bessel_zeros(max_radial, max_angular)
        radial = np.empty((len(r), max_radial, max_angular + 1))
        for o3_lambda in range(max_angular + 1):
            z = zeros[o3_lambda]
            norm = np.sqrt(2 / cutoff**3) / np.abs(spherical_jn(o3_lambda + 1, z))
            radial[:, :, o3_lambda] = norm * spherical_jn(o3_lambda, np.outer(r, z) / cutoff)
        return radial


RadialBasis = Annotated[GaussianTypeOrbitals | LaplacianEigenstates, Field(discriminator="type")]


def _composite_gauss_legendre(end: float, panels: int) -> tuple[np.ndarray, np.ndarray]:
    x, w = np.polynomial.legendre.leggauss(16)
    width = end / panels
    nodes = (np.arange(panels)[:, None] + 0.5 * (x + 1)) * width
    return nodes.ravel(), np.tile(0.5 * w * width, panels)


def _scaled_bessel_i(o3_lambda: int, x: np.ndarray) -> np.ndarray:
    """exp(−x) i_l(x), finite where i_l itself overflows, and right at x = 0."""
    if o3_lambda == 0:
        return np.where(x > 0, -np.expm1(-2 * x) / np.where(x > 0, 2 * x, 1.0), 1.0)
    safe = np.where(x > 0, x, 1.0)
    return np.where(x > 0, np.sqrt(np.pi / (2 * safe)) * ive(o3_lambda + 0.5, safe), 0.0)


def _spherical_bessel_zeros(count: int, max_angular: int) -> np.ndarray:
    """z[l, n], the first zeros of each j_l; those of j_{l+1} interlace with those of j_l."""
    zeros = np.pi * np.arange(1, count + max_angular + 1)
    table = [zeros[:count]]
    for o3_lambda in range(1, max_angular + 1):
        zeros = np.array(
            [
                brentq(lambda x, l=o3_lambda: spherical_jn(l, x), low, high, xtol=1e-15)
                for low, high in pairwise(zeros)
            ]
        )
        table.append(zeros[:count])
    return np.stack(table)
