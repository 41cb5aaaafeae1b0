"""Verdicts: measured differences of pairs above a measured noise floor."""
