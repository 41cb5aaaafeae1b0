"""Representations of O(3): real spherical harmonics, Clebsch–Gordan blocks, Wigner matrices."""

from atomplete.o3.clebsch_gordan import clebsch_gordan, coupled_triples
from atomplete.o3.spherical_harmonics import lm_slice, spherical_harmonics
from atomplete.o3.wigner import random_rotation, wigner_d

__all__ = [
    "clebsch_gordan",
    "coupled_triples",
    "lm_slice",
    "random_rotation",
    "spherical_harmonics",
    "wigner_d",
]
