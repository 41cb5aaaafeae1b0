"""What each descriptor is blind to, and what it sees, above a measured noise floor.

Members of the families of degenerate environments are looked at from their centre. Blind means
equal to rounding; seen means that the difference exceeds what rotations, reflections and
permutations of one and the same environment leave, by a factor of a thousand at least.
"""

from functools import cache

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from atomplete.degenerate.congruence.congruence import congruence_distance
from atomplete.degenerate.families.registry import FAMILIES, get
from atomplete.descriptors import (
    DensityCorrelationsSpec,
    ExpansionSpec,
    ThreeCenterSpec,
    build,
)
from atomplete.radial import LaplacianEigenstates, PolynomialCutoff
from atomplete.system import System

N_MEMBERS = 20
DEG, OK = "DEG", "ok"

# Exact invariants of one environment, nothing tagged: columns are nu = 1, 2, 3.
TABLE = {
    "distances": (DEG, OK, OK),
    "prl_nu2": (DEG, DEG, OK),
    "prl_nu3": (DEG, DEG, DEG),
    "b8": (DEG, DEG, DEG),
    "chiral": (DEG, DEG, DEG),
    "antipodal": (DEG, DEG, OK),
}

#: Relative difference under which features are the same.
BLIND = 1e-10
#: Least ratio of a difference to the noise floor for it to be seen.
SEEN = 1e3


built = cache(build)


def copies(atoms, rng, proper_only):
    """The same environment, turned (or reflected) about the centre and listed in another order."""
    result = []
    for sign in (1.0,) if proper_only else (1.0, -1.0):
        order = np.concatenate([[0], 1 + rng.permutation(len(atoms) - 1)])
        copy = atoms[order]
        copy.positions = sign * copy.positions @ Rotation.random(rng=rng).as_matrix().T
        copy.info["center"] = 0
        result.append(copy)
    return result


def basis_of(plus, minus):
    """A basis that holds the whole of both environments, away from the cutoff."""
    species = tuple(sorted(set(plus.numbers[1:].tolist())))
    radius = max(np.linalg.norm(a.positions, axis=1).max() for a in (plus, minus))
    width = 0.3
    return ExpansionSpec(
        cutoff=float(np.ceil(1.15 * radius + width)),  # whole, so that few bases are built
        # several species multiply the channels: less is needed to tell atoms apart
        max_radial={1: 6, 2: 4, 3: 3}[len(species)],
        max_angular=3,
        species=species,
        radial=LaplacianEigenstates(),
        cutoff_function=PolynomialCutoff(width=width),
    )


def density(nu):
    """All invariants of one order: scalars, and pseudoscalars apart."""

    def describe(spec, structures, group):
        descriptor = built(DensityCorrelationsSpec(nu=(nu,), expansion=spec))
        features = descriptor(
            System.from_atoms(structures, spec.cutoff, centers=System.centers_of(structures))
        )
        return features.even, features.odd

    return describe


def linear_sum(spec, structures, group):
    """The plain sum of three-centre rows over (i1, i2)."""
    descriptor = built(ThreeCenterSpec(expansion=spec))
    features = descriptor(
        System.from_atoms(structures, spec.cutoff, centers=System.centers_of(structures))
    )
    odd = features.parity < 0
    total = features.sum_over_neighbors()
    return total[:, ~odd], total[:, odd]


