"""Derivatives of feature rows with respect to positions and strain."""
