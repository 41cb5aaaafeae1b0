"""Random Fourier features against closed forms: Legendre's theorem, the kernel, autograd."""

from dataclasses import replace

import ase.build
import numpy as np
import pytest
import torch
from ase import Atoms
from scipy.special import eval_legendre

from atomplete.degenerate.families.registry import get
from atomplete.descriptors import LevelSpec, RandomFourier, RandomFourierSpec
from atomplete.descriptors.random_fourier.environments import (
    environments,
    expansion,
    of_densities,
    of_tags,
)
from atomplete.descriptors.random_fourier.mixing import couplings
from atomplete.descriptors.random_fourier.rows import rows_of
from atomplete.errors import InputError
from atomplete.system import System
from atomplete.testing.descriptors import DESCRIPTOR_CHECKS

SPECIES = (1, 6, 8)
SMALL = RandomFourierSpec(
    cutoff=4.0,
    tag_cutoff=3.0,
    species=SPECIES,
    center=LevelSpec(channels=16, features=8, frequency=0.5),
    neighbor=LevelSpec(channels=12, features=8, frequency=0.5),
    pair=LevelSpec(channels=12, features=8, frequency=0.5),
)
STRUCTURES = [
    ase.build.molecule("CH3CH2OH"),
    ase.build.molecule("CH4"),
    Atoms("CO", [(0, 0, 0), (1.4, 0.3, 0.2)], cell=np.eye(3) * 2.4 + 0.1, pbc=True),
]


@pytest.fixture(scope="module")
def system():
    return System.from_atoms(STRUCTURES, SMALL.cutoff)


@pytest.fixture(scope="module")
def descriptor(system):
    return RandomFourier(SMALL).fit([system])


@pytest.mark.parametrize("check", DESCRIPTOR_CHECKS.values(), ids=DESCRIPTOR_CHECKS)
def test_battery(check, descriptor):
    check(descriptor, SPECIES)


def test_derivatives_are_those_of_the_features(descriptor, system):
    r_ij = system.r_ij.detach().requires_grad_()
    values = descriptor(replace(system, vectors=r_ij)).values
    found = torch.full((len(r_ij), 3, values.shape[1]), torch.nan, dtype=torch.float64)
    for pair, change in descriptor.center_derivatives(system):
        found[pair] = change
    for k in range(values.shape[1]):
        (expected,) = torch.autograd.grad(values[:, k].sum(), r_ij, retain_graph=True)
        torch.testing.assert_close(found[:, :, k], expected, rtol=0, atol=1e-11)


def test_two_factors_are_legendre_polynomials_of_the_angle():
    """<g_j, g_k> of order l is (2l + 1) R(r_j) R(r_k) P_l(cos θ) / 4π."""
    generator = torch.Generator().manual_seed(1)
    forms, _ = couplings(2, 4, 3, generator)
    lm = [0, 1, 4, 9]  # the first component of each l
    weight_of_l = [float(forms[0, k, k, 16]) for k in lm]
    atoms = Atoms("CHO", [(0, 0, 0), (0.3, 1.0, 0.2), (-0.7, 0.4, 1.1)])
    system = System.from_atoms(atoms, 4.0, centers=[0])
    (table,) = environments(system, torch.tensor([0, 1]), 4.0, 4.0)
    weights = torch.randn(2, 5, 2, 4, 4, generator=generator, dtype=torch.float64)
    found = expansion(table, 2, 5, 3, 4.0)
    given = of_tags(found, 2, weights), of_densities(found, weights[:, :, 1:])
    rows = rows_of(*given, torch.ones(1, 2, dtype=torch.float64), 2, forms, 1)

    r = table.r[0].numpy()
    length = np.linalg.norm(r, axis=1)
    x = (1 - np.exp(-length / 2)) / (1 - np.exp(-2))
    s = 1 - length / 4
    inside = s**3 * (10 - 15 * s + 6 * s**2)
    radial = np.array(
        [
            [
                sum(
                    float(weights[z, n, 0, 0, l]) * np.sin(np.pi * (n + 1) * x[k]) * inside[k]
                    for n in range(5)
                )
                for l in range(4)
            ]
            for k, z in enumerate(table.species[0].tolist())
        ]
    )
    cosine = r[0] @ r[1] / length.prod()
    expected = sum(
        weight_of_l[l] * radial[0, l] * radial[1, l] * (2 * l + 1) / (4 * np.pi)
        * eval_legendre(l, cosine)
        for l in range(4)
    )  # fmt: skip
    assert float(rows.values[0, 0, 0]) == pytest.approx(expected, rel=1e-12)


