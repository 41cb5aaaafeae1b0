"""Verbs that take potentials to engines of molecular dynamics."""
