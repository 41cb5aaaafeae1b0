"""Training of random Fourier features by natural gradients."""
