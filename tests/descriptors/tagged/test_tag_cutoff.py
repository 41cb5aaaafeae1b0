"""Neighbours tagged within a cutoff of their own: which rows there are, and how smoothly they end.

The density keeps all neighbours within the outer cutoff.
"""

import numpy as np
import pytest
import torch
from ase import Atoms
from environments import CUTOFF, crystal, molecule

from atomplete.descriptors import ExpansionSpec, TaggedCorrelationsSpec, ThreeCenterSpec, build
from atomplete.errors import InputError
from atomplete.radial import PolynomialCutoff, ShiftedCosine
from atomplete.system import System

TAG_CUTOFF = 1.5
BASES = {
    "cosine": ExpansionSpec(
        max_radial=2, max_angular=2, species=(1, 6, 8), cutoff_function=ShiftedCosine(width=0.5)
    ),
    "polynomial": ExpansionSpec(
        max_radial=2, max_angular=2, species=(1, 6, 8), cutoff_function=PolynomialCutoff(width=0.5)
    ),
}


def descriptor(name="polynomial", tag_cutoff=TAG_CUTOFF):
    return build(ThreeCenterSpec(expansion=BASES[name], tag_cutoff=tag_cutoff))


def system_of(*structures):
    return System.from_atoms(list(structures), CUTOFF)


@pytest.mark.parametrize("atoms", [molecule(1), crystal()], ids=["molecule", "crystal"])
def test_a_tag_cutoff_equal_to_the_cutoff_changes_nothing(atoms):
    system = system_of(atoms)
    found, expected = (descriptor(tag_cutoff=t)(system) for t in (CUTOFF, None))
    assert torch.equal(found.values, expected.values)
    assert torch.equal(found.weight, expected.weight)
    for name, column in expected.rows.items():
        assert torch.equal(found.rows[name], column)


def test_rows_are_those_of_neighbours_within_the_tag_cutoff():
    structures = [molecule(s) for s in range(3)]
    system = system_of(*structures)
    features = descriptor()(system)
    expected = []
    for s, atoms in enumerate(structures):
        near = atoms.get_all_distances() < TAG_CUTOFF
        for i in range(len(atoms)):
            neighbors = [j for j in range(len(atoms)) if near[i, j] and j != i]
            expected += [(s, i, a, b) for a in neighbors for b in neighbors]
    rows = torch.stack(
        [features.rows[k] for k in ("structure", "center", "neighbor_1", "neighbor_2")], 1
    )
    assert sorted(map(tuple, rows.tolist())) == sorted(expected)
    assert len(expected) == int(descriptor().rows_per_center(system).sum())
    assert 0 < len(expected) < int(descriptor(tag_cutoff=None).rows_per_center(system).sum())


def test_weights_end_at_the_tag_cutoff():
    atoms = molecule(2)
    features = descriptor("cosine")(system_of(atoms))
    distance = torch.from_numpy(atoms.get_all_distances())
    _, i, a, b = features.rows.values()
    function = BASES["cosine"].cutoff_function
    expected = function(distance[i, a], TAG_CUTOFF) * function(distance[i, b], TAG_CUTOFF)
    torch.testing.assert_close(features.weight, expected, rtol=0, atol=1e-13)


def line(r, partner=1.0):
    """A centre, a near tagged neighbour, and one at a distance r in another direction."""
    direction = np.array([0.3, 0.8, -0.5])
    far = r * direction / np.linalg.norm(direction)
    return Atoms("CHO", [(0, 0, 0), (0, 0.1, partner), far])


def test_the_density_still_holds_the_outer_neighbours():
    """A neighbour between the cutoffs is in no row's label, yet the rows feel where it is."""
    found = []
    for r in (1.7, 1.75):
        system = System.from_atoms(line(r), CUTOFF, centers=[0])
        features = descriptor()(system)
        assert features.rows["neighbor_1"].tolist() == features.rows["neighbor_2"].tolist() == [1]
        found.append(features.values)
    assert (found[0] - found[1]).abs().max() > 1e-4
    # and once it is further than the outer cutoff, they no longer do
    away = [
        descriptor()(System.from_atoms(line(r), CUTOFF, centers=[0])).values for r in (2.01, 2.2)
    ]
    torch.testing.assert_close(*away, rtol=0, atol=1e-15)


def weighted_sum(name, r):
    """A smooth non-linear function of each row, with its weight, summed: value and dE/dr."""
    distance = torch.tensor(r, dtype=torch.float64, requires_grad=True)
    system = System.from_atoms(line(r), CUTOFF + 0.5, centers=[0])
    unit = system.positions[2] / r
    positions = torch.stack([*system.positions[:2], unit * distance])
    features = descriptor(name)(system.with_positions(positions).within(CUTOFF))
    scale = 1 + torch.arange(features.values.shape[1], dtype=torch.float64) % 5
    energy = (features.weight * torch.tanh(features.values @ scale + 0.4)).sum()
    (slope,) = torch.autograd.grad(energy, distance)
    return energy.item(), slope.item()


@pytest.mark.parametrize("name", BASES)
@pytest.mark.parametrize("end", [TAG_CUTOFF, CUTOFF])
def test_a_weighted_sum_is_smooth_where_a_neighbour_leaves(name, end):
    """Value and slope agree from both sides; with the polynomial the second derivative as well."""
    h = 2e-5
    r = end + h * np.array([-2, -1, 1, 2])
    energy, slope = np.array([weighted_sum(name, x) for x in r]).T
    # no jump of the value, nor of the slope: both change by no more than O(h)
    assert np.ptp(energy) < 1e-6
    assert np.ptp(slope) < 2e-3
    # slopes are those of the values, on either side and across
    trapezoids = (slope[1:] + slope[:-1]) / 2
    np.testing.assert_allclose(np.diff(energy) / np.diff(r), trapezoids, rtol=0, atol=2e-4)
    below, above = (slope[1] - slope[0]) / h, (slope[3] - slope[2]) / h
    if name == "polynomial":
        assert abs(above - below) < 0.03
    else:  # the second derivative of the cosine jumps: here it would be seen
        assert abs(above - below) > 0.1


@pytest.mark.parametrize("r", [1.45, 1.7, 1.95])
def test_gradients_against_finite_differences(r):
    h = 1e-5
    slope = weighted_sum("polynomial", r)[1]
    expected = (weighted_sum("polynomial", r + h)[0] - weighted_sum("polynomial", r - h)[0]) / (
        2 * h
    )
    assert abs(slope) > 1e-4
    assert slope == pytest.approx(expected, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("kind", [ThreeCenterSpec, TaggedCorrelationsSpec])
def test_a_tag_cutoff_beyond_the_cutoff_is_refused(kind):
    with pytest.raises(InputError, match=r"tag_cutoff 2\.5 Å is larger than the cutoff 2 Å"):
        build(kind(tag_cutoff=2.5))
