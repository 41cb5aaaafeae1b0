"""Molecular dynamics on ASE that can be trusted: logged, resumed, and stopped where data end."""
