"""Structures from features: what a complete description must allow."""

from atomplete.reconstruction.rows import from_rows
from atomplete.reconstruction.solution import Reconstruction

__all__ = ["Reconstruction", "from_rows"]
