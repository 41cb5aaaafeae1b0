"""Environments from three-centre rows, against the ones that the rows were computed from."""

import numpy as np
import pytest
import torch
from ase import Atoms
from scipy.spatial.transform import Rotation

from atomplete.degenerate.congruence.congruence import congruence_distance
from atomplete.degenerate.families.registry import FAMILIES
from atomplete.degenerate.random_structures import random_environment
from atomplete.descriptors import ExpansionSpec, ThreeCenter, ThreeCenterSpec
from atomplete.errors import InputError
from atomplete.reconstruction import from_rows
from atomplete.system import System

CUTOFF = 4.0


def descriptor(species=(6,), cutoff=CUTOFF, n=4, l=2, **options):
    expansion = ExpansionSpec(
        cutoff=cutoff,
        species=species,
        max_radial=n,
        max_angular=l,
        radial=options.pop("radial", {"type": "laplacian"}),
        cutoff_function={"type": "polynomial", "width": 0.3},
        embedding=options.pop("embedding", None),
    )
    return ThreeCenter(ThreeCenterSpec(expansion=expansion, **options))


def rows_of(described, atoms, seed=0):
    """Rows of the centre in any order."""
    system = System.from_atoms(atoms, described.cutoff, centers=[0])
    values = described(system).values
    return values[torch.from_numpy(np.random.default_rng(seed).permutation(len(values)))]


def around(positions, number=6):
    """Neighbours around a centre, turned, so that no axis of theirs is one of the basis."""
    turned = np.asarray(positions) @ Rotation.from_rotvec([0.3, 0.5, -1.0]).as_matrix()
    return Atoms([number] * (len(turned) + 1), np.vstack([np.zeros(3), turned]))


def ring(n):
    angles = 2 * np.pi * np.arange(n) / n
    return 2.0 * np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1)


GOLDEN = (1 + 5**0.5) / 2
SIGNS = np.array([(a, b, c) for a in (1, -1) for b in (1, -1) for c in (1, -1)], dtype=float)
OF_ICOSAHEDRON = np.unique(
    [np.roll((0, a, b * GOLDEN), k) for a, b, _ in SIGNS for k in range(3)], axis=0
)
SPHERE = np.random.default_rng(0).normal(size=(10, 3))


@pytest.mark.parametrize("species", [(6,), (1, 8), (1, 6, 8)])
@pytest.mark.parametrize("n", [4, 8, 16, 29])
def test_random_environments_come_back(species, n):
    described = descriptor(species, n=4 if len(species) == 1 else 2)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        atoms = random_environment((7, *rng.choice(species, n).tolist()), 3.95, rng)
        found = from_rows(described, rows_of(described, atoms, seed), center_species=7)
        assert found.verdict == "determined", found
        assert congruence_distance(atoms, found.structures[0], group="SO3") < 1e-9


@pytest.mark.parametrize(
    "options",
    [
        {"radial": {"type": "gto", "density_width": 0.4}},
        {"radial_components": 3},
        {"species": (1, 6, 8), "embedding": ((1.0, 0.2), (0.3, 1.0), (-0.7, 0.5))},
    ],
)
def test_any_basis_and_contraction_will_do(options):
    described = descriptor(**options)
    species = described.spec.expansion.species
    rng = np.random.default_rng(3)
    atoms = random_environment((7, *rng.choice(species, 7).tolist()), 3.9, rng)
    if described.needs_fit:
        described.fit([System.from_atoms(atoms, CUTOFF, centers=[0])])
    found = from_rows(described, rows_of(described, atoms), center_species=7)
    assert found.verdict == "determined", found
    assert congruence_distance(atoms, found.structures[0], group="SO3") < 1e-7


@pytest.mark.parametrize(
    ("name", "positions"),
    [
        ("lone", [(0, 0, 2.0)]),
        ("collinear", [(0, 0, 2.0), (0, 0, -2.0), (0, 0, 3.0), (0, 0, -1.5)]),
        ("a line and one more", [(0, 0, 2.0), (0, 0, -2.0), (1.5, 0, 0)]),
        ("nearly collinear", [(0, 0, 2.0), (1e-5, 0, 3.0), (1e-3, 1e-5, -2.5)]),
        ("equal distances", 2.0 * SPHERE / np.linalg.norm(SPHERE, axis=1, keepdims=True)),
        ("triangle", ring(3)),
        ("square", ring(4)),
        ("hexagon", ring(6)),
        ("ring of twelve", ring(12)),
        ("ring with apex", [*ring(12), (0, 0, 1.5)]),
        ("at the cutoff", [(0, 0, CUTOFF - 1e-6), (0, CUTOFF - 1e-3, 0), (1, 1, 1)]),
    ],
)
def test_special_environments_come_back(name, positions):
    described, atoms = descriptor(), around(positions)
    found = from_rows(described, rows_of(described, atoms), center_species=6)
    assert found.verdict == "determined", found
    assert congruence_distance(atoms, found.structures[0], group="SO3") < 1e-6


