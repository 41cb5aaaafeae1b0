"""Descriptors and solvers of potentials that need no other option."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch

from atomplete.data.dataset import Dataset
from atomplete.descriptors import RandomFourierSpec
from atomplete.descriptors.random_fourier.spec import LevelSpec
from atomplete.system import System
from atomplete.training.closed_form.ridge import RidgeSpec
from atomplete.training.natural_gradient.natural_gradient import NaturalGradientSpec

#: Channels of rows with one tagged neighbour, at least.
CHANNELS = 32

#: Rows without and with two tagged neighbours: few, for the theorem.
CENTER, PAIR = LevelSpec(channels=64, features=0), LevelSpec(channels=16, features=64)


class Budget(NamedTuple):
    """Bounds of the cost of a fit in closed form.

    Attributes
    ----------
    operations
        Floating-point operations for the derivatives of all features.
    coefficients
        Their normal matrix takes eight bytes times their square, the fit three to four times that.
    channels, cosines
        Channels of rows with one tagged neighbour, at most, and cosines for each channel.
    """

    operations: float
    coefficients: int
    channels: int
    cosines: int


#: For a thousand molecules four to five minutes on two cores and 8 GB; seven minutes and 14 GB.
FAST, ACCURATE = Budget(25e12, 16_500, 320, 16), Budget(48e12, 20_000, 200, 31)

#: Radius of the tagged neighbours, Å: those beyond it add cost, and little to learn.
TAG_CUTOFF = 4.0

#: Closed form; derivatives in single precision lose nothing, and take half the time.
SOLVER = RidgeSpec(
    penalty="diagonal", strengths=tuple(10.0**k for k in range(-12, -5)), dtype="float32"
)

#: Tagged neighbours of a centre, on average and at most, in potentials whose features are trained.
TAGS = 14


def drawn(dataset: Dataset, training: System, budget: Budget) -> RandomFourierSpec:
    """Random Fourier features for a fit in closed form; how many, the data and their cost say.

    Parameters
    ----------
    dataset
        All structures with their labels.
    training
        Those that a potential is fitted to, with pairs within its cutoff.
    budget
        Bounds.

    Examples
    --------
    >>> import ase
    >>> dimers = [ase.Atoms("B2", [(0, 0, 0), (0, 0, r)], info={"energy": r}) for r in (1.6, 1.8)]
    >>> data = Dataset.from_structures(dimers)
    >>> drawn(data, System.from_atoms(dimers, 5.0), FAST).neighbor.features
    536
    """
    tag_cutoff = min(TAG_CUTOFF, training.cutoff)
    near = torch.linalg.vector_norm(training.r_ij, dim=-1) < tag_cutoff
    tagged = torch.bincount(training.i[near], minlength=len(training.centers))
    derivatives = int((tagged * 3 * training.neighbor_counts).sum())
    products = budget.operations / (2 * max(derivatives, 1))  # channels times cosines
    channels = max(int((products / budget.cosines) ** 0.5), CHANNELS)
    channels = min(channels, budget.channels)
    labels = dataset.energies, dataset.forces, dataset.stresses
    n_labels = sum(int(of_kind.isfinite().sum()) for of_kind in labels)
    species = _species(dataset)
    coefficients = min(max(n_labels, 1000 * len(species)), budget.coefficients)
    others = channels + CENTER.channels + PAIR.channels + PAIR.features
    of_memory = coefficients // len(species) - others
    cosines = min(budget.cosines * channels, int(products / channels), of_memory)
    return RandomFourierSpec(
        cutoff=training.cutoff,
        tag_cutoff=tag_cutoff,
        species=species,
        center=CENTER,
        neighbor=LevelSpec(channels=channels, features=max(cosines, 100)),
        pair=PAIR,
    )


def trained(dataset: Dataset, training: System) -> RandomFourierSpec:
    """Few features, to be trained, that are cheap to evaluate; parameters as ``drawn``.

    Where neighbours are many, those nearer by are tagged.
    """
    distance = torch.linalg.vector_norm(training.r_ij, dim=-1).sort().values
    most = TAGS * len(training.centers)
    nearest = distance[most].item() if most < len(distance) else TAG_CUTOFF
    return RandomFourierSpec(
        cutoff=training.cutoff,
        tag_cutoff=min(training.cutoff, round(min(TAG_CUTOFF, nearest), 2)),
        species=_species(dataset),
        max_radial=6,
        max_angular=2,
        center=LevelSpec(channels=32, features=0),
        neighbor=LevelSpec(channels=64, features=64, frequency=0.5),
        pair=LevelSpec(channels=8, features=16, frequency=0.5),
    )


def _species(dataset: Dataset) -> tuple[int, ...]:
    return tuple(sorted({int(z) for atoms in dataset.structures for z in atoms.numbers}))


class Preset(NamedTuple):
    """A descriptor by the data and the distances in training structures, and a solver."""

    descriptor: Callable[[Dataset, System], RandomFourierSpec]
    solver: RidgeSpec | NaturalGradientSpec


PRESETS = {
    "fast": Preset(partial(drawn, budget=FAST), SOLVER),
    "accurate": Preset(partial(drawn, budget=ACCURATE), SOLVER),
    "tiny": Preset(trained, NaturalGradientSpec()),
}
