"""The tight-binding energy: invariant, smooth, separating, and its derivatives."""

import re

import numpy as np
import pytest
import torch
from ase import Atoms

from atomplete.checkpoint import load, save
from atomplete.degenerate.families.registry import generate
from atomplete.errors import InputError
from atomplete.potentials import PairBasisSpec, TightBinding, TightBindingSpec

SPEC = TightBindingSpec(
    basis=PairBasisSpec(max_radial=4, max_radial_surroundings=2, widths=(1.3, 2.0))
)


@pytest.fixture(scope="module")
def model():
    """With all coefficients at work."""
    model = TightBinding(SPEC)
    noise = torch.randn(len(model.coefficients), generator=torch.Generator().manual_seed(0))
    model.coefficients = model.coefficients + 0.05 * noise.double()
    return model


@pytest.fixture(scope="module")
def pairs():
    return generate("b8", 3)


def positions_of(structures):
    return torch.from_numpy(np.stack([atoms.positions for atoms in structures]))


def test_invariant_under_all_that_leaves_a_structure_the_same(model, pairs):
    rng = np.random.default_rng(0)
    energies, copies = model.predict(pairs).energy, []
    for n, atoms in enumerate(pairs):
        turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        turn *= np.linalg.det(turn) * (-1) ** n  # rotations and reflections
        order = rng.permutation(len(atoms))
        copies.append(Atoms("B8", (atoms.positions @ turn + rng.normal(size=3))[order]))
    assert (model.predict(copies).energy - energies).abs().max() < 1e-10


def test_separates_degenerate_pairs(model, pairs):
    energies = model.predict(pairs).energy.view(-1, 2)
    assert (energies[:, 0] - energies[:, 1]).abs().min() > 1e-3


def test_forces_are_differences_of_energies(model, pairs):
    forces = model.predict(pairs, ("forces",)).forces
    for atom, axis in ((0, 0), (3, 1), (7, 2)):
        moved = [pairs[0].copy(), pairs[0].copy()]
        for atoms, step in zip(moved, (1e-4, -1e-4), strict=True):
            atoms.positions[atom, axis] += step
        up, down = model.predict(moved).energy
        assert forces[atom, axis].item() == pytest.approx((down - up).item() / 2e-4, abs=1e-6)


def test_charges_make_a_field(model, pairs):
    """Half the hardness, other energies: the electrons do feel each other."""
    softer = TightBinding(SPEC)
    coefficients = [part.clone() for part in model.coefficients.split(model.sizes)]
    coefficients[3] /= 2
    softer.coefficients = torch.cat(coefficients)
    assert (softer.predict(pairs).energy - model.predict(pairs).energy).abs().min() > 1e-3


def test_slopes_in_the_coefficients_are_differences_of_energies(model, pairs):
    x = positions_of(pairs)
    energies, slopes = model.linearised(x)
    torch.testing.assert_close(energies, model.energy(x), rtol=0, atol=1e-10)
    generator = torch.Generator().manual_seed(1)
    change = torch.randn(len(model.coefficients), generator=generator).double()
    shifted = TightBinding(SPEC)
    found = []
    for step in (1e-5, -1e-5):
        shifted.coefficients = model.coefficients + step * change
        found.append(shifted.energy(x))
    torch.testing.assert_close(slopes @ change, (found[0] - found[1]) / 2e-5, rtol=1e-7, atol=1e-5)


def test_smooth_where_an_atom_leaves_the_cutoff(model):
    """What charges and overlaps do goes on."""
    cutoff, near = SPEC.basis.cutoff, 1e-4
    energies, slopes = [], []
    for distance in (cutoff - near, cutoff + near):
        atoms = Atoms("B3", [(0, 0, 0), (1.6, 0, 0), (-distance, 0, 0)])
        found = model.predict([atoms], ("forces",))
        energies.append(found.energy.item())
        slopes.append(found.forces[2, 0].item())
    assert energies[1] - energies[0] == pytest.approx(2 * near * np.mean(slopes), abs=1e-8)
    assert slopes[0] == pytest.approx(slopes[1], abs=1e-3)


def test_far_apart_the_energies_of_parts_add_up(model):
    pair = Atoms("B2", [(0, 0, 0), (1.6, 0, 0)])
    far = pair.copy()
    far.translate((0, 0, 1e5))
    one, two = model.predict([pair]).energy.item(), model.predict([pair + far]).energy.item()
    assert two == pytest.approx(2 * one, abs=1e-6)


def test_structures_of_any_sizes_keep_their_order(model, pairs):
    mixed = [pairs[0], Atoms("B2", [(0, 0, 0), (0, 0, 1.6)]), pairs[1], Atoms("B")]
    each = torch.cat([model.predict([atoms]).energy for atoms in mixed])
    torch.testing.assert_close(model.predict(mixed).energy, each, rtol=0, atol=1e-10)


def test_saved_and_loaded(model, pairs, tmp_path):
    save(tmp_path / "model.pt", model)
    loaded = load(tmp_path / "model.pt")
    assert torch.equal(loaded.predict(pairs).energy, model.predict(pairs).energy)


@pytest.mark.parametrize(
    ("atoms", "says"),
    [
        (Atoms("B", cell=[5, 5, 5], pbc=True), "structure 1: periodic"),
        (Atoms("C"), "structure 1: a center of atomic number 6, but the potential knows 5"),
        (Atoms("B", [(0, np.nan, 0)]), "structure 1: position of atom 0 is not finite"),
        (Atoms("B2", np.zeros((2, 3))), "structure 1"),
    ],
)
def test_refuses(model, atoms, says):
    with pytest.raises(InputError, match=re.escape(says)):
        model.predict([Atoms("B"), atoms])
