"""Overlaps of Slater orbitals against integrals over space."""

import numpy as np
import pytest
import torch

from atomplete.potentials.tight_binding.overlaps import slater_overlaps


def integrals(distance, exponent):
    """By quadrature in the coordinates ξ = (a + b) / R and η = (a − b) / R of two centres."""
    eta, of_eta = np.polynomial.legendre.leggauss(60)
    t, of_t = np.polynomial.laguerre.laggauss(60)
    rate = exponent * distance
    xi, eta = np.meshgrid(1 + t / rate, eta, indexing="ij")
    a, b = distance / 2 * (xi + eta), distance / 2 * (xi - eta)
    cos_a, cos_b = (1 + xi * eta) / (xi + eta), -(1 - xi * eta) / (xi - eta)  # towards b
    sines = np.sqrt((1 - cos_a**2) * (1 - cos_b**2))
    weight = np.outer(of_t * np.exp(t) / rate, of_eta) * (distance / 2) ** 3 * (xi**2 - eta**2)
    radial = (2 * exponent) ** 5 / 24 * a * b * np.exp(-exponent * (a + b)) * weight
    angular = 0.5, 3**0.5 / 2 * cos_b, 1.5 * cos_a * cos_b, 0.75 * sines
    return [(radial * part).sum() for part in angular]


@pytest.mark.parametrize("exponent", [0.9, 1.3])
@pytest.mark.parametrize("distance", [1.0, 2.8, 7.0])
def test_overlaps_are_integrals(distance, exponent):
    found = slater_overlaps(torch.tensor(distance * exponent, dtype=torch.float64))
    assert found.tolist() == pytest.approx(integrals(distance, exponent), abs=1e-12)
