"""NICE: density correlations of high order by iteration and contraction (N = 0)."""