def deep_set(spec, structures, group, n_functions=32):
    """Σ over (i1, i2) of random functions cos(w_e·x_e + b) cos(w_o·x_o) of the three-centre rows.

    For SO(3), cos(w_e·x_e + w_o·x_o + b), which is not even in the pseudoscalars.
    """
    descriptor = built(ThreeCenterSpec(expansion=spec))
    generator = torch.Generator().manual_seed(0)
    odd = descriptor.parity < 0
    weights = torch.randn(len(odd), n_functions, generator=generator, dtype=torch.float64)
    phase = 2 * torch.pi * torch.rand(n_functions, generator=generator, dtype=torch.float64)
    outputs, scale = [], None
    for atoms in structures:
        features = descriptor(
            System.from_atoms(atoms, spec.cutoff, centers=System.centers_of([atoms]))
        )
        if scale is None:
            # arguments of order one in the first environment, the same for all
            even, odd_size = (
                torch.linalg.vector_norm(v, dim=1).max().item()
                for v in (features.even, features.odd)
            )
            scale = 1 / even, 1 / max(odd_size, 1e-3 * even)
        even = scale[0] * features.even @ weights[~odd] + phase
        pseudo = scale[1] * features.odd @ weights[odd]
        rows = torch.cos(even + pseudo) if group == "SO3" else torch.cos(even) * torch.cos(pseudo)
        outputs.append((features.weight[:, None] * rows).sum(0))
    values = torch.stack(outputs)
    return values, values[:, :0]


DESCRIPTIONS = {
    "nu1": density(1),
    "nu2": density(2),
    "nu3": density(3),
    "linear sum": linear_sum,
    "deep set": deep_set,
}


def distances(even, odd, group):
    """From the first environment to all, relative to its size.

    A reflection turns the signs of all pseudoscalars at once: under O(3) either sign may do.
    """
    signs = (1,) if group == "SO3" else (1, -1)
    squares = torch.stack([(odd - sign * odd[0]).square().sum(1) for sign in signs])
    total = (even - even[0]).square().sum(1) + squares.min(0).values
    size = even[0].square().sum() + odd[0].square().sum()
    return (total / size).sqrt()


@pytest.fixture(scope="module")
def measured():
    """(family, description) → differences of its pairs, noise on copies; each measured once."""
    known = {}

    def measure(name, description, n_members=N_MEMBERS):
        if (name, description) not in known:
            family = get(name)
            rng = np.random.default_rng(0)
            differences, noise = [], []
            for plus, minus in family.pairs(n_members):
                same = copies(plus, rng, family.group == "SO3")
                structures = [plus, minus, *same]
                spec = basis_of(plus, minus)
                values = DESCRIPTIONS[description](spec, structures, family.group)
                distance = distances(*values, family.group)
                differences.append(distance[1].item())
                noise.append(distance[2:].max().item())
            known[name, description] = np.array(differences), np.array(noise)
        return known[name, description]

    return measure


def test_table_agrees_with_the_registry():
    assert {name: row.count(DEG) for name, row in TABLE.items()} == {
        name: FAMILIES[name].degenerate_nu for name in TABLE
    }


@pytest.mark.parametrize("nu", [1, 2, 3])
@pytest.mark.parametrize("name", TABLE)
def test_density_correlations(name, nu, measured):
    differences, noise = measured(name, f"nu{nu}")
    assert noise.max() < BLIND
    if TABLE[name][nu - 1] == DEG:
        assert differences.max() < BLIND
    else:
        assert differences.min() > SEEN * noise.max()


@pytest.mark.parametrize("name", TABLE)
def test_deep_set_of_three_centre_rows_sees_every_pair(name, measured):
    differences, noise = measured(name, "deep set")
    assert noise.max() < BLIND
    assert differences.min() > SEEN * noise.max()
    # and by as much as the environments differ: pair 6 of B8 by 1.35e-4 Å
    family = get(name)
    apart = [congruence_distance(*pair, group=family.group) for pair in family.pairs(N_MEMBERS)]
    assert min(apart) > 1e-4
    assert (differences / apart).min() > 1e-3


@pytest.mark.parametrize("name", ["b8", "chiral"])
def test_linear_sum_of_three_centre_rows_is_blind(name, measured):
    """As blind as the bispectrum, which it is: it takes the non-linear function to see."""
    differences, noise = measured(name, "linear sum", n_members=5)
    assert max(differences.max(), noise.max()) < BLIND


@pytest.mark.parametrize("description", ["nu1", "nu2", "nu3", "deep set"])
def test_controls_stay_equal(description, measured):
    differences, noise = measured("controls", description, n_members=10)
    assert max(differences.max(), noise.max()) < BLIND
