"""Families of degenerate pairs, one module a construction, and their registry."""

from atomplete.degenerate.families.registry import FAMILIES, generate

__all__ = ["FAMILIES", "generate"]
