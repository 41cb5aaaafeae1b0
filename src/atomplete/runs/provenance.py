"""Versions of everything that numbers depend on."""

import platform
from importlib.metadata import PackageNotFoundError, version

_PACKAGES = ("atomplete", "torch", "numpy", "scipy", "ase", "vesin", "wigners", "tblite", "pyscf")


def versions() -> dict[str, str]:
    """Version of Python and of each package that is installed.

    Examples
    --------
    >>> sorted(versions())[:2]
    ['ase', 'atomplete']
    """
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
