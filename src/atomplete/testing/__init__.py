"""Batteries of tests for potentials of one's own, and the symmetries that they assert."""

from atomplete.testing.potentials import POTENTIAL_CHECKS, check_potential
from atomplete.testing.symmetries import assert_equivariant, assert_invariant, permuted, rotated

__all__ = [
    "POTENTIAL_CHECKS",
    "assert_equivariant",
    "assert_invariant",
    "check_potential",
    "permuted",
    "rotated",
]
