"""Pair coefficients and densities against featomic, with the paper's basis."""

import ase
import numpy as np
import pytest
import torch
from environments import BASES, CUTOFF, SPECS, crystal, molecule, systems

from atomplete.descriptors import Expansion, ExpansionSpec, build
from atomplete.errors import InputError
from atomplete.o3 import lm_slice
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


STAR = ((0.7, -0.2), (0.1, 1.3), (-0.4, 0.5))


def test_identity_embedding_is_one_hot():
    one_hot = BASES["gto"]
    embedded = one_hot.model_copy(
        update={"embedding": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))}
    )
    system = systems()["molecules"]
    expected, ours = Expansion(one_hot), Expansion(embedded)
    assert embedded.n_channels == one_hot.n_channels
    assert torch.equal(ours.pairs(system), expected.pairs(system))
    torch.testing.assert_close(ours.density(system), expected.density(system), rtol=0, atol=0)


@pytest.mark.parametrize("embedding", [((0.3,), (-1.1,), (2.0,)), STAR])
def test_embedded_channels_are_weighted_sums_of_those_of_species(embedding):
    one_hot = BASES["gto"]
    embedded = ExpansionSpec(**{**dict(one_hot), "embedding": embedding})
    system, n = systems()["crystals"], one_hot.max_radial
    for method in ("pairs", "density"):
        of_species = getattr(Expansion(one_hot), method)(system)
        ours = getattr(Expansion(embedded), method)(system)
        assert ours.shape[1] == embedded.n_channels == n * len(embedding[0])
        for a in range(len(embedding[0])):
            expected = sum(
                weights[a] * of_species[:, n * k : n * (k + 1)]
                for k, weights in enumerate(embedding)
            )
            torch.testing.assert_close(ours[:, n * a : n * (a + 1)], expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    ("embedding", "message"),
    [
        (((1.0,),), "1 rows for 2 species"),
        (((1.0, 0.0), (1.0,)), "rows of equal length"),
        (((), ()), "rows of equal length"),
    ],
)
def test_an_embedding_of_the_wrong_shape_is_refused(embedding, message):
    with pytest.raises(ValueError, match=message):
        ExpansionSpec(species=(1, 6), embedding=embedding)


@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize("slots", [1, 5, 4096])
def test_density_in_tables_of_any_size(slots, basis, monkeypatch):
    """Small tables: many runs of groups, of every number of pairs."""
    monkeypatch.setattr("atomplete.descriptors.slots.SLOTS", slots)
    expansion = Expansion(BASES[basis])
    batch = [molecule(seed, n=n) for seed, n in enumerate((7, 2, 5, 1))]
    for system in (System.from_atoms(batch, CUTOFF), systems()["crystals"]):
        expected = expansion.density(system, expansion.pairs(system))
        torch.testing.assert_close(expansion.density(system), expected, rtol=0, atol=1e-13)


def test_density_without_pairs():
    expansion = Expansion(BASES["gto"])
    for structures in ([], [ase.Atoms("C"), ase.Atoms()]):
        system = System.from_atoms(structures, CUTOFF)
        rho_i = expansion.density(system)
        assert rho_i.shape == (len(system.centers), 9, 9)
        assert not rho_i.any()


@pytest.mark.parametrize("method", ["pairs", "density"])
@pytest.mark.parametrize("cutoff", [CUTOFF - 0.3, CUTOFF + 0.3])
def test_pairs_listed_with_another_cutoff_are_refused(method, cutoff):
    system = System.from_atoms(molecule(2), cutoff)
    with pytest.raises(InputError, match=f"pairs were listed up to {cutoff:g} Å, not {CUTOFF:g} Å"):
        getattr(Expansion(BASES["gto"]), method)(system)
    with pytest.raises(InputError, match="pairs were listed"):
        build(SPECS["three_center-gto"]).rows(system)
    with pytest.raises(InputError, match="pairs were listed"):
        build(SPECS["pair-gto"]).equivariants(system, 1)


# PyTorch's own, when it first differentiates forward
@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
@pytest.mark.parametrize("method", ["pairs", "density"])
def test_forward_and_reverse_derivatives_agree(method):
    expansion, system = Expansion(BASES["gto"]), systems()["crystals"]
    generator = torch.Generator().manual_seed(0)
    v = torch.randn(system.positions.shape, generator=generator, dtype=torch.float64)

    def evaluate(positions):
        return getattr(expansion, method)(system.with_positions(positions))

    value, tangent = torch.func.jvp(evaluate, (system.positions,), (v,))
    w = torch.randn(value.shape, generator=generator, dtype=torch.float64)
    x = system.positions.clone().requires_grad_()
    (gradient,) = torch.autograd.grad((w * evaluate(x)).sum(), x)
    torch.testing.assert_close((w * tangent).sum(), (gradient * v).sum())


def test_dtype_of_the_density():
    system = systems()["molecules"]
    expansion = Expansion(BASES["gto"])
    exact = expansion.density(system)
    single = System.from_atoms(
        [molecule(s) for s in range(3)] + [ase.Atoms("C")], CUTOFF, dtype=torch.float32
    )
    ours = expansion.density(single)
    assert ours.dtype == torch.float32
    assert (ours.double() - exact).abs().max() < 1e-5 * exact.abs().max()
