"""The shipped assertions pass where a symmetry holds, and name the one that does not."""

from dataclasses import replace

import ase
import pytest
import torch

from atomplete.descriptors import Features, ThreeCenterSpec, build
from atomplete.system import System
from atomplete.testing import assert_equivariant, assert_invariant, permuted, rotated

POSITIONS = [(0, 0, 0), (0, 0.3, 1.2), (1.1, 0.2, -0.4), (-0.5, -1.0, 0.1)]


@pytest.fixture
def system():
    crystal = ase.Atoms("BN", POSITIONS[:2], cell=[1.9, 2.1, 2.2], pbc=True)
    return System.from_atoms([ase.Atoms("BBNN", POSITIONS), crystal], cutoff=2.0)


def features_of(function, parity=1):
    def represent(system):
        values = function(system)
        return Features.of_centers(system, values, torch.full((values.shape[1],), parity))

    return represent


def distances(system):
    r = torch.linalg.vector_norm(system.r_ij, dim=1)
    total = torch.zeros(len(system.centers), 1, dtype=r.dtype)
    return total.index_add(0, system.i, r[:, None] ** 2)


def volume(system):
    """Pseudoscalar: the triple product of three moments of the neighbours."""
    r = system.r_ij
    norm = torch.linalg.vector_norm(r, dim=1, keepdim=True)
    sums = [
        torch.zeros(len(system.centers), 3, dtype=r.dtype).index_add(0, system.i, r * norm**k)
        for k in range(3)
    ]
    return torch.linalg.det(torch.stack(sums, 1))[:, None]


def vectors(system):
    total = torch.zeros(len(system.centers), 3, dtype=system.positions.dtype)
    return total.index_add(0, system.i, system.r_ij)[:, [1, 2, 0]]


def test_what_is_invariant_passes(system):
    assert_invariant(features_of(distances), system)
    assert_invariant(features_of(volume, parity=-1), system)
    spec = ThreeCenterSpec()
    spec = spec.model_copy(
        update={"expansion": spec.expansion.model_copy(update={"species": (5, 7)})}
    )
    assert_invariant(build(spec), system)


def labels_of_places(system):
    """Labels the rows by their place in the list of centres, not by their atoms."""
    features = features_of(distances)(system)
    places = torch.arange(len(system.centers)) - system.first_atom[features.center_structure]
    return replace(features, rows=features.rows | {"center": places})


def same_label_for_all(system):
    features = features_of(distances)(system)
    return replace(features, rows=features.rows | {"center": 0 * system.centers})


def drops_a_row(system):
    features = features_of(distances)(system)
    keep = system.positions[system.centers][:, 0] < 1.0
    return replace(
        features,
        values=features.values[keep],
        rows={name: column[keep] for name, column in features.rows.items()},
        center_of_row=features.center_of_row[keep],
        weight=features.weight[keep],
    )


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (features_of(vectors), "rotation: deviation"),
        (features_of(volume), "reflection: deviation"),
        (features_of(distances, parity=-1), "reflection: deviation"),
        (
            features_of(
                lambda s: torch.linalg.vector_norm(s.positions[s.centers], dim=1, keepdim=True)
            ),
            "translation: deviation",
        ),
        (features_of(lambda s: distances(s) * (1.0 + s.centers[:, None])), "permutation: dev"),
        (features_of(lambda s: distances(s) * torch.nan), "rotation: deviation nan"),
        (labels_of_places, "permutation: dev"),
        (same_label_for_all, "does not permute the labels"),
        (drops_a_row, "shape"),
    ],
)
def test_what_is_not_invariant_is_named(function, message, system):
    with pytest.raises(AssertionError, match=message):
        assert_invariant(function, system)


def test_equivariance(system):
    assert_equivariant(vectors, system, 1)
    assert_equivariant(volume, system, 0, o3_sigma=-1)
    with pytest.raises(AssertionError, match="rotation"):
        assert_equivariant(lambda s: vectors(s)[:, [2, 1, 0]], system, 1)
    with pytest.raises(AssertionError, match="reflection"):
        assert_equivariant(volume, system, 0)
    with pytest.raises(AssertionError, match="reflection"):
        assert_equivariant(vectors, system, 1, o3_sigma=-1)


def test_a_tolerance_is_relative(system):
    def noisy(scale):
        return features_of(lambda s: scale * (distances(s) + 1e-6 * s.positions[s.centers][:, :1]))

    for scale in (1e-5, 1e5):
        assert_invariant(noisy(scale), system, tolerance=1e-4)
        with pytest.raises(AssertionError, match="tolerance 1e-08"):
            assert_invariant(noisy(scale), system, tolerance=1e-8)


def test_permuted_systems_describe_the_same_pairs(system):
    order = torch.tensor([2, 0, 3, 1, 5, 4])
    other = permuted(system, order)
    assert torch.equal(other.positions, system.positions[order])
    assert torch.equal(other.positions[other.centers], system.positions[system.centers])
    assert (other.i.diff() >= 0).all()
    before, after = (
        sorted(zip(s.i.tolist(), s.r_ij.tolist(), strict=True)) for s in (system, other)
    )
    assert before == after
    with pytest.raises(ValueError, match="must not mix structures"):
        permuted(system, torch.tensor([4, 1, 2, 3, 0, 5]))


def test_rotated_systems_have_rotated_pairs(system):
    turn = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, -1]], dtype=torch.float64)
    torch.testing.assert_close(rotated(system, turn).r_ij, system.r_ij @ turn.T)
