"""What every descriptor promises, in every basis: one battery for all."""

import ase
import numpy as np
import pytest
import torch
from ase.build import make_supercell
from environments import BASES, CUTOFF, SPECS, crystal, fitted, molecule, systems
from pydantic import TypeAdapter, ValidationError

from atomplete.descriptors import (
    NAMED,
    AnyDescriptorSpec,
    RandomFourierSpec,
    ThreeCenterSpec,
    build,
)
from atomplete.errors import InputError
from atomplete.system import System
from atomplete.testing import assert_invariant

LABELS = ["structure", "center", "neighbor_1", "neighbor_2"]


@pytest.fixture(scope="module", params=SPECS)
def descriptor(request):
    return fitted(SPECS[request.param])


@pytest.fixture(params=["molecules", "crystals"])
def system(request):
    return systems()[request.param]


def n_tagged(descriptor):
    if isinstance(descriptor.spec, ThreeCenterSpec):
        return 2
    return getattr(descriptor.spec, "n_tagged", 0)


def close(actual, expected, tolerance=1e-10):
    assert actual.shape == expected.shape
    assert (actual - expected).abs().max() <= tolerance * expected.abs().max()


def test_every_named_representation_is_tested():
    assert {name.rsplit("-", 1)[0] for name in SPECS} == {*NAMED, "contracted", "nice"}


def test_invariant(descriptor, system):
    assert_invariant(descriptor, system)


def test_both_parities_are_real(descriptor, system):
    """Where a descriptor has pseudoscalars, they are not all zero."""
    features = descriptor(system)
    assert features.even.abs().max() > 1e-3
    if features.odd.shape[1]:
        assert features.odd.abs().max() > 1e-6
    assert torch.equal(features.parity, descriptor.parity)


def test_rows_know_their_atoms(descriptor, system):
    features = descriptor(system)
    assert list(features.rows) == LABELS[: 2 + n_tagged(descriptor)]
    assert len(features.weight) == len(features.values) == len(features.center_of_row)
    structure, center = features.rows["structure"], features.rows["center"]
    assert torch.equal(features.center_structure[features.center_of_row], structure)
    atoms = system.first_atom[structure] + center
    assert torch.equal(system.species[atoms], features.center_species[features.center_of_row])
    assert torch.equal(system.structure[atoms], structure)


def test_a_batch_is_its_structures(descriptor):
    structures = [molecule(s) for s in range(3)] + [ase.Atoms("C"), crystal()]
    together = descriptor(System.from_atoms(structures, CUTOFF))
    for index, atoms in enumerate(structures):
        alone = descriptor(System.from_atoms(atoms, CUTOFF))
        of_structure = together.rows["structure"] == index
        for name in list(alone.rows)[1:]:
            assert torch.equal(together.rows[name][of_structure], alone.rows[name])
        assert torch.equal(
            together.center_species[together.center_structure == index], alone.center_species
        )
        if alone.values.numel():
            close(together.values[of_structure], alone.values, 1e-13)


def sum_of_centers(descriptor, system):
    """A number per centre and probe, non-linear in tagged rows: comparable between cells."""
    features = descriptor(system)
    n_features = features.values.shape[1]
    generator = torch.Generator().manual_seed(0)
    probe = torch.randn(n_features, 5, generator=generator, dtype=torch.float64)
    values = features.weight[:, None] * torch.sin(features.values @ probe)
    total = values.new_zeros(len(features.center_structure), 5)
    return total.index_add(0, features.center_of_row, values)


@pytest.mark.parametrize("pbc", [True, (True, True, False), (False, False, True)])
def test_supercell(descriptor, pbc):
    """An atom of a supercell is described as the atom of the cell that it repeats."""
    cell = crystal(pbc)
    repeats = [2 if periodic and axis != 1 else 1 for axis, periodic in enumerate(cell.pbc)]
    transform = np.diag(repeats)
    if cell.pbc[:2].all():
        transform[0, 1] = 1  # another shape of the same lattice
    supercell = make_supercell(cell, transform, wrap=False)
    supercell.pbc = cell.pbc
    small, large = (
        sum_of_centers(descriptor, System.from_atoms(atoms, CUTOFF)) for atoms in (cell, supercell)
    )
    assert len(supercell) == len(cell) * np.prod(repeats)
    original = [np.flatnonzero(cell.numbers == number).item() for number in supercell.numbers]
    close(large, small[original])


