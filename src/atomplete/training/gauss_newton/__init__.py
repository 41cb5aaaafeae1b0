"""Non-linear least squares by damped Gauss–Newton steps."""
