"""Pair coefficients and densities against featomic, with the paper's basis."""

import ase
import numpy as np
import pytest
import torch
from environments import BASES, CUTOFF, crystal, molecule, systems

from atomplete.errors import InputError
from atomplete.o3 import lm_slice
from atomplete.representations import Expansion, ExpansionSpec
from atomplete.system import System
from atomplete.testing import assert_equivariant

PAPER = {
    "cutoff": {"radius": 2.0, "smoothing": {"type": "ShiftedCosine", "width": 0.1}},
    "density": {"type": "Gaussian", "width": 0.2, "center_atom_weight": 0.0},
    "basis": {
        "type": "TensorProduct",
        "max_angular": 3,
        "radial": {"type": "Gto", "max_radial": 5},
        "spline_accuracy": None,
    },
}
SPECIES = (8, 1, 6)  # neither sorted nor in the order of the structures
STRUCTURES = {
    "one species": (molecule(3, symbols="B"), (5,)),
    "three species": (molecule(4, n=9), SPECIES),
    "crystal": (crystal(), SPECIES),
}


@pytest.fixture
def featomic():
    return pytest.importorskip("featomic")


def close(ours, expected, tolerance=1e-10):
    assert ours.shape == expected.shape
    assert expected.abs().max() > 0.1
    assert (ours - expected).abs().max() < tolerance * expected.abs().max()


def featomic_pairs(featomic, atoms, system, species):
    """featomic's coefficients in our order of pairs and layout of channels."""
    result = featomic.SphericalExpansionByPair(**PAPER).compute(atoms)
    place = {
        (i, j, *shift): pair
        for pair, (i, j, shift) in enumerate(
            zip(
                system.centers[system.i].tolist(),
                system.j.tolist(),
                system.shift.long().tolist(),
                strict=True,
            )
        )
    }
    expected = torch.zeros(len(system.i), len(species), 6, 16, dtype=torch.float64)
    seen = []
    for key, block in result.items():
        l, channel = int(key["o3_lambda"]), species.index(int(key["second_atom_type"]))
        values = torch.from_numpy(np.asarray(block.values)).transpose(1, 2)
        for sample, value in zip(block.samples.values.tolist(), values, strict=True):
            i, j, *shift = sample[1:]
            if i == j and not any(shift):
                assert not value.any()  # the centre's own, of weight zero
                continue
            pair = place[i, j, *shift]
            expected[pair, channel, :, lm_slice(l)] = value
            seen.append((pair, l))
    # every pair of ours is one of featomic's, and the other way round
    assert len(seen) == len(set(seen)) == 4 * len(system.i)
    return expected.flatten(1, 2)


@pytest.mark.parametrize("name", STRUCTURES)
def test_pairs_against_featomic(name, featomic):
    atoms, species = STRUCTURES[name]
    system = System.from_atoms(atoms, CUTOFF)
    ours = Expansion(ExpansionSpec(species=species)).pairs(system)
    close(ours, featomic_pairs(featomic, atoms, system, species))


def featomic_density(featomic, atoms, species, centers):
    result = featomic.SphericalExpansion(**PAPER).compute(atoms)
    expected = torch.zeros(len(centers), len(species), 6, 16, dtype=torch.float64)
    for key, block in result.items():
        channel = species.index(int(key["neighbor_type"])) if len(block.samples) else 0
        values = torch.from_numpy(np.asarray(block.values)).transpose(1, 2)
        for (_, atom), value in zip(block.samples.values.tolist(), values, strict=True):
            if atom in centers:
                row = centers.index(atom)
                expected[row, channel, :, lm_slice(int(key["o3_lambda"]))] = value
    return expected.flatten(1, 2)


@pytest.mark.parametrize("name", STRUCTURES)
def test_density_against_featomic(name, featomic):
    atoms, species = STRUCTURES[name]
    expansion = Expansion(ExpansionSpec(species=species))
    everyone = list(range(len(atoms)))
    for centers in (everyone, [2, 0]):
        system = System.from_atoms(atoms, CUTOFF, centers=centers)
        expected = featomic_density(featomic, atoms, species, centers)
        close(expansion.density(system), expected)


@pytest.mark.parametrize("pbc", [(True, True, False), (False, True, True), (False, False, True)])
def test_partial_periodicity_against_featomic(pbc, featomic):
    """featomic takes no such cell: it is given the images as atoms."""
    atoms = crystal(pbc)
    images = atoms.copy()
    ranges = [range(-2, 3) if periodic else (0,) for periodic in pbc]
    shifts = [
        (a, b, c) for a in ranges[0] for b in ranges[1] for c in ranges[2] if (a, b, c) != (0,) * 3
    ]
    for shift in shifts:
        copy = atoms.copy()
        copy.positions += np.array(shift) @ atoms.cell.array
        images += copy
    images.pbc = False
    images.cell = None
    expected = featomic_density(featomic, images, SPECIES, [0, 1, 2])
    expansion = Expansion(ExpansionSpec(species=SPECIES))
    close(expansion.density(System.from_atoms(atoms, CUTOFF)), expected)


@pytest.mark.parametrize("name", ["molecules", "crystals"])
@pytest.mark.parametrize("basis", BASES)
def test_equivariant(basis, name):
    expansion, system = Expansion(BASES[basis]), systems()[name]
    for l in range(BASES[basis].max_angular + 1):
        part = lm_slice(l)
        assert_equivariant(lambda s, part=part: expansion.pairs(s)[..., part], system, l)
        assert_equivariant(lambda s, part=part: expansion.density(s)[..., part], system, l)


def test_density_is_the_sum_over_pairs():
    system, expansion = systems()["crystals"], Expansion(BASES["gto"])
    g_ij, rho_i = expansion.pairs(system), expansion.density(system)
    for center in range(len(system.centers)):
        total = g_ij[system.i == center].sum(0)
        torch.testing.assert_close(rho_i[center], total, rtol=0, atol=1e-13)


def test_channels_are_species_times_radial():
    spec = ExpansionSpec(species=(8, 1))
    atoms = ase.Atoms("CH", [(0, 0, 0), (0, 0, 1.1)])
    system = System.from_atoms(atoms, CUTOFF, centers=[0])
    g_ij = Expansion(spec).pairs(system)
    alone = Expansion(ExpansionSpec(species=(1,))).pairs(system)
    assert not g_ij[:, :6].any()
    torch.testing.assert_close(g_ij[:, 6:], alone, rtol=0, atol=0)


def test_the_species_of_the_centre_need_not_be_named():
    atoms = ase.Atoms("UH", [(0, 0, 0), (0, 0, 1.1)])
    expansion = Expansion(ExpansionSpec(species=(1,)))
    assert expansion.density(System.from_atoms(atoms, CUTOFF, centers=[0])).any()
    with pytest.raises(InputError, match=r"structure 0: .*atomic number 92.* knows 1"):
        expansion.density(System.from_atoms(atoms, CUTOFF))


def test_no_gradient_at_a_centre_without_neighbours():
    system = System.from_atoms([ase.Atoms("C"), molecule(1)], CUTOFF)
    positions = system.positions.clone().requires_grad_()
    rho_i = Expansion(BASES["gto"]).density(system.with_positions(positions))
    assert not rho_i[0].any()
    (gradient,) = torch.autograd.grad(rho_i.square().sum(), positions)
    assert gradient.isfinite().all()
    assert not gradient[0].any()
