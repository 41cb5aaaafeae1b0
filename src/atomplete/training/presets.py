"""Descriptors and solvers of potentials that need no other option."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import torch

from atomplete.data.dataset import Dataset
from atomplete.descriptors import RandomFourierSpec
from atomplete.descriptors.random_fourier.spec import LevelSpec
from atomplete.system import System
from atomplete.training.closed_form.ridge import RidgeSpec
from atomplete.training.natural_gradient.natural_gradient import NaturalGradientSpec

#: Floating-point operations for the derivatives of all features: minutes on two cores.
OPERATIONS = 12e12

#: Coefficients; their normal matrix takes eight bytes times its square.
COEFFICIENTS = 13_500

#: Channels of rows with one tagged neighbour, at least and at most, and cosines for each.
CHANNELS, COSINES_OF_CHANNEL = (32, 160), 25

#: Radius of the tagged neighbours, Å: those beyond it add cost, and little to learn.
TAG_CUTOFF = 4.0

#: Closed form; derivatives in single precision lose nothing, and take half the time.
SOLVER = RidgeSpec(
    penalty="diagonal", strengths=(1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5), dtype="float32"
)


#: Tagged neighbours of a centre, on average and at most, in potentials whose features are trained.
TAGS = 14


def fast(dataset: Dataset, training: System) -> RandomFourierSpec:
    """Random Fourier features for a fit in closed form; how many, the data and their cost say.

    Parameters
    ----------
    dataset
        All structures with their labels.
    training
        Those that a potential is fitted to, with pairs within its cutoff.

    Examples
    --------
    >>> import ase
    >>> dimers = [ase.Atoms("B2", [(0, 0, 0), (0, 0, r)], info={"energy": r}) for r in (1.6, 1.8)]
    >>> fast(Dataset.from_structures(dimers), System.from_atoms(dimers, 5.0)).neighbor.features
    800
    """
    species = tuple(sorted({int(z) for atoms in dataset.structures for z in atoms.numbers}))
    tag_cutoff = min(TAG_CUTOFF, training.cutoff)
    near = torch.linalg.vector_norm(training.r_ij, dim=-1) < tag_cutoff
    tagged = torch.bincount(training.i[near], minlength=len(training.centers))
    derivatives = int((tagged * 3 * training.neighbor_counts).sum())
    products = OPERATIONS / (2 * max(derivatives, 1))  # channels times cosines
    smallest, largest = CHANNELS
    channels = min(max(int((products / COSINES_OF_CHANNEL) ** 0.5), smallest), largest)
    labels = dataset.energies, dataset.forces, dataset.stresses
    n_labels = sum(int(of_kind.isfinite().sum()) for of_kind in labels)
    blocks = len(species)
    coefficients = min(max(n_labels, 1000 * blocks), COEFFICIENTS)
    of_cost = min(COSINES_OF_CHANNEL * channels, int(products / channels))
    cosines = min(of_cost, coefficients // blocks - 200)
    return RandomFourierSpec(
        cutoff=training.cutoff,
        tag_cutoff=tag_cutoff,
        species=species,
        center=LevelSpec(channels=64, features=0),
        neighbor=LevelSpec(channels=channels, features=max(cosines, 100)),
        pair=LevelSpec(channels=16, features=64),
    )


def tiny(dataset: Dataset, training: System) -> RandomFourierSpec:
    """Few features, to be trained, that are cheap to evaluate; parameters as ``fast``."""
    return RandomFourierSpec(
        **_environment(dataset, training),
        max_radial=6,
        max_angular=2,
        center=LevelSpec(channels=32, features=0),
        neighbor=LevelSpec(channels=64, features=64, frequency=0.5),
        pair=LevelSpec(channels=8, features=16, frequency=0.5),
    )


def accurate(dataset: Dataset, training: System) -> RandomFourierSpec:
    """More features, to be trained for an hour; parameters as ``fast``."""
    return RandomFourierSpec(
        **_environment(dataset, training),
        center=LevelSpec(channels=64, features=0),
        neighbor=LevelSpec(channels=128, features=192, frequency=0.5),
        pair=LevelSpec(channels=16, features=32, frequency=0.5),
    )


def _environment(dataset: Dataset, training: System) -> dict[str, Any]:
    """Cutoffs and species; where neighbours are many, those nearer by are tagged."""
    distance = torch.linalg.vector_norm(training.r_ij, dim=-1).sort().values
    most = TAGS * len(training.centers)
    nearest = distance[most].item() if most < len(distance) else TAG_CUTOFF
    return {
        "cutoff": training.cutoff,
        "tag_cutoff": round(min(TAG_CUTOFF, nearest, training.cutoff), 2),
        "species": tuple(sorted({int(z) for atoms in dataset.structures for z in atoms.numbers})),
    }


class Preset(NamedTuple):
    """A descriptor by the data and the distances in training structures, and a solver."""

    descriptor: Callable[[Dataset, System], RandomFourierSpec]
    solver: RidgeSpec | NaturalGradientSpec


PresetName = Literal["fast", "tiny", "accurate"]

PRESETS: dict[PresetName, Preset] = {
    "fast": Preset(fast, SOLVER),
    "tiny": Preset(tiny, NaturalGradientSpec(steps=800)),
    "accurate": Preset(accurate, NaturalGradientSpec(steps=2400)),
}
