"""Error of reconstructed structures that noise of the features makes, from the Jacobian."""

import numpy as np
from jaxtyping import Float

from atomplete.audit.feature_map import FeatureMap
from atomplete.audit.resolution.rigid_motions import movable, rigid_motions, without

# Singular values below this part of the largest are zero.
_ZERO = 1e-10


def position_errors(features: FeatureMap, noise: float) -> Float[np.ndarray, " atom"]:
    """Root mean square displacement of each atom, Å, to first order in the noise.

    The fit of structures to features is unweighted, and rigid motions do not count.

    Parameters
    ----------
    features
        The subject, with the structure as template.
    noise
        Norm of the noise relative to that of the features; it is the same for all features.

    Returns
    -------
    ndarray
        Of the neighbours, or of all atoms at the structure level; infinite for all of them if the
        features leave a direction of motion open, as symmetry may require.

    Raises
    ------
    InputError
        For periodic structures, or less than two atoms.

    Examples
    --------
    >>> from ase import Atoms
    >>> from atomplete.audit import subject_of
    >>> water = Atoms("OH2", [(0, 0, 0), (0, 0, 1.0), (0, 0.9, -0.4)])
    >>> features = FeatureMap(subject_of("power_spectrum"), water, "environment", 2.0)
    >>> position_errors(features, 1e-6) < 1e-5
    array([ True,  True])
    """
    positions = movable(features)
    values, jacobians = features.jacobian(positions[None])
    rigid = rigid_motions(positions, features.level)
    free = without(np.eye(positions.size), rigid)
    left, spread, right = np.linalg.svd(jacobians[0] @ free, full_matrices=False)
    if len(spread) < free.shape[1] or spread[-1] <= _ZERO * spread[0]:
        return np.full(len(positions), np.inf)
    deviation = noise * float(np.linalg.norm(values[0])) / np.sqrt(len(left))
    moved = free @ (right.T / spread) * deviation  # coordinate, direction of the features
    errors: Float[np.ndarray, " atom"] = np.sqrt(
        np.square(moved).sum(axis=1).reshape(-1, 3).sum(axis=1)
    )
    return errors
