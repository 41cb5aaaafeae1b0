"""Places of neighbours in the frame of one three-centre row, from all rows that share its axis.

A row (i, i1, i2) holds the density in the frame in which i1 lies on the axis z and i2 in the half
plane x > 0. In another row with the same i1 the same density is turned about z, by the azimuth of
its i2 in the first frame. The density need not resolve the neighbours: it is a mark by which
azimuths are compared.
"""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float

from atomplete.degenerate.congruence.alignment import Floats
from atomplete.o3 import lm_slice, spherical_harmonics
from atomplete.reconstruction.tags import TagReader, Tags

# Azimuths that are tried first for each order l, then steps of Newton; and a step of differences.
_PER_ORDER, _STEPS, _DIFFERENCE = 16, 8, 1e-5

# Damping of the steps, relative to rows of norm one; it leaves alone what moves no row.
_DAMPING = 1e-14

# Azimuths agree as well as the best one up to this factor, or if only so little is left of a row.
_AS_GOOD, _LEAST = 10.0, 1e-10

# Deviation of a cosine from one that is rounding.
_ROUNDING = 1e-13

# Steps that are rounding, and deviations of a size.
_CONVERGED, _SAME_SIZE = 1e-13, 1e-10

# Sizes that change by more than this factor over the cutoff tell a length.
_STEEP = 1e3


def density_of_row(
    reader: TagReader, tags: Tags, row: int
) -> tuple[Float[np.ndarray, "lm channel"], float]:
    """The density in the frame of one row, by linear least squares, and how well it is fixed.

    The second is the smallest singular value of what the row sees of each l, times the norm of
    the row; components about an axis that two collinear neighbours leave open are zero.
    """
    seen = _seen(reader, tags, row)
    n_lm = seen.shape[1]
    found = np.zeros((n_lm, tags.contracted.shape[2]))
    conditions = []
    for l3 in range(int(np.sqrt(n_lm))):
        of_order = [k for k, triple in enumerate(reader.triples) if triple[2] == l3]
        matrix = seen[of_order][:, lm_slice(l3)]
        found[lm_slice(l3)], _, _, values = np.linalg.lstsq(
            matrix, tags.contracted[row, of_order], rcond=1e-9
        )
        conditions.append(values.min() / np.linalg.norm(seen))
    return found, float(min(conditions)) * float(tags.size[row])


def _seen(reader: TagReader, tags: Tags, row: int) -> Float[np.ndarray, "triple lm"]:
    """Linear map from the density in the frame of a row to its contracted features."""
    amplitude = reader.amplitudes(tags.species[[row]], tags.lengths[[row]])[0]
    direction = _directions(np.full(1, _angle(tags.cosine[row])), np.zeros(1))
    harmonics = _harmonics(direction, reader.couplings.shape[1])[0]
    return amplitude[:, None] * np.einsum("tab,a->tb", reader.couplings, harmonics)


def places(
    reader: TagReader,
    tags: Tags,
    density: Float[np.ndarray, "lm channel"],
    row: int,
    tolerance: float,
) -> Float[np.ndarray, "place 3"]:
    """Find positions, Å, of the second neighbour of a row in the frame of a density.

    None if the row has another density, several if the density is symmetric about the axis.
    """
    amplitude = reader.amplitudes(tags.species[[row]], tags.lengths[[row]])[0]
    marks = amplitude[:, None, None] * (reader.couplings @ density)  # triple lm2 channel
    marks = marks.transpose(1, 0, 2).reshape(marks.shape[1], -1)
    given = tags.contracted[row].ravel()
    size = np.linalg.norm(given)

    def residual(directions: Floats) -> Floats:
        # without the size, which a length near the cutoff is too sensitive for
        expected = _harmonics(directions, len(marks)) @ marks
        expected /= np.maximum(np.linalg.norm(expected, axis=1, keepdims=True), 1e-300)
        difference: Floats = expected - given / size
        return difference

    n_orders = int(np.sqrt(len(marks)))
    azimuths = np.linspace(-np.pi, np.pi, _PER_ORDER * n_orders, endpoint=False)
    directions = _directions(np.full(len(azimuths), _angle(tags.cosine[row])), azimuths)
    cost = np.square(residual(directions)).sum(axis=1)
    least = (cost <= np.roll(cost, 1)) & (cost <= np.roll(cost, -1))
    # the grid as it is, too: where that agrees, the azimuth is open
    directions = np.vstack([_improved(residual, directions[least]), directions])
    norms = np.linalg.norm(residual(directions), axis=1)
    directions = directions[norms <= min(tolerance, max(_AS_GOOD * norms.min(), _LEAST))]
    if not len(directions):
        return directions
    expected = _harmonics(directions[:1], len(marks))[0] @ marks
    scale = float(expected @ given) / float(expected @ expected)
    return _length(reader, tags, row, scale) * directions


