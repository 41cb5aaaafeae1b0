"""Local resolution of a file of structures, as rows of a table."""

from collections.abc import Sequence
from typing import Any, get_args

import numpy as np
from ase import Atoms

from atomplete.audit.resolution.null_direction import follow_softest
from atomplete.audit.resolution.resolved_directions import larger_bases, local_resolution
from atomplete.audit.resolution.smoothness import Event, smoothness
from atomplete.audit.subjects.feature_maps import feature_map, own_cutoff, own_spec
from atomplete.degenerate.congruence.congruence import Level
from atomplete.degenerate.congruence.environment import environment
from atomplete.degenerate.search.starts import Limits
from atomplete.errors import InputError

#: The default cutoff over the distance of the farthest atom.
MARGIN = 1.25

#: Where a path along the softest direction ends, over the distance of the farthest atom.
REACH = 1.1

_COLUMNS = {
    "structure": "structure",
    "formula": "formula",
    "verdict": "verdict",
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
    "soft_separation": "Å along soft",
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
    index = atoms.info.get("center", 0) if center is None else center
    if level == "environment" and index not in range(len(atoms)):
        raise InputError(f"center {index} is no atom of {len(atoms)}")
    if level == "environment":
        everything = float(np.ptp(atoms.positions, axis=0).sum()) + 1.0
        atoms = environment(atoms, cutoff or everything, center)
        extent = np.linalg.norm(atoms.positions, axis=1).max()
    else:
        atoms = Atoms(atoms.numbers, atoms.positions)
        extent = atoms.get_all_distances().max()
    if extent == 0:
        raise InputError(f"{atoms.get_chemical_formula()}: no neighbour within the cutoff")
    return atoms, float(extent), cutoff or MARGIN * float(extent)


def resolution_rows(
    representation: str,
    structures: Sequence[Atoms],
    *,
    level: Level,
    center: int | None = None,
    cutoff: float | None = None,
    max_radial: int | None = None,
    max_angular: int | None = None,
    sweep: int = 3,
    follow: int = 0,
    shortest: float = 0.8,
) -> list[dict[str, Any]]:
    """Local resolution and smoothness of a representation at each structure.

    Parameters
    ----------
    representation
        By name, as in `feature_map`.
    structures
        The structures.
    level, center, cutoff
        As in `prepared`; the cutoff of a spec that names one is that.
    max_radial, max_angular
        Basis of our own representations.
    sweep
        Larger bases to try where there are zeros, for our own representations.
    follow
        Steps along the softest direction.
    shortest
        Distance in Å at which such a path ends.

    Returns
    -------
    list of dict
        A row for each structure, plain data.

    Raises
    ------
    InputError
        Names the structure.

    Examples
    --------
    >>> bent = Atoms("B3", [(0, 0, 0), (0, 1.3, 0.9), (0.2, -1.5, 0.6)])
    >>> (row,) = resolution_rows("power_spectrum", [bent], level="environment")
    >>> row["verdict"], row["rank"], row["directions"], row["swap"]
    ('resolved', 3, 3, 'smooth')
    """
    rows = []
    basis = {"max_radial": max_radial, "max_angular": max_angular}
    own = own_cutoff(representation)
    for index, given in enumerate(structures):
        try:
            atoms, extent, radius = prepared(given, level, center, cutoff or own)
            features = feature_map(representation, atoms, level, radius, **basis)
            spec = own_spec(representation, atoms, radius, **basis)
            larger = larger_bases(spec, atoms, level, sweep) if spec is not None else ()
            found = local_resolution(features, larger)
            row: dict[str, Any] = {
                "subject": representation,
                "structure": index,
                "formula": found.formula,
                "level": level,
                "cutoff": radius,
                "group": found.group,
                "verdict": found.verdict,
                "rank": found.rank,
                "directions": found.directions,
                "required_zeros": found.required_zeros,
                "spurious_zeros": found.spurious_zeros,
                "truncated_zeros": None if found.verdict == "spurious" else found.truncated_zeros,
                "resolved_by": found.resolved_by,
                "condition": found.condition if np.isfinite(found.condition) else None,
                "noise": found.noise,
                "singular_values": found.singular_values.tolist(),
            }
            if level == "environment" and len(atoms) > 2:
                for event in get_args(Event):
                    name = "cutoff_passed" if event == "cutoff" else event
                    row[name] = smoothness(features, event, radius).verdict
            if follow:
                limits = Limits(shortest, REACH * extent)
                path = follow_softest(features, limits, n_steps=follow)
                row["soft_separation"] = float(path.separations[-1])
                row["soft_feature_distance"] = float(path.feature_distances[-1])
        except InputError as error:
            raise InputError(f"structure {index}: {error}") from error
        rows.append(row)
    return rows


def format_table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as a table of text, without the columns that all of them lack.

    Examples
    --------
    >>> print(format_table([{"structure": 0, "verdict": "resolved", "rank": 3, "noise": 2.1e-16}]))
    structure  verdict   rank  noise
    0          resolved  3     2.1e-16
    """
    names = [name for name in _COLUMNS if any(name in row for row in rows)]
    cells = [[_COLUMNS[name] for name in names]]
    cells += [[_cell(name, row) for name in names] for row in rows]
    widths = [max(len(line[k]) for line in cells) for k in range(len(names))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) for line in cells]
    return "\n".join(line.rstrip() for line in lines)


def _cell(name: str, row: dict[str, Any]) -> str:
    value = row.get(name)
    if name == "verdict" and row.get("resolved_by"):
        return f"{value}, {row['resolved_by']} resolves"
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3f}" if name == "soft_separation" else f"{value:.2g}".replace("e+0", "e+")
    return str(value)
