"""Batteries of tests for descriptors and potentials of one's own, and symmetries to assert."""

from atomplete.testing.descriptors import DESCRIPTOR_CHECKS, check_descriptor
from atomplete.testing.potentials import POTENTIAL_CHECKS, check_potential
from atomplete.testing.symmetries import assert_equivariant, assert_invariant, permuted, rotated

__all__ = [
    "DESCRIPTOR_CHECKS",
    "POTENTIAL_CHECKS",
    "assert_equivariant",
    "assert_invariant",
    "check_descriptor",
    "check_potential",
    "permuted",
    "rotated",
]
