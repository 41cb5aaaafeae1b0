"""Functions as a user might write them: sound ones, and each of the ways to go wrong."""

import numpy as np


def distances_and_angles(atoms, center):
    """Sums over pairs of neighbours: smooth functions of two radii and an angle."""
    r = np.delete(atoms.positions, center, axis=0) - atoms.positions[center]
    norms = np.linalg.norm(r, axis=1)
    cosines = r @ r.T / np.outer(norms, norms)
    decays = [np.exp(-a * norms) for a in (0.3, 0.7)]
    pairs = [np.outer(x, y) for x in decays for y in decays]
    return np.array([np.sum(p * cosines**k) for p in pairs for k in range(6)])


def frame_dependent(atoms, center):
    return distances_and_angles(atoms, center) + 0.1 * np.ptp(atoms.positions[:, 2])


def order_dependent(atoms, center):
    r = np.linalg.norm(np.delete(atoms.positions, center, 0) - atoms.positions[center], axis=1)
    return np.concatenate([distances_and_angles(atoms, center), r])


def position_dependent(atoms, center):
    values = distances_and_angles(atoms, center)
    return values * (1 + 0.01 * np.linalg.norm(atoms.positions[center]))


def float16_rounded(atoms, center):
    return distances_and_angles(atoms, center).astype(np.float16)


def float32_rounded(atoms, center):
    return distances_and_angles(atoms, center).astype(np.float32)


def constant(atoms, center):
    return np.full(5, 0.5)


calls = np.random.default_rng(0)


def nan_now_and_then(atoms, center):
    values = distances_and_angles(atoms, center)
    return np.where(calls.uniform() < 0.03, np.nan, values)


def random(atoms, center):
    return distances_and_angles(atoms, center) + 0.1 * calls.normal()


def handed(atoms, center):
    r = np.delete(atoms.positions, center, axis=0) - atoms.positions[center]
    n = len(r)
    triples = [np.linalg.det(r[[a, b, c]]) for a in range(n) for b in range(n) for c in range(n)]
    weights = [
        np.linalg.norm(r[a]) * np.linalg.norm(r[b]) ** 2
        for a in range(n)
        for b in range(n)
        for c in range(n)
    ]
    return np.append(distances_and_angles(atoms, center), np.dot(triples, weights))


def raises(atoms, center):
    raise KeyError("no such orbital")


def text(atoms, center):
    return "carbon"


def digits(atoms, center):
    return ["1", "2"]


def complex_numbers(atoms, center):
    return distances_and_angles(atoms, center) * (1 + 1j)


def nothing(atoms, center):
    return None


def ragged(atoms, center):
    return [[1.0, 2.0], [3.0]]


def stops(atoms, center):
    raise SystemExit(3)


def one_row_too_many(atoms, center):
    return np.ones((len(atoms) + 1, 3))


def careless(atoms, center):
    values = distances_and_angles(atoms, center)
    atoms.positions[:] = 0.0
    atoms.info.clear()
    return values


buffer = np.zeros(24)


def one_array_for_all(atoms, center):
    buffer[:] = distances_and_angles(atoms, center)
    return buffer


def mostly_nan(atoms, center):
    values = distances_and_angles(atoms, center)
    return np.where(calls.uniform() < 0.5, np.nan, values)


def always_nan(atoms, center):
    return np.full(3, np.nan)


def wrong_shape(atoms, center):
    return np.zeros((2, 2, 2))


def other_lengths(atoms, center):
    return np.ones(2 + int((atoms.positions[:, 0] > 0).sum()))


def coulomb_energy(atoms):
    d = atoms.get_all_distances()[np.triu_indices(len(atoms), 1)]
    return float(np.sum(1 / d))


def coordination(atoms):
    d = atoms.get_all_distances() + 1e3 * np.eye(len(atoms))
    return np.stack([np.exp(-d).sum(1), np.exp(-d * d).sum(1)], axis=1)
