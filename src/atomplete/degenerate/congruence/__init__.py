"""Congruence of environments and structures, decided exactly."""

from atomplete.degenerate.congruence.congruence import congruence_distance

__all__ = ["congruence_distance"]
