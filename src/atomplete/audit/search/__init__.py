"""Search for new degenerate pairs, by optimisation and among subsets."""
