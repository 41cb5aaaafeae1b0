"""Sizes of descriptors that are fitted in minutes, by what there is to fit."""

import torch

from atomplete.data.dataset import Dataset
from atomplete.descriptors import RandomFourierSpec
from atomplete.descriptors.random_fourier.spec import LevelSpec
from atomplete.system import System
from atomplete.training.closed_form.ridge import RidgeSpec

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
