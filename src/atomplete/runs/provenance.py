"""Versions of everything that numbers depend on, and cores to compute them with."""

import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, packages_distributions, version

#: Packages whose versions features, models and their errors depend on, given structures and labels.
COMPUTING = ("atomplete", "torch", "numpy", "scipy", "ase", "vesin", "wigners")

_LABELLING = ("tblite", "pyscf")


def versions() -> dict[str, str]:
    """Version of Python and of each package that is installed, those of labels included.

    Examples
    --------
    >>> sorted(versions())[:2]
    ['ase', 'atomplete']
    """
    return {"python": platform.python_version(), **versions_of((*COMPUTING, *_LABELLING))}


def versions_of(packages: Iterable[str]) -> dict[str, str]:
    """Version of each of these packages that is installed.

    Examples
    --------
    >>> sorted(versions_of(("numpy", "no such package")))
    ['numpy']
    """
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def versions_behind(path: str) -> dict[str, str]:
    """Versions of the packages, if any, that an import path such as ``ase.build:bulk`` leads to.

    Examples
    --------
    >>> list(versions_behind("ase.calculators.emt:EMT")), list(versions_behind("file.py:make"))
    (['ase'], [])
    """
    module = path.partition(":")[0].partition(".")[0]
    return versions_of(packages_distributions().get(module, []))


def cores() -> int:
    """Number of cores that this process may use.

    Examples
    --------
    >>> cores() >= 1
    True
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
