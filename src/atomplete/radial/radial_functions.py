"""Radial functions R_nl(r) of the two density models.

Gaussian-smeared densities on orthonormalised Gaussian-type orbitals (the paper's basis, the one
of librascal and featomic), and sharp (delta) densities on eigenfunctions of the Laplacian in a
ball, which are smooth by construction.
"""

from functools import lru_cache
from itertools import pairwise
from typing import Annotated, ClassVar, Literal

import mpmath
import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy.optimize import brentq
from scipy.special import ive, spherical_jn

from atomplete.errors import InputError

#: Condition of the overlaps of primitives, up to which float64 orthonormalises them to 1e-13.
WELL_CONDITIONED = 1e5

#: Widths of a Gaussian at which it is zero in float64.
NARROW = 39

#: Values of a Gaussian that are held at once.
NUMBERS_AT_ONCE = 2**18

#: Of a quadrature, 16 points each.
MOST_PANELS = 5000


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
    #: Largest number of radial functions; primitives are ever closer to linear dependence.
    most: ClassVar[int] = 40
    density_width: float = Field(default=0.2, gt=0, description="width σ of the density, Å")

    def evaluate(
        self, r: np.ndarray, *, cutoff: float, max_radial: int, max_angular: int
    ) -> np.ndarray:
        """R_nl at the distances ``r`` (point,): an array (point, n, l)."""
        x, w, orbitals = _gaussian_type_orbitals(cutoff, max_radial, self.density_width)
        sigma2 = self.density_width**2
        prefactor = 4 * np.pi * (np.pi * sigma2) ** -0.75
        radial = np.empty((len(r), max_radial, max_angular + 1))
        at_once = max(1, NUMBERS_AT_ONCE // len(x))
        for start in range(0, len(r), at_once):
            part = slice(start, start + at_once)
            some = r[part, None]
            # elsewhere the Gaussians of all these distances vanish
            ends = (
                some.min() - NARROW * self.density_width,
                some.max() + NARROW * self.density_width,
            )
            near = slice(*np.searchsorted(x, ends))
            argument = some * x[near] / sigma2
            gauss = np.exp(-((some - x[near]) ** 2) / (2 * sigma2))
            gauss = gauss * (w[near] * x[near] ** 2) * prefactor
            for o3_lambda in range(max_angular + 1):
                bessel = _scaled_bessel_i(o3_lambda, argument)
                radial[part, :, o3_lambda] = (gauss * bessel) @ orbitals[near]
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
    #: Largest number of radial functions.
    most: ClassVar[int] = 200

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


@lru_cache(maxsize=8)
def _gaussian_type_orbitals(
    cutoff: float, max_radial: int, density_width: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points and weights of a quadrature, and the orthonormal orbitals there, (point, n)."""
    n = np.arange(max_radial)
    widths = cutoff * np.maximum(np.sqrt(n), 1.0) / max_radial
    # the widest orbital and the smeared atom at the cutoff must both have decayed
    end = max(cutoff + 10 * density_width, 12 * widths[-1])
    panels = np.ceil(end / min(density_width, widths[0]))
    if panels > MOST_PANELS:
        raise InputError(
            f"a density of width {density_width:g} Å and orbitals of {widths[0]:.2g} Å and more "
            f"are too different to be integrated up to {end:.3g} Å"
        )
    x, w = _composite_gauss_legendre(end, int(panels))
    primitives = x[:, None] ** n * np.exp(-(x[:, None] ** 2) / (2 * widths**2))
    primitives = primitives / np.sqrt((w * x**2) @ primitives**2)
    overlap = np.einsum("x,xn,xm->nm", w * x**2, primitives, primitives)
    eigenvalues, vectors = np.linalg.eigh(overlap)
    if eigenvalues[-1] > WELL_CONDITIONED * eigenvalues[0]:
        return x, w, _orthonormal_by_many_digits(x, widths)
    return x, w, primitives @ (vectors / np.sqrt(eigenvalues)) @ vectors.T


def _orthonormal_by_many_digits(x: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """Löwdin-orthonormalised r^n exp(−r²/2σ_n²) where terms cancel to few digits of float64."""
    orders = range(len(widths))
    with mpmath.workdps(30 + 2 * len(widths)):
        exponents = [1 / (2 * mpmath.mpf(width) ** 2) for width in widths]

        def integral(n: int, m: int) -> mpmath.mpf:
            power = mpmath.mpf(n + m + 3) / 2
            return mpmath.gamma(power) / (2 * (exponents[n] + exponents[m]) ** power)

        norms = [1 / mpmath.sqrt(integral(n, n)) for n in orders]
        overlap = mpmath.matrix(
            [[norms[n] * norms[m] * integral(n, m) for m in orders] for n in orders]
        )
        eigenvalues, vectors = mpmath.eigsy(overlap)
        lowdin = vectors * mpmath.diag([1 / mpmath.sqrt(e) for e in eigenvalues]) * vectors.T
        columns = [[norms[n] * lowdin[n, m] for n in orders] for m in orders]
        orbitals = np.empty((len(x), len(widths)))
        for row, point in zip(orbitals, map(mpmath.mpf, x), strict=True):
            primitives = [point**n * mpmath.exp(-exponents[n] * point**2) for n in orders]
            row[:] = [float(mpmath.fdot(primitives, column)) for column in columns]
    return orbitals


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
