"""Fitting of potentials and latents: one way for all solvers."""
