"""Fits of what is linear in its coefficients, in closed form."""
