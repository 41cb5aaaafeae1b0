"""Battery for any registered descriptor: the promises that a descriptor makes, each checked.

All structures are small and scaled to the cutoff, so that every atom has neighbours.
"""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from jaxtyping import Float
from torch import Tensor

from atomplete.checkpoint import load, save
from atomplete.descriptors import Descriptor, Features
from atomplete.errors import InputError
from atomplete.registry import build
from atomplete.system import System
from atomplete.testing.symmetries import assert_invariant

#: Atomic numbers that a descriptor knows.
Species = Sequence[int]


def check_descriptor(descriptor: Descriptor, species: Species) -> None:
    """Run all of ``DESCRIPTOR_CHECKS``; for one test each, parametrize a test over them.

    Parameters
    ----------
    descriptor
        The descriptor, fitted if it needs a fit.
    species
        Atomic numbers that it knows.

    Raises
    ------
    AssertionError
        For the first promise that is not kept.

    Examples
    --------
    >>> from atomplete.descriptors import DensityCorrelationsSpec
    >>> check_descriptor(build(DensityCorrelationsSpec(nu=(2,))), species=[5])
    """
    for check in DESCRIPTOR_CHECKS.values():
        check(descriptor, species)


def symmetries(descriptor: Descriptor, species: Species) -> None:
    """Assert invariance under rotations, reflections, translations and permutations."""
    for structures in (_molecules(descriptor, species), [_crystal(descriptor, species)]):
        assert_invariant(descriptor, System.from_atoms(structures, descriptor.cutoff))


def one_precision(descriptor: Descriptor, species: Species) -> None:
    """Assert that features have the dtype of the positions, and nearly the same values."""
    structures = _molecules(descriptor, species)
    exact = _features(descriptor, structures)
    single = descriptor(System.from_atoms(structures, descriptor.cutoff, dtype=torch.float32))
    assert single.values.dtype == single.weight.dtype == torch.float32
    _assert_close(single.values.double(), exact.values, 1e-4)


def company(descriptor: Descriptor, species: Species) -> None:
    """Assert that a structure has the same rows alone and among others, in any order."""
    structures = [*_molecules(descriptor, species), _crystal(descriptor, species)]
    for batch in (structures, structures[::-1]):
        together = _features(descriptor, batch)
        for index, atoms in enumerate(batch):
            alone, rows = _features(descriptor, [atoms]), together.rows["structure"] == index
            for name in list(alone.rows)[1:]:
                assert torch.equal(together.rows[name][rows], alone.rows[name])
            _assert_close(together.values[rows], alone.values, 1e-12)


def smooth_at_the_cutoff(descriptor: Descriptor, species: Species) -> None:
    """Assert that a neighbour that leaves the cutoff leaves no jump in any function of rows."""
    atoms = _molecules(descriptor, species)[0]
    direction = np.array([0.6, 0.0, 0.8])

    def at(r: float) -> Tensor:
        added = atoms + Atoms([species[0]], [atoms.positions[0] + r * direction])
        return _readout(descriptor(System.from_atoms(added, descriptor.cutoff, centers=[0])))

    here, there = at((1 - 1e-6) * descriptor.cutoff), at((1 + 1e-6) * descriptor.cutoff)
    _assert_close(here, there, 1e-4)


def lone_atoms(descriptor: Descriptor, species: Species) -> None:
    """Assert finite features for atoms without neighbours, and none without atoms."""
    features = _features(descriptor, [Atoms([z]) for z in species])
    assert features.values.isfinite().all()
    assert len(features.center_species) == len(species)
    nothing = _features(descriptor, [])
    assert nothing.values.shape == (0, len(descriptor.parity))


def labels(descriptor: Descriptor, species: Species) -> None:
    """Assert that rows and features are as many as was said, and name atoms that exist."""
    structures = _molecules(descriptor, species)
    system = System.from_atoms(structures, descriptor.cutoff)
    features = descriptor(system)
    counts = torch.bincount(features.center_of_row, minlength=len(system.centers))
    assert torch.equal(counts, descriptor.rows_per_center(system))
    assert torch.equal(features.parity, descriptor.parity)
    assert features.values.shape == (len(features.weight), len(descriptor.parity))
    atom = system.first_atom[features.rows["structure"]] + features.rows["center"]
    assert torch.equal(atom, system.centers[features.center_of_row])
    if descriptor.feature_labels is not None:
        names, columns = descriptor.feature_labels
        assert columns.shape == (len(descriptor.parity), len(names))


