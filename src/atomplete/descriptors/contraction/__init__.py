"""Contractions of feature rows by uncentred principal components."""
