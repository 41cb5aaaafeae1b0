"""Density correlations (N = 0): power spectrum, bispectrum, and so on."""
