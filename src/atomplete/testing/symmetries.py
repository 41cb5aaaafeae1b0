"""Assertions for tests of representations: the symmetries that one promises, on a given system.

They apply rotations, reflections, translations and permutations to a ``System`` and compare.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from atomplete.descriptors import Features
from atomplete.o3 import random_rotation, wigner_d
from atomplete.system import System


def rotated(system: System, rotation: Float[Tensor, "3 3"]) -> System:
    """The system with positions and cells turned by an element of O(3).

    Examples
    --------
    >>> import ase
    >>> system = System.from_atoms(ase.Atoms("B2", [(0, 0, 0), (0, 0, 1.6)]), cutoff=2.0)
    >>> rotated(system, -torch.eye(3, dtype=torch.float64)).positions[1]
    tensor([ 0.0000,  0.0000, -1.6000], dtype=torch.float64)
    """
    turn = rotation.to(system.positions).T
    return replace(system, positions=system.positions @ turn, cell=system.cell @ turn)


def permuted(system: System, order: Int[Tensor, " atom"]) -> System:
    """The system with its atoms listed in another order.

    The centres stay the same atoms in the same order; neighbours follow the order of the atoms.

    Parameters
    ----------
    system
        Atoms and pairs.
    order
        (atom,) position k of the new list holds atom ``order[k]`` of the old one. Atoms must
        stay among those of their structure.

    Examples
    --------
    >>> import ase
    >>> system = System.from_atoms(ase.Atoms("BN", [(0, 0, 0), (0, 0, 1.6)]), cutoff=2.0)
    >>> swapped = permuted(system, torch.tensor([1, 0]))
    >>> swapped.species, swapped.centers
    (tensor([7, 5]), tensor([1, 0]))
    """
    if not torch.equal(system.structure[order], system.structure):
        raise ValueError("an order of the atoms must not mix structures")
    place = order.argsort()
    j = place[system.j]
    # pairs stay sorted by centre
    pairs = (system.i * len(order) + j).argsort(stable=True)
    return replace(
        system,
        positions=system.positions[order],
        species=system.species[order],
        centers=place[system.centers],
        i=system.i[pairs],
        j=j[pairs],
        shift=system.shift[pairs],
    )


def assert_equivariant(
    function: Callable[[System], Tensor],
    system: System,
    o3_lambda: int,
    *,
    o3_sigma: int = 1,
    tolerance: float = 1e-10,
    seed: int = 0,
) -> None:
    """Assert that f(R A) = det(R)^[σ = −1] f(A) D(R)^T for a rotation and for an improper one.

    Parameters
    ----------
    function
        Maps a system to a tensor whose last axis is μ = −λ..λ.
    system
        Atoms and pairs.
    o3_lambda, o3_sigma
        Order and parity of the tensor: its parity under inversion is σ(−1)^λ.
    tolerance
        Largest deviation, relative to the largest entry.
    seed
        Of the random elements of O(3).

    Raises
    ------
    AssertionError
        Names the element that breaks equivariance, and the deviation.

    Examples
    --------
    >>> import ase
    >>> from atomplete.o3 import lm_slice
    >>> from atomplete.descriptors import Expansion, ExpansionSpec
    >>> expansion = Expansion(ExpansionSpec())
    >>> system = System.from_atoms(ase.Atoms("B2", [(0, 0, 0), (0, 0, 1.6)]), cutoff=2.0)
    >>> assert_equivariant(lambda s: expansion.density(s)[..., lm_slice(2)], system, o3_lambda=2)
    """
    generator = torch.Generator().manual_seed(seed)
    values = function(system)
    for proper in (True, False):
        rotation = random_rotation(generator, proper=proper).to(values)
        sign = o3_sigma if not proper else 1
        expected = sign * values @ wigner_d(o3_lambda, rotation).T
        name = "rotation" if proper else "reflection"
        _assert_close(function(rotated(system, rotation)), expected, tolerance, name)


def assert_invariant(
    descriptor: Callable[[System], Features],
    system: System,
    *,
    tolerance: float = 1e-10,
    seed: int = 0,
) -> None:
    """Assert that features are invariant under O(3), translations and permutations of atoms.

    Features of parity −1 must change sign under an improper rotation; rows must move with the
    labels of their atoms.

    Parameters
    ----------
    descriptor
        Maps a system to features.
    system
        Atoms and pairs.
    tolerance
        Largest deviation, relative to the largest feature.
    seed
        Of the random transformations.

    Raises
    ------
    AssertionError
        Names the transformation that changes the features, and the deviation.

    Examples
    --------
    >>> import ase
    >>> from atomplete.descriptors import ThreeCenterSpec, build
    >>> system = System.from_atoms(ase.Atoms("B2", [(0, 0, 0), (0, 0, 1.6)]), cutoff=2.0)
    >>> assert_invariant(build(ThreeCenterSpec()), system)
    """
    generator = torch.Generator().manual_seed(seed)
    features = descriptor(system)
    for proper in (True, False):
        rotation = random_rotation(generator, proper=proper)
        signs = features.parity if not proper else torch.ones_like(features.parity)
        turned = descriptor(rotated(system, rotation)).values
        name = "rotation" if proper else "reflection"
        _assert_close(turned, features.values * signs, tolerance, name)

    displacement = torch.randn(len(system.cell), 3, generator=generator, dtype=torch.float64)
    moved = system.positions + displacement.to(system.positions)[system.structure]
    translated = descriptor(system.with_positions(moved)).values
    _assert_close(translated, features.values, tolerance, "translation")

    # a cyclic shift within each structure: no atom keeps its place, as it might in a random order
    atom_start = system.first_atom[system.structure]
    within = torch.arange(len(atom_start), device=atom_start.device) - atom_start
    sizes = torch.bincount(system.structure, minlength=len(system.cell))[system.structure]
    order = atom_start + (within + 1) % sizes
    permutation = descriptor(permuted(system, order))
    place = order.argsort() - atom_start  # within the structure
    start = system.first_atom[features.rows["structure"]]
    labels = [
        column if name == "structure" else place[start + column]
        for name, column in features.rows.items()
    ]
    # rows that share all labels (images of one atom) are put in order by a random projection
    vector = torch.randn(features.values.shape[1], generator=generator, dtype=torch.float64)
    before = _order(labels, features.values, vector)
    after = _order(list(permutation.rows.values()), permutation.values, vector)
    if any(
        not torch.equal(a[before], b[after])
        for a, b in zip(labels, permutation.rows.values(), strict=True)
    ):
        raise AssertionError("a permutation of the atoms does not permute the labels of the rows")
    _assert_close(permutation.values[after], features.values[before], tolerance, "permutation")


def _order(
    labels: list[Tensor], values: Float[Tensor, "row feature"], vector: Float[Tensor, " feature"]
) -> Int[Tensor, " row"]:
    """Lexicographic order of rows by their labels, then by a projection of their values."""
    order = (values @ vector.to(values)).argsort(stable=True)
    for column in reversed(labels):
        order = order[column[order].argsort(stable=True)]
    return order


def _assert_close(actual: Tensor, expected: Tensor, tolerance: float, name: str) -> None:
    if actual.shape != expected.shape:
        raise AssertionError(f"{name}: shape {tuple(actual.shape)}, not {tuple(expected.shape)}")
    if not expected.numel():
        return
    largest = expected.abs().max().item()
    deviation = (actual - expected).abs().max().item()
    # written so that NaN fails
    if not deviation <= tolerance * largest:
        raise AssertionError(
            f"{name}: deviation {deviation:.2e}, largest value {largest:.2e}, "
            f"tolerance {tolerance:.0e} of it"
        )
