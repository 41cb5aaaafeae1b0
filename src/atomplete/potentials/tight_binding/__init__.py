"""Self-consistent-charge tight binding with integrals that depend on their surroundings."""