def test_cosines_approximate_a_gaussian_kernel():
    """Products of cosines average to exp(−|h − h'|² f² / 2C) / 2 over frequencies and phases."""
    none = LevelSpec(channels=0, features=0)
    center = LevelSpec(channels=4, features=100_000, frequency=1.0)
    spec = SMALL.model_copy(update={"center": center, "neighbor": none, "pair": none})
    system = System.from_atoms(STRUCTURES[:1], spec.cutoff)
    values = RandomFourier(spec).fit([system])(system).values
    cosines, rows = values[:, :100_000], values[:, 100_000:]
    kernel = 2 * cosines @ cosines.T / cosines.shape[1]
    expected = torch.exp(-torch.cdist(rows, rows).square() / (2 * 4))
    torch.testing.assert_close(kernel, expected, rtol=0, atol=0.015)


@pytest.mark.parametrize("family", ["prl_nu2", "prl_nu3", "b8", "antipodal"])
def test_what_density_correlations_confuse_is_told_apart(family):
    structures = [atoms for pair in get(family).pairs(2) for atoms in pair]
    cutoff = 1.3 * max(np.ptp(atoms.positions, axis=0).max() for atoms in structures)
    species = tuple(sorted({int(z) for atoms in structures for z in atoms.numbers}))
    spec = RandomFourierSpec(
        cutoff=cutoff,
        species=species,
        pair=LevelSpec(channels=16, features=64, frequency=1.0),
        neighbor=LevelSpec(channels=0, features=0),
        center=LevelSpec(channels=0, features=0),
    )
    system = System.from_atoms(structures, cutoff, centers="info")
    values = RandomFourier(spec).fit([system])(system).values
    turned = [atoms.copy() for atoms in structures]
    for atoms in turned:
        atoms.rotate(70, (1, 2, 3))
    noise = RandomFourier(spec).fit([system])(System.from_atoms(turned, cutoff, centers="info"))
    floor = (noise.values - values).norm(dim=1).max()
    apart = (values[::2] - values[1::2]).norm(dim=1)
    assert (apart > 1e3 * floor).all()


def test_unknown_species_are_refused(descriptor):
    atoms = Atoms("CN", [(0, 0, 0), (0, 0, 1.2)])
    with pytest.raises(InputError, match="structure 0: atom of atomic number 7"):
        descriptor(System.from_atoms(atoms, SMALL.cutoff))


def test_the_seed_is_all_that_is_random(system):
    first, again, other = (
        RandomFourier(SMALL.model_copy(update={"seed": seed})).fit([system])(system).values
        for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


def test_rounding_of_planar_molecules_is_no_feature():
    planar = [ase.build.molecule(name) for name in ("H2O", "CO2", "H2CO")]
    for seed, atoms in enumerate(planar):
        atoms.rotate(20 + seed, (1, 2, 3))
    descriptor = RandomFourier(SMALL).fit([System.from_atoms(planar, SMALL.cutoff)])
    # channels of two tagged neighbours, the last ones pseudoscalars, which vanish in a plane
    assert (descriptor.deviations_2[-descriptor.n_odd[2] :] == 1.0).all()
    turned = planar[2].copy()
    turned.rotate(77, (3, 1, 2))
    values = descriptor(System.from_atoms([planar[2], turned], SMALL.cutoff)).values
    torch.testing.assert_close(values[:4], values[4:], rtol=0, atol=1e-10)
    twisted = descriptor(System.from_atoms(ase.build.molecule("H2O2"), SMALL.cutoff)).values
    assert twisted.abs().max() < 1e3
