"""Degenerate environments and structures, and the exact congruence that tells them apart."""
