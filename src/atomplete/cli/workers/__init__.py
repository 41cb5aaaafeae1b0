"""Verbs that compute elsewhere."""
