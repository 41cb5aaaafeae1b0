"""Rigid motions of a structure, as directions in the space of its coordinates."""

import numpy as np
from jaxtyping import Float

from atomplete.audit.feature_map import FeatureMap
from atomplete.degenerate.congruence.alignment import Floats
from atomplete.degenerate.congruence.congruence import Level
from atomplete.errors import InputError


def movable(features: FeatureMap) -> Float[np.ndarray, "atom 3"]:
    """Positions of the template: of its neighbours, or of all atoms from their centroid.

    Examples
    --------
    >>> from ase import Atoms
    >>> from atomplete.audit.subjects.named import subject_of
    >>> bond = Atoms("BH", [(0, 0, 0), (0, 0, 1.2)])
    >>> movable(FeatureMap(subject_of("power_spectrum"), bond, "environment", 2.0))
    array([[0. , 0. , 1.2]])
    """
    atoms, positions = features.template, features.movable
    if len(atoms) < 2 or atoms.pbc.any():
        raise InputError(
            f"{atoms.get_chemical_formula() or 'no atoms'}: local resolution takes two atoms or "
            "more, and no periodic cell"
        )
    return positions if features.level == "environment" else positions - positions.mean(axis=0)


def rigid_motions(
    positions: Float[np.ndarray, "atom 3"], level: Level
) -> Float[np.ndarray, "coordinate motion"]:
    """Orthonormal rotations about the origin and, at the structure level, translations.

    Examples
    --------
    >>> rigid_motions(np.array([[0.0, 0.0, 1.0]]), "environment").shape
    (3, 2)
    """
    motions = [np.cross(axis, positions).ravel() for axis in np.eye(3)]
    if level == "structure":
        motions += [np.tile(axis, len(positions)) for axis in np.eye(3)]
    return _orthonormal(np.stack(motions, axis=1))


def _orthonormal(vectors: Float[np.ndarray, "coordinate vector"]) -> Floats:
    """Basis of the space that columns of order one span."""
    left, values, _ = np.linalg.svd(vectors, full_matrices=False)
    basis: Floats = left[:, values > 1e-6 * max(float(values.max(initial=0.0)), 1e-6)]
    return basis


def without(space: Floats, other: Floats) -> Floats:
    """The part of a space that is orthogonal to another, both bases orthonormal."""
    left, values, _ = np.linalg.svd(space - other @ (other.T @ space), full_matrices=False)
    part: Floats = left[:, values > 0.5]
    return part