def _length(reader: TagReader, tags: Tags, row: int, scale: float) -> float:
    """Length of the second neighbour of a row that is so many times what it should be.

    Near the cutoff, where the radial functions vanish, the size of a row tells the length better
    than its direction in the space of channels does.
    """
    species, lengths = tags.species[[row]], tags.lengths[[row]]
    cutoff = reader.descriptor.tag_cutoff
    if abs(scale - 1.0) < _SAME_SIZE:
        return float(lengths[0, 1])
    wanted = scale * np.linalg.norm(reader.amplitudes(species, lengths))
    for _ in range(_STEPS):
        step = _DIFFERENCE * (cutoff - lengths[0, 1])
        sizes = []
        for change in (-step, step, 0.0):
            moved = lengths + np.array([0.0, change])
            sizes.append(np.linalg.norm(reader.amplitudes(species, moved)))
        slope = (sizes[1] - sizes[0]) / (2 * step * sizes[2])
        if not (abs(slope) * cutoff > _STEEP and wanted > 0):
            break
        # Newton in the logarithm of the distance to the cutoff, of which the size is a power
        power = -slope * (cutoff - lengths[0, 1])
        left = (cutoff - lengths[0, 1]) * np.exp(np.log(wanted / sizes[2]) / power)
        lengths[0, 1] = cutoff - np.clip(left, 0.0, 0.5 * cutoff)
    return float(lengths[0, 1])


def _angle(cosine: float) -> float:
    """The angle, zero or π where it differs from these by rounding only."""
    return float(np.arccos(np.round(cosine) if 1 - abs(cosine) < _ROUNDING else cosine))


def _improved(residual: Callable[[Floats], Floats], directions: Floats) -> Floats:
    """Directions after steps of Gauss–Newton on the sphere."""
    for _ in range(_STEPS):
        # two tangents: the axis z may be the direction itself
        spare = np.eye(3)[np.abs(directions).argmin(axis=1)]
        first = np.cross(directions, spare)
        first /= np.linalg.norm(first, axis=1, keepdims=True)
        tangents = np.stack([first, np.cross(directions, first)], axis=2)
        moved = directions[..., None] + np.concatenate([tangents, -tangents], 2) * _DIFFERENCE
        moved /= np.linalg.norm(moved, axis=1, keepdims=True)
        plus_1, plus_2, minus_1, minus_2 = (residual(moved[..., k]) for k in range(4))
        slopes = np.stack([plus_1 - minus_1, plus_2 - minus_2], axis=2) / (2 * _DIFFERENCE)
        # a density that is symmetric about the axis leaves a tangent open
        left, values, right = np.linalg.svd(slopes, full_matrices=False)
        along = left.transpose(0, 2, 1) @ residual(directions)[..., None]
        damped = values / (np.square(values) + _DAMPING)
        step = -right.transpose(0, 2, 1) @ (damped[..., None] * along)
        if np.abs(step).max() < _CONVERGED:
            break
        step = np.clip(step, -0.1, 0.1)
        directions = directions + (tangents @ step)[..., 0]
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return directions


def _directions(angles: Floats, azimuths: Floats) -> Float[np.ndarray, "direction 3"]:
    sine = np.sin(angles)
    return np.stack([sine * np.cos(azimuths), sine * np.sin(azimuths), np.cos(angles)], axis=1)


def _harmonics(directions: Floats, n_lm: int) -> Float[np.ndarray, "direction lm"]:
    order = int(np.sqrt(n_lm)) - 1
    found: Floats = spherical_harmonics(torch.from_numpy(directions), order).numpy()
    return found
