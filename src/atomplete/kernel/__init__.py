"""A kernel without torch for potentials that are linear in random Fourier features."""
