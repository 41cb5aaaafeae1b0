"""Tables of numbers that a potential linear in random Fourier features is computed from."""

from math import prod
from typing import Any, NamedTuple

import numpy as np
import torch
from ase.units import Bohr, Hartree
from torch import Tensor

from atomplete.descriptors.random_fourier.environments import DECAY_LENGTH
from atomplete.errors import InputError
from atomplete.potentials.repulsion import LENGTH, SCREENING

#: Parts of a form, relative to its largest one, that are left out.
ROUNDING = 1e-13


class Tables(NamedTuple):
    """Sizes and arrays, with all constant factors inside.

    Attributes
    ----------
    sizes
        Plain data.
    arrays
        By name, float64 or int32.
    """

    sizes: dict[str, Any]
    arrays: dict[str, np.ndarray]


def refuse_without_kernel(potential: Any) -> None:
    """Raise an InputError for a potential that the kernel does not compute."""
    spec: Any = getattr(potential, "spec", None)
    parts = (spec, getattr(spec, "descriptor", None), getattr(spec, "readout", None))
    types = [str(part.type) for part in parts if part is not None] or [type(potential).__name__]
    if types != ["descriptor_potential", "random_fourier", "linear"]:
        raise InputError(
            "the kernel computes potentials that are linear in random Fourier features, not "
            + " with ".join(types)
        )
    if spec.centers != "all":
        raise InputError("the kernel computes potentials whose centers are all atoms")
    unseen = set(potential.species) - set(spec.descriptor.species)
    if unseen:
        raise InputError(
            f"the kernel computes potentials whose centers are neighbors as well, but atomic "
            f"number {min(unseen)} is none"
        )
    potential.descriptor.refuse_unfitted()


def tables_of(potential: Any) -> Tables:
    """Tables of a potential, for the elements that it knows as centres.

    The scales of features and energies are in the coefficients of cosines and channels, and
    deviations of the channels in their forms.

    Raises
    ------
    InputError
        For a potential of another kind, see ``refuse_without_kernel``.
    """
    refuse_without_kernel(potential)
    descriptor = potential.descriptor
    spec = descriptor.spec
    species = sorted(potential.species)
    neighbor = [spec.species.index(z) for z in species]
    center = [potential.species.index(z) for z in species]
    weights = potential.readout.weights.double()
    weights = weights[center] if len(weights) > 1 else weights.expand(len(species), -1)
    weights = weights * potential.feature_scale * potential.scale
    arrays = {"reference": potential.reference[center], **_of_repulsion(potential, species)}
    first = 0
    for n_tagged, level in enumerate(spec.levels):
        split = (level.features, level.channels)
        of_cosines, of_channels = weights[:, first : first + sum(split)].split(split, 1)
        arrays |= {f"cosines_{n_tagged}": of_cosines, f"linear_{n_tagged}": of_channels}
        arrays |= _of_level(descriptor, n_tagged, neighbor)
        first += sum(split)
    sizes = {
        "species": species,
        "cutoff": descriptor.cutoff,
        "tag_cutoff": descriptor.tag_cutoff,
        "decay_length": DECAY_LENGTH,
        "max_radial": spec.max_radial,
        "max_angular": spec.max_angular,
        "channels": [level.channels for level in spec.levels],
        "features": [level.features for level in spec.levels],
        "odd": descriptor.n_odd,
    }
    return Tables(sizes, {name: _plain(value) for name, value in arrays.items()})


def _of_repulsion(potential: Any, species: list[int]) -> dict[str, np.ndarray]:
    """Reach, screening length, Å, and charges, eV Å, of each pair; nothing reaches without one."""
    z = np.array(species, float)
    reach = np.zeros((len(z), len(z)))
    if potential.repulsion is not None:
        places = [potential.repulsion.species.index(number) for number in species]
        reach = potential.repulsion.reach.cpu().numpy()[np.ix_(places, places)]
    return {
        "reach": reach,
        "lengths": LENGTH / np.add.outer(z**0.23, z**0.23),
        "charges": Hartree * Bohr * np.outer(z, z),
        "screening": np.array(SCREENING),
    }