def another_cutoff(descriptor: Descriptor, species: Species) -> None:
    """Assert that pairs listed with another cutoff are refused."""
    other = System.from_atoms(_molecules(descriptor, species), 1.5 * descriptor.cutoff)
    try:
        descriptor(other)
    except InputError:
        return
    raise AssertionError("a system of another cutoff is not refused")


def derivatives(descriptor: Descriptor, species: Species) -> None:
    """Assert that derivatives by positions agree with differences."""
    system = System.from_atoms(_molecules(descriptor, species)[0], descriptor.cutoff)
    positions = system.positions.clone().requires_grad_()
    value = _readout(descriptor(system.with_positions(positions))).sum()
    (slope,) = torch.autograd.grad(value, positions)
    direction = torch.linspace(-1, 1, slope.numel(), dtype=torch.float64).view(slope.shape)
    step = 1e-5 * descriptor.cutoff
    with torch.no_grad():
        above, below = (
            _readout(descriptor(system.with_positions(system.positions + h * direction))).sum()
            for h in (step, -step)
        )
    _assert_close((slope * direction).sum()[None], ((above - below) / (2 * step))[None], 1e-5)


def save_and_load(descriptor: Descriptor, species: Species) -> None:
    """Assert that a file holds all of it, and that without its fit it refuses to be used."""
    structures = _molecules(descriptor, species)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "descriptor.pt"
        save(path, descriptor)
        loaded = load(path, Descriptor)
    assert loaded.spec == descriptor.spec
    found, expected = _features(loaded, structures), _features(descriptor, structures)
    assert torch.equal(found.values, expected.values)
    anew: Descriptor = build(descriptor.spec)
    assert anew.is_fitted is not anew.needs_fit


#: All checks by name: functions of a descriptor and the species that it knows.
DESCRIPTOR_CHECKS: dict[str, Callable[[Descriptor, Species], None]] = {
    check.__name__: check
    for check in (
        symmetries,
        one_precision,
        company,
        smooth_at_the_cutoff,
        lone_atoms,
        labels,
        another_cutoff,
        derivatives,
        save_and_load,
    )
}


def _features(descriptor: Descriptor, structures: Sequence[Atoms]) -> Features:
    return descriptor(System.from_atoms(structures, descriptor.cutoff))


def _molecules(descriptor: Descriptor, species: Species) -> list[Atoms]:
    """Random atoms within the cutoff of the first, none nearer than 0.4 of it to another."""
    found = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        places = [np.zeros(3)]
        while len(places) < 5:
            r = rng.uniform(-0.9, 0.9, 3)
            near = min(float(np.linalg.norm(r - place)) for place in places)
            if np.linalg.norm(r) < 0.9 and near > 0.4:
                places.append(r)
        found.append(Atoms(rng.choice(species, 5), descriptor.cutoff * np.array(places)))
    return found


def _crystal(descriptor: Descriptor, species: Species) -> Atoms:
    """A skewed cell shorter than the cutoff: atoms are neighbours of their own images."""
    numbers = [species[k % len(species)] for k in range(2)]
    cell = descriptor.cutoff * np.array([[0.9, 0, 0], [0.2, 0.95, 0], [0.15, -0.1, 1.0]])
    return Atoms(numbers, [[0.1, 0, 0.2], cell.sum(0) * [0.4, 0.5, 0.55]], cell=cell, pbc=True)


def _readout(features: Features) -> Float[Tensor, "center probe"]:
    """Some functions of each centre, non-linear in its rows, times their weights."""
    generator = torch.Generator().manual_seed(0)
    n_features = features.values.shape[1]
    probe = torch.randn(n_features, 3, generator=generator, dtype=torch.float64) / n_features**0.5
    rows = features.weight[:, None] * torch.sin(features.values @ probe)
    total = rows.new_zeros(len(features.center_structure), 3)
    return total.index_add(0, features.center_of_row, rows)


def _assert_close(actual: Tensor, expected: Tensor, tolerance: float) -> None:
    assert actual.shape == expected.shape, f"shape {actual.shape}, not {expected.shape}"
    if expected.numel():
        deviation, largest = (actual - expected).abs().max(), expected.abs().max()
        assert deviation <= tolerance * largest, f"deviation {deviation:.2e} of {largest:.2e}"
