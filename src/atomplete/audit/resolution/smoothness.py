"""Smoothness of features where a neighbour leaves, passes a line or comes as near as another.

One neighbour is moved through the cutoff, through a line with the centre and another neighbour, or
past the distance of another from the centre. Values and slopes extrapolated to that point from
either side are compared, at two steps: where the difference does not shrink with the step, there
is a jump or a kink.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from atomplete.audit.feature_map import FeatureMap
from atomplete.audit.records import Continuity
from atomplete.audit.subjects.subject import significant_bits
from atomplete.degenerate.congruence.alignment import Floats
from atomplete.errors import InputError

Event = Literal["cutoff", "collinear", "swap"]

#: Distances in Å from the event at which features are taken: k = 1, 2, 3 of either step.
STEPS = (1e-2, 1e-3)

# A difference is there if it is more than this part of the features (or slopes, per Å), and does
# not shrink by more than this with the step.
_LEAST, _SHRINKS = 1e-7, 0.5

# In single precision it has to be so many times the rounding; what rotations leave above this part
# of the features is no rounding.
_OVER_NOISE, _NO_ROUNDING = 100.0, 1e-6


@dataclass(frozen=True)
class Smoothness:
    """Behaviour of features as a neighbour passes a point.

    Attributes
    ----------
    event
        What it passes.
    jump
        Difference of the features on either side, relative to their size.
    kink
        Difference of their derivatives, relative to their size, 1/Å.
    verdict
        "smooth" (the first derivative is continuous), "kink" or "jump".

    Examples
    --------
    >>> Smoothness("cutoff", 0.0, 0.3, "kink").verdict
    'kink'
    """

    event: Event
    jump: float
    kink: float
    verdict: Continuity


def smoothness(features: FeatureMap, event: Event, cutoff: float | None = None) -> Smoothness:
    """Move a neighbour of an environment through an event, and compare both sides.

    Parameters
    ----------
    features
        At the environment level; the template is the environment.
    event
        "cutoff": the farthest neighbour leaves. "collinear": the second neighbour passes the
        point opposite to the first. "swap": it passes the first one's distance from the centre.
    cutoff
        Radius of the environment, Å, for the first of these.

    Returns
    -------
    Smoothness
        Along this one path: a descriptor may be smooth here and not elsewhere.

    Raises
    ------
    InputError
        At the structure level, for fewer than two neighbours, or without the cutoff.

    Examples
    --------
    >>> from ase import Atoms
    >>> from atomplete.audit.subjects.of_function import FunctionSubject
    >>> def sorted_distances(atoms, center):
    ...     return np.sort(atoms.get_all_distances()[center])
    >>> subject = FunctionSubject("sorted distances", sorted_distances)
    >>> bent = Atoms("OH2", [(0, 0, 0), (0, 0, 1.0), (0, 0.9, 0)])
    >>> smoothness(FeatureMap(subject, bent, "environment", 2.0), "swap").verdict
    'kink'
    """
    if features.level != "environment" or len(features.template) < 3:
        raise InputError(
            f"{features.template.get_chemical_formula()}: smoothness is looked at in an "
            "environment of two neighbours or more"
        )
    path = _path(features.template.positions[1:], event, cutoff)
    least = max(_LEAST, _OVER_NOISE * _rounding(features, path(STEPS[0])))
    jumps, kinks = zip(*(_differences(features, path, step) for step in STEPS), strict=True)
    verdict: Continuity = "smooth"
    if jumps[1] > least and jumps[1] > _SHRINKS * jumps[0]:
        verdict = "jump"
    elif kinks[1] > least / STEPS[1] and kinks[1] > _SHRINKS * kinks[0]:
        verdict = "kink"
    return Smoothness(event, jumps[1], kinks[1], verdict)


def _rounding(features: FeatureMap, positions: Floats) -> float:
    """Effect of rounding on rotated copies, or on the numbers, relative to the features."""
    turns = Rotation.from_rotvec(np.eye(3)).as_matrix()
    before, *after = features(np.array([positions, *(positions @ turn.T for turn in turns)]))
    size = float(np.linalg.norm(before)) or 1.0
    noise = float(np.linalg.norm(after - before, axis=1).max()) / size
    return min(max(noise, 2.0 ** -significant_bits([before])), _NO_ROUNDING)


def _path(positions: Floats, event: Event, cutoff: float | None) -> Callable[[float], Floats]:
    """Positions at a distance from the event, in Å along the path of one neighbour."""
    radii = np.linalg.norm(positions, axis=1)
    moving, start, direction = 1, positions[1], positions[1] / radii[1]
    if event == "cutoff":
        if cutoff is None:
            raise InputError("the cutoff must be given to see what happens there")
        moving = int(radii.argmax())
        direction = positions[moving] / radii[moving]
        start = cutoff * direction
    elif event == "swap":
        start = radii[0] * direction
    else:
        axis = positions[0] / radii[0]
        direction = np.cross(axis, np.eye(3)[np.abs(axis).argmin()])
        direction /= np.linalg.norm(direction)
        start = -radii[1] * axis

    def at(t: float) -> Floats:
        moved = positions.copy()
        moved[moving] = start + t * direction
        return moved

    return at


def _differences(
    features: FeatureMap, path: Callable[[float], Floats], step: float
) -> tuple[float, float]:
    """Jump and kink at t = 0, extrapolated from three points on either side."""
    sides = []
    for sign in (1, -1):
        f: Float[np.ndarray, "3 feature"] = features(
            np.array([path(sign * k * step) for k in (1, 2, 3)])
        )
        value = 3 * f[0] - 3 * f[1] + f[2]
        slope = sign * (-2.5 * f[0] + 4 * f[1] - 1.5 * f[2]) / step
        sides.append((value, slope, float(np.linalg.norm(f[0]))))
    (right, right_slope, size), (left, left_slope, other_size) = sides
    size = max(size, other_size) or 1.0
    return (
        float(np.linalg.norm(right - left) / size),
        float(np.linalg.norm(right_slope - left_slope) / size),
    )
