"""Uncertainty of fitted potentials, and structures whose labels would lower it."""