@pytest.mark.parametrize(
    ("positions", "least"),
    [(1.3 * SIGNS, 4), (2.0 * np.vstack([np.eye(3), -np.eye(3)]), 4), (OF_ICOSAHEDRON, 6)],
    ids=["cube", "octahedron", "icosahedron"],
)
def test_symmetric_environments_need_the_orders_that_see_their_axes(positions, least):
    atoms = around(positions)
    for l in (least - 2, least):
        described = descriptor(n=2, l=l)
        found = from_rows(described, rows_of(described, atoms), center_species=6)
        assert found.verdict == ("determined" if l == least else "undetermined"), found
        assert len(found.structures) == (l == least)
    assert congruence_distance(atoms, found.structures[0], group="SO3") < 1e-6


@pytest.mark.parametrize("family", ["prl_nu2", "prl_nu3", "chiral", "antipodal", "b8"])
def test_of_degenerate_pairs_each_member_comes_back_alone(family):
    for pair in FAMILIES[family].pairs(2):
        for atoms in pair:
            radius = 1.2 * float(np.linalg.norm(atoms.positions - atoms.positions[0], axis=1).max())
            species = tuple(sorted(set(atoms.numbers[1:].tolist())))
            described = descriptor(species, cutoff=radius, n=3)
            found = from_rows(
                described, rows_of(described, atoms), center_species=int(atoms.numbers[0])
            )
            assert found.verdict == "determined", found
            assert congruence_distance(atoms, found.structures[0], group="SO3") < 1e-8


def test_what_comes_from_no_structure_is_said():
    described, rng = descriptor(), np.random.default_rng(0)
    first, second = (rows_of(described, random_environment((6,) * 7, 3.9, rng)) for _ in range(2))
    exchanged = torch.cat([first[:1], second[1:]])
    noisy = first + 1e-3 * first.std() * torch.from_numpy(rng.normal(size=first.shape))
    for values in (0.5 * (first + second), exchanged, noisy, first[:-1], first[:25]):
        found = from_rows(described, values)
        assert found.verdict == "no structure", found
        assert found.residual > 1e-4
        assert not found.structures


def test_noise_within_the_tolerance_moves_the_neighbours_by_no_more():
    described, rng = descriptor(), np.random.default_rng(1)
    atoms = random_environment((6,) * 8, 3.5, rng)
    values = rows_of(described, atoms)
    noise = 1e-7 * values.norm(dim=1, keepdim=True) / values.shape[1] ** 0.5
    found = from_rows(
        described, values + noise * torch.from_numpy(rng.normal(size=values.shape)), tolerance=1e-5
    )
    assert found.verdict == "determined", found
    found.structures[0].numbers[0] = 6
    assert 1e-9 < congruence_distance(atoms, found.structures[0], group="SO3") < 1e-5


def test_what_cannot_be_read_is_refused():
    atoms = random_environment((6,) * 5, 3.0, np.random.default_rng(0))
    for described, word in (
        (descriptor(n=1), "one radial function"),
        (descriptor(l=0), "l = 0 alone"),
        (descriptor((1, 6), embedding=((1.0, 0.5), (-2.0, -1.0))), "species 1 at .* look the same"),
        (descriptor(components=(4, 2)).fit([System.from_atoms(atoms, CUTOFF)]), "projected"),
    ):
        with pytest.raises(InputError, match=word):
            from_rows(described, rows_of(described, atoms))
    values = rows_of(descriptor(), atoms)
    with pytest.raises(InputError, match="not those of"):
        from_rows(descriptor(l=3), values)
    values[2, 5] = torch.nan
    with pytest.raises(InputError, match="row 2 is not finite"):
        from_rows(descriptor(), values)


def test_neighbours_that_no_row_names_are_spoken_of():
    atoms = around([(0, 0, 1.5), (0, 1.6, 0), (0, 0, 3.5)])
    described = descriptor(tag_cutoff=3.0)
    found = from_rows(described, rows_of(described, atoms))
    assert found.verdict == "no structure"
    assert "beyond the tag cutoff" in found.statement
    found = from_rows(described, rows_of(described, atoms[:3]), center_species=6)
    assert congruence_distance(atoms[:3], found.structures[0], group="SO3") < 1e-9


def test_a_lone_centre_has_no_rows():
    found = from_rows(descriptor(), torch.zeros(0, descriptor().n_features), center_species=2)
    assert found.structures[0].get_chemical_formula() == "He"
