"""A user's functions of an environment: symmetry functions written out, one without species."""

import numpy as np


def _inside(atoms, center, cutoff):
    vectors = np.delete(atoms.positions, center, axis=0) - atoms.positions[center]
    numbers = np.delete(atoms.numbers, center)
    near = np.linalg.norm(vectors, axis=1) < cutoff
    return vectors[near], numbers[near]


def distances_and_products(atoms, center, cutoff, species):
    """Sums over neighbours and over pairs of neighbours, species by species."""
    vectors, numbers = _inside(atoms, center, cutoff)
    r = np.linalg.norm(vectors, axis=1)
    f = (1 - r / cutoff) ** 3
    found = []
    for a in species:
        found += [f[numbers == a].sum(), (f * r)[numbers == a].sum()]
        for b in species:
            one, two = numbers == a, numbers == b
            products = vectors[one] @ vectors[two].T
            found.append((f[one][:, None] * f[two] * np.cos(products + 0.3)).sum())
    return np.array(found)


def without_species(atoms, center, cutoff):
    """The same of one species, whatever the atoms are."""
    atoms.numbers[:] = 6
    return distances_and_products(atoms, center, cutoff, [6])
