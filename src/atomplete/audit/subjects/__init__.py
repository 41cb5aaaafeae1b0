"""Descriptors and models that can be audited, one module a package they come from."""
