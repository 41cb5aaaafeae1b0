"""Potentials in the forms that engines of molecular dynamics in torch read."""