def test_atoms_need_not_be_wrapped_into_the_cell(descriptor):
    cell = crystal()
    moved = cell.copy()
    moved.positions += np.array([[0, 0, 0], [1, 0, -2], [0, 3, 1]]) @ cell.cell.array
    inside, outside = (
        sum_of_centers(descriptor, System.from_atoms(a, CUTOFF)) for a in (cell, moved)
    )
    close(outside, inside)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_is_kept(descriptor, dtype):
    structures = [molecule(s) for s in range(2)] + [ase.Atoms("C")]
    features = descriptor(System.from_atoms(structures, CUTOFF, dtype=dtype))
    exact = descriptor(System.from_atoms(structures, CUTOFF))
    assert features.values.dtype == features.weight.dtype == dtype
    close(features.values.double(), exact.values, 1e-4)


@pytest.mark.parametrize(
    "structures", [[ase.Atoms("C")], [ase.Atoms("CH", [(0, 0, 0), (0, 0, 9)])], []]
)
def test_atoms_without_neighbours(descriptor, structures):
    system = System.from_atoms(structures, CUTOFF)
    features = descriptor(system)
    n_centers = sum(len(atoms) for atoms in structures)
    n_rows = 0 if n_tagged(descriptor) else n_centers
    assert features.values.shape == (n_rows, len(descriptor.parity))
    if not isinstance(descriptor.spec, RandomFourierSpec):  # whose cosines are constants there
        assert not features.values.any()
    assert all(len(column) == n_rows for column in features.rows.values())
    total = features.sum_over_neighbors()
    assert total.shape == (n_centers, len(descriptor.parity))
    assert torch.equal(total, features.values) or not total.any()
    assert len(features.center_species) == n_centers


def test_selected_centres(descriptor):
    atoms = molecule(2)
    everyone = descriptor(System.from_atoms(atoms, CUTOFF)).sum_over_neighbors()
    for centers in ([3], [5, 1]):
        system = System.from_atoms(atoms, CUTOFF, centers=centers)
        features = descriptor(system)
        close(features.sum_over_neighbors(), everyone[centers], 1e-12)
        assert features.center_species.tolist() == atoms.numbers[centers].tolist()
    atoms.info["center"] = 4
    system = System.from_atoms(atoms, CUTOFF, centers="info")
    close(descriptor(system).sum_over_neighbors(), everyone[[4]])


def test_unknown_species_are_refused(descriptor):
    structures = [molecule(0), ase.Atoms("CAu", [(0, 0, 0), (0, 0, 1.5)])]
    with pytest.raises(InputError, match=r"structure 1: atom of atomic number 79.* 1, 6, 8"):
        descriptor(System.from_atoms(structures, CUTOFF))


def test_neighbours_beyond_the_cutoff_do_not_matter(descriptor):
    """Pairs may have been listed with a longer cutoff, if they are cut before."""
    system = System.from_atoms(molecule(3), CUTOFF)
    longer = System.from_atoms(molecule(3), CUTOFF + 1.0)
    expected = descriptor(system).sum_over_neighbors()
    close(descriptor(longer.within(CUTOFF)).sum_over_neighbors(), expected, 1e-13)
    with pytest.raises(InputError, match=r"listed up to 3 Å, not 2 Å"):
        descriptor(longer)


def test_spec_is_plain_data(descriptor):
    spec = descriptor.spec
    adapter = TypeAdapter(AnyDescriptorSpec)
    assert adapter.validate_json(spec.model_dump_json()) == spec
    with pytest.raises(ValidationError, match="Extra inputs"):
        adapter.validate_python(spec.model_dump() | {"cutof": 3.0})


def test_state_is_spec_and_state_dict(descriptor, tmp_path):
    torch.save(descriptor.state_dict(), tmp_path / "weights.pt")
    again = build(descriptor.spec)
    again.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    system = System.from_atoms(molecule(1), CUTOFF)
    assert torch.equal(again(system).values, descriptor(system).values)


def test_bases_cover_all_radial_and_cutoff_functions():
    assert {basis.radial.type for basis in BASES.values()} == {"gto", "laplacian"}
    assert {basis.cutoff_function.type for basis in BASES.values()} == {
        "shifted_cosine",
        "polynomial",
    }
