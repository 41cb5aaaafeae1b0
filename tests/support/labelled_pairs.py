"""Labelled pairs without an electronic-structure code, and a table that is filled in a second."""

from functools import cache

import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator

from atomplete.data import write_structures
from atomplete.degenerate.families.registry import generate

#: Representations and models so small that a row of the table takes a fraction of a second.
SMALL = {
    "three_center": {
        "expansion": {"max_radial": 3, "max_angular": 2},
        "radial_components": 2,
        "components": [40, 16],
    },
    "density_correlations": {"expansion": {"max_radial": 3, "max_angular": 2}},
    "nice": {
        "expansion": {"max_radial": 3, "max_angular": 2},
        "max_nu": 4,
        "components": 0.999,
        "candidates": 60,
    },
    "autoencoder": {
        "encoder": {"hidden": [32, 16], "latent": [12, 4]},
        "decoder": [16, 16],
        "targets": [20, 10],
    },
    "deep_set": {"hidden": [32, 16], "head": [16]},
    "head": {"hidden": [16]},
    "train_autoencoder": {"epochs": 8, "batch_structures": 8},
    "train": {"epochs": 8, "batch_structures": 8},
    "train_head": {"epochs": 8, "batch_structures": 8},
    "best": {
        "model": {"basis": {"max_radial": 4, "max_radial_surroundings": 1, "widths": [1.5]}},
        "fit": {"iterations": 3},
    },
}


def embedding_energy(atoms):
    """Σ_i sqrt(Σ_j exp(−2 r_ij)): unlike a sum over pairs of atoms, it differs within a pair."""
    r = atoms.get_all_distances()
    density = np.exp(-2 * (r - 1.5)).sum(1) - np.exp(3.0)
    return -2.0 * float(np.sqrt(density).sum())


def labelled(n_pairs, energy=embedding_energy):
    """The first pairs of the paper's draw with energies and forces."""
    structures = generate("b8", n_pairs)
    for atoms, of_atoms in zip(structures, labels_of(n_pairs, energy), strict=True):
        atoms.calc = SinglePointCalculator(atoms, energy=of_atoms[0], forces=of_atoms[1].copy())
    return structures


@cache
def labels_of(n_pairs, energy):
    structures = generate("b8", n_pairs)
    return [(energy(atoms), -numerical_gradient(energy, atoms)) for atoms in structures]


def numerical_gradient(energy, atoms, step=1e-4):
    """Central differences, eV/Å."""
    gradient = np.empty_like(atoms.positions)
    for place in np.ndindex(*atoms.positions.shape):
        moved = [atoms.copy(), atoms.copy()]
        moved[0].positions[place] += step
        moved[1].positions[place] -= step
        gradient[place] = (energy(moved[0]) - energy(moved[1])) / (2 * step)
    return gradient


def write_labelled(path, n_pairs, energy=embedding_energy):
    """Write them to a file; returns its path."""
    write_structures(path, labelled(n_pairs, energy))
    return path
