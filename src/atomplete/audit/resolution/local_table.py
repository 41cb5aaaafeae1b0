"""Local resolution of a file of structures, as rows of a table."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, get_args

import numpy as np
from ase import Atoms

from atomplete.audit.feature_map import FeatureMap
from atomplete.audit.precision import precision_of
from atomplete.audit.records import LocalResolution
from atomplete.audit.resolution.null_direction import follow_softest
from atomplete.audit.resolution.resolved_directions import larger_bases, local_resolution
from atomplete.audit.resolution.smoothness import Event, smoothness
from atomplete.audit.search.starts import Limits
from atomplete.audit.subjects.subject import Subject
from atomplete.degenerate.congruence.congruence import Level
from atomplete.degenerate.congruence.environment import environment, extent
from atomplete.errors import InputError
from atomplete.system import center_of

#: The default cutoff over the distance of the farthest atom.
MARGIN = 1.25

#: Where a path along the softest direction ends, over the distance of the farthest atom.
REACH = 1.1

_COLUMNS = {
    "structure": "structure",
    "formula": "formula",
    "words": "verdict",
    "rank": "rank",
    "directions": "of",
    "required_zeros": "by symmetry",
    "spurious_zeros": "spurious",
    "truncated_zeros": "of the basis",
    "condition": "condition",
    "noise": "noise",
    "group": "group",
    "cutoff_passed": "cutoff",
    "collinear": "collinear",
    "swap": "swap",
    "soft_structural_distance": "Å along soft",
    "soft_feature_distance": "features",
}


def prepared(
    atoms: Atoms, level: Level, center: int | None, cutoff: float | None
) -> tuple[Atoms, float, float]:
    """The environment of a centre, or a whole structure, with its extent and a cutoff.

    Parameters
    ----------
    atoms
        The structure; periodic ones at the environment level only, with a cutoff.
    level
        What is looked at.
    center
        Index of the centre; by default ``info["center"]``, else 0.
    cutoff
        Å; by default `MARGIN` times the largest distance.

    Returns
    -------
    atoms, farthest, cutoff
        At the environment level the centre is atom 0, at the origin; the largest distance from
        the centre, or between two atoms, Å; and the cutoff, Å.

    Raises
    ------
    InputError
        If the structure is periodic otherwise, or has too few atoms.

    Examples
    --------
    >>> atoms, farthest, cutoff = prepared(
    ...     Atoms("OH", [(0, 0, 0), (0, 0, 1.2)]), "environment", None, None
    ... )
    >>> farthest, cutoff
    (1.2, 1.5)
    """
    if atoms.pbc.any() and (level == "structure" or cutoff is None):
        raise InputError(
            f"{atoms.get_chemical_formula()} is periodic: only its environments within a cutoff "
            "can be looked at, so give one"
        )
    if len(atoms) < 2 and not atoms.pbc.any():
        raise InputError(f"{atoms.get_chemical_formula() or 'no atoms'}: too few atoms")
    if level == "environment":
        if center is None:
            center = center_of(atoms, atoms.get_chemical_formula(), 0)
        if center not in range(len(atoms)):
            raise InputError(f"center {center} is no atom of {len(atoms)}")
        everything = float(np.ptp(atoms.positions, axis=0).sum()) + 1.0
        atoms = environment(atoms, cutoff or everything, center)
    else:
        atoms = Atoms(atoms.numbers, atoms.positions)
    farthest = extent(atoms, level)
    if farthest == 0:
        raise InputError(f"{atoms.get_chemical_formula()}: no neighbour within the cutoff")
    return atoms, farthest, cutoff or MARGIN * farthest


def in_basis(
    features: FeatureMap, max_radial: int | None = None, max_angular: int | None = None
) -> FeatureMap:
    """The same features with another number of radial functions, or largest l, where given.

    Raises
    ------
    InputError
        If the subject has no basis to choose.

    Examples
    --------
    >>> from atomplete.audit.subjects.named import subject_of
    >>> features = FeatureMap(subject_of("power_spectrum"), Atoms("B2"), "environment", 2.0)
    >>> in_basis(features, max_radial=6)(np.ones((1, 1, 3))).shape
    (1, 84)
    """
    if max_radial is None and max_angular is None:
        return features
    basis = features.subject.basis(features.scope)
    if basis is None:
        raise InputError(f"{features.subject.name} has no basis to choose")
    n = basis.max_radial if max_radial is None else max_radial
    l = basis.max_angular if max_angular is None else max_angular
    return features.of(features.subject.at(replace(basis, max_radial=n, max_angular=l)))


def resolution_rows(
    subject: Subject,
    structures: Sequence[Atoms],
    *,
    level: Level,
    center: int | None = None,
    cutoff: float | None = None,
    max_radial: int | None = None,
    max_angular: int | None = None,
    position_precision: float | None = None,
    sweep: int = 3,
    follow: int = 0,
    shortest: float = 0.8,
) -> list[LocalResolution]:
    """Local resolution and smoothness of a subject at each structure.

    Parameters
    ----------
    subject
        The subject.
    structures
        The structures.
    level, center, cutoff
        As in `prepared`; a subject with a cutoff of its own has that.
    max_radial, max_angular
        As in `in_basis`.
    position_precision
        Largest error of the coordinates, Å; by default what their digits leave open.
    sweep
        Larger bases to try where there are zeros, for subjects that have one to choose.
    follow
        Steps along the softest direction.
    shortest
        Distance in Å at which such a path ends.

    Raises
    ------
    InputError
        Names the structure.

    Examples
    --------
    >>> from atomplete.audit.subjects.named import subject_of
    >>> bent = Atoms("B3", [(0, 0, 0), (0, 1.3, 0.9), (0.2, -1.5, 0.6)])
    >>> (row,) = resolution_rows(subject_of("power_spectrum"), [bent], level="environment")
    >>> row.verdict, row.rank, row.directions, row.swap
    ('resolved', 3, 3, 'smooth')
    """
    rows = []
    for index, given in enumerate(structures):
        try:
            atoms, farthest, radius = prepared(given, level, center, cutoff or subject.cutoff)
            features = FeatureMap(subject, atoms, level, radius)
            features = in_basis(features, max_radial, max_angular)
            precision = precision_of(given, position_precision)
            found = local_resolution(features, larger_bases(features, sweep), precision)
            more: dict[str, Any] = {"structure": index}
            for event in get_args(Event) if level == "environment" and len(atoms) > 2 else ():
                name = "cutoff_passed" if event == "cutoff" else event
                more[name] = smoothness(features, event, radius).verdict
            if follow:
                path = follow_softest(features, Limits(shortest, REACH * farthest), n_steps=follow)
                more["soft_structural_distance"] = float(path.structural_distances[-1])
                more["soft_feature_distance"] = float(path.feature_distances[-1])
        except InputError as error:
            raise InputError(f"structure {index}: {error}") from error
        rows.append(found.model_copy(update=more))
    return rows


def format_table(rows: Sequence[LocalResolution]) -> str:
    """The rows as a table of text, without the columns that all of them lack.

    Examples
    --------
    >>> format_table([])
    ''
    """
    names = [name for name in _COLUMNS if any(getattr(row, name) is not None for row in rows)]
    cells = [[_COLUMNS[name] for name in names]]
    cells += [[_cell(name, row) for name in names] for row in rows]
    widths = [max(len(line[k]) for line in cells) for k in range(len(names))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) for line in cells]
    return "\n".join(line.rstrip() for line in lines)


def _cell(name: str, row: LocalResolution) -> str:
    value = getattr(row, name)
    if value is None:
        return "-"
    if name == "soft_structural_distance":
        return f"{value:.3f}"
    return f"{value:.2g}".replace("e+0", "e+") if isinstance(value, float) else str(value)