def _plain(value: Tensor | np.ndarray) -> np.ndarray:
    array = value.detach().cpu().numpy() if torch.is_tensor(value) else np.asarray(value)
    return np.ascontiguousarray(array, "<f8" if array.dtype.kind == "f" else "<i4")


def _of_level(
    descriptor: Any, n_tagged: int, neighbor: list[int]
) -> dict[str, Tensor | np.ndarray]:
    """Arrays of the rows with so many tagged neighbours."""
    of_level = {
        name: getattr(descriptor, f"{name}_{n_tagged}").double()
        for name in ("radial", "forms", "frequencies", "phases", "deviations")
    }
    n_species = len(descriptor.spec.species)
    if n_tagged < 2:
        chosen = neighbor if n_tagged else [0]
    else:
        pairs = [(a, b) for k, a in enumerate(neighbor) for b in neighbor[k:]]
        chosen = [min(pair) * n_species + max(pair) for pair in pairs]
    deviations = of_level["deviations"].clone()
    n_odd = descriptor.n_odd[n_tagged]
    deviations[len(deviations) - n_odd :] **= 0.5  # these channels are squared afterwards
    bounds, entries, couplings, weights = paths_of(
        of_level["forms"].cpu().numpy(), descriptor.spec.max_angular
    )
    arrays = {
        "radial": of_level["radial"][neighbor].permute(0, 1, 2, 4, 3),
        "frequencies": of_level["frequencies"],
        "phases": of_level["phases"][chosen],
        "paths": bounds,
        "entries": entries,
        "couplings": couplings,
        "weights": weights / deviations.cpu().numpy(),
    }
    return {f"{name}_{n_tagged}": value for name, value in arrays.items()}


def paths_of(
    forms: np.ndarray, max_angular: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Trilinear forms F[c, x, y, z] as sums over paths of weight[path, c] · coupling[x, y, z].

    Within a block of three angular orders the forms of all channels are multiples of one
    coupling, by construction; if they are not, the block takes several paths.

    Returns
    -------
    bounds
        (path + 1,), entries of each path.
    entries
        (entry, 3), x, y and z of couplings that are not zero, sorted by (y, z) in each path.
    couplings
        (entry,).
    weights
        (path, channel).

    Examples
    --------
    >>> forms = np.zeros((2, 2, 2, 2))
    >>> forms[:, 0, 0, 1] = 3.0, 4.0
    >>> bounds, entries, couplings, weights = paths_of(forms, 0)
    >>> entries.tolist(), (couplings[:, None] * weights).tolist()
    ([[0, 0, 1]], [[3.0, 4.0]])
    """
    ends = [*((l + 1) ** 2 for l in range(max_angular + 1)), (max_angular + 1) ** 2 + 1]
    blocks = [slice(a, b) for a, b in zip([0, *ends[:-1]], ends, strict=True)]
    bounds, entries, couplings, weights = [0], [], [], []
    for one in blocks:
        for two in blocks:
            for three in blocks:
                left = forms[:, one, two, three].copy()
                shape = left.shape[1:]
                left = left.reshape(len(forms), prod(shape))
                largest = np.abs(left).max(initial=0.0)
                while np.abs(left).max(initial=0.0) > ROUNDING * largest:
                    channel, place = np.unravel_index(np.abs(left).argmax(), left.shape)
                    weight = left[:, place].copy()
                    coupling = left[channel] / left[channel, place]
                    left -= np.outer(weight, coupling)
                    kept = np.flatnonzero(np.abs(coupling) > ROUNDING)
                    xyz = np.stack(np.unravel_index(kept, shape), 1)
                    order = np.lexsort((xyz[:, 0], xyz[:, 2], xyz[:, 1]))
                    entries.append(xyz[order] + [one.start, two.start, three.start])
                    couplings.append(coupling[kept][order])
                    weights.append(weight)
                    bounds.append(bounds[-1] + len(kept))
    return (
        np.array(bounds, np.int32),
        np.concatenate([np.zeros((0, 3)), *entries]).astype(np.int32),
        np.concatenate([np.zeros(0), *couplings]),
        np.stack(weights) if weights else np.zeros((0, len(forms))),
    )
