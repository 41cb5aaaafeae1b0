"""Random Fourier features of rows without tags, of one and of two tagged neighbours."""
