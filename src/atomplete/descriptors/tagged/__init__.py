"""Correlations of tagged neighbours and densities, three-centre descriptors among them."""
