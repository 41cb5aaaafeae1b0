"""Chunks of centres: the same features as all at once, within the bound on memory."""

import subprocess
import sys

import ase
import numpy as np
import pytest
import torch
from environments import CUTOFF, SPECS, crystal, fitted, molecule

from atomplete.descriptors import (
    DensityCorrelationsSpec,
    ExpansionSpec,
    NiceSpec,
    TaggedCorrelationsSpec,
    ThreeCenterSpec,
    build,
    concatenate,
    estimate,
    run,
    split,
)
from atomplete.descriptors import memory as memory_module
from atomplete.descriptors.memory import (
    CHUNK_BYTES,
    LABEL_BYTES,
    MEMORY,
    OVERHEAD,
    LiveBytes,
    center_bytes,
)
from atomplete.errors import InputError
from atomplete.system import System


@pytest.fixture(scope="module", params=["three_center-gto", "contracted-gto", "bispectrum-gto"])
def descriptor(request):
    return fitted(SPECS[request.param])


@pytest.fixture(scope="module")
def system():
    return System.from_atoms([molecule(s, n=4 + s) for s in range(4)] + [crystal()], CUTOFF)


@pytest.mark.parametrize("chunk_bytes", [1, 2_000_000, 10**12])
def test_chunks_joined_are_the_whole(descriptor, system, chunk_bytes):
    whole = descriptor(system)
    chunks = list(run(descriptor, system, chunk_bytes))
    assert len(chunks) == len(split(descriptor, system, chunk_bytes))
    joined = concatenate(chunks)
    assert (joined.values - whole.values).abs().max() <= 1e-13 * whole.values.abs().max()
    for name, column in whole.rows.items():
        assert torch.equal(joined.rows[name], column)
    for name in ("center_of_row", "center_structure", "center_species", "parity"):
        assert torch.equal(getattr(joined, name), getattr(whole, name))
    torch.testing.assert_close(joined.weight, whole.weight, rtol=0, atol=1e-15)
    torch.testing.assert_close(
        joined.sum_over_neighbors(), whole.sum_over_neighbors(), rtol=0, atol=1e-12
    )


def test_chunks_are_all_the_centres_in_order(descriptor, system):
    parts = split(descriptor, system, 300_000)
    assert len(parts) > 2
    assert torch.equal(torch.cat([part.centers for part in parts]), system.centers)
    assert sum(len(part.i) for part in parts) == len(system.i)
    assert torch.equal(torch.cat([part.r_ij for part in parts]), system.r_ij)


def test_live_bytes_are_counted():
    with LiveBytes() as seen:
        for _ in range(3):
            a = torch.ones(1000, dtype=torch.float64)
            b = a + 1
            del a, b
    assert seen.peak == 16_000
    assert seen.held[-1] <= 16_000


SMALL = ExpansionSpec(species=(1, 6, 8), max_radial=2, max_angular=2)
MIXED = SMALL.model_copy(update={"embedding": ((1.0, 0.5), (0.2, 0.3), (0.0, 1.0))})
MEASURED = {
    "three_center": ThreeCenterSpec(expansion=SMALL),
    "contracted": ThreeCenterSpec(expansion=SMALL, components=(30, 12)),
    "tag_cutoff": ThreeCenterSpec(expansion=SMALL, tag_cutoff=1.5),
    "nice": NiceSpec(expansion=SMALL, components=0.999, candidates=60),
    "density": DensityCorrelationsSpec(expansion=SMALL),
    "power spectrum": DensityCorrelationsSpec(nu=(2,), expansion=MIXED),
    "N=1 ν=2": TaggedCorrelationsSpec(n_tagged=1, nu=2, expansion=SMALL),
    "N=2 ν=1": TaggedCorrelationsSpec(n_tagged=2, nu=1, expansion=MIXED),
}


@pytest.mark.parametrize("name", MEASURED)
@pytest.mark.parametrize("n_atoms", [3, 8])
def test_all_that_is_held_at_a_time_is_foreseen(name, n_atoms):
    """Beside buffers and coefficients; and not at more than five times as much."""
    structures = [molecule(s, n=n_atoms + s % 2) for s in range(20)]
    system = System.from_atoms(structures, CUTOFF)
    descriptor = build(MEASURED[name])
    if descriptor.needs_fit:
        descriptor.fit([system])
    with torch.no_grad():
        foreseen = int(center_bytes(descriptor, system, descriptor.rows_per_center).sum())
        with LiveBytes() as seen:
            descriptor(system)
    constants = sum(buffer.nbytes for buffer in descriptor.buffers())
    if "three" in name or name in ("contracted", "tag_cutoff"):  # Clebsch–Gordan blocks
        constants += 10**5
    assert seen.peak <= foreseen + constants
    assert foreseen <= 5 * seen.peak


@pytest.mark.parametrize("name", ["three_center", "nice", "density", "N=1 ν=2"])
def test_no_chunk_holds_more_than_its_bound(name):
    system = System.from_atoms([molecule(s, n=4 + s % 6) for s in range(12)], CUTOFF)
    descriptor = build(MEASURED[name])
    if descriptor.needs_fit:
        descriptor.fit([system])
    bound = 400_000
    parts = split(descriptor, system, bound)
    assert len(parts) > 1
    for part in parts:
        with LiveBytes() as seen, torch.no_grad():
            descriptor(part)
        constants = sum(buffer.nbytes for buffer in descriptor.buffers()) + 10**5
        assert seen.peak <= bound + constants or len(part.centers) == 1


def test_a_large_environment_is_measured_by_small_ones():
    """An environment of 300 neighbours would take 10 GB; what is measured takes little."""
    rng = np.random.default_rng(0)
    cloud = ase.Atoms("C300", rng.normal(0, 3, (300, 3)))
    basis = ExpansionSpec(species=(6,), cutoff=30.0)
    system = System.from_atoms(cloud, 30.0, centers=[0])
    descriptor = build(ThreeCenterSpec(expansion=basis))
    with LiveBytes() as seen, torch.no_grad():
        (need,) = center_bytes(descriptor, system, descriptor.rows_per_center).tolist()
    assert seen.peak < 4 * CHUNK_BYTES
    rows = 299**2 * 7344 * 8
    assert rows < need < 4 * rows
    with pytest.raises(InputError, match="atom 0 with 299 neighbours take"):
        estimate(descriptor, system, MEMORY)


def test_derivatives_are_split_by_what_they_take():
    """A function of the centres of a system can be anything, forces included."""
    system = System.from_atoms([molecule(s, n=6) for s in range(8)], CUTOFF)
    descriptor = build(DensityCorrelationsSpec(expansion=SMALL))

    def slopes(part):
        positions = part.positions.clone().requires_grad_()
        total = descriptor(part.with_positions(positions)).values.sum()
        return torch.autograd.grad(total, positions)[0]

    parts = split(slopes, system, 300_000)
    assert len(parts) > len(split(descriptor, system, 300_000))
    for part in parts:
        with LiveBytes() as seen:
            slopes(part)
        assert seen.peak <= 400_000 or len(part.centers) == 1
    whole = slopes(system)
    torch.testing.assert_close(sum(slopes(part) for part in parts), whole, rtol=0, atol=1e-12)


def test_centres_without_neighbours_keep_their_place():
    structures = [ase.Atoms("C"), molecule(0), ase.Atoms("O"), ase.Atoms("H")]
    system = System.from_atoms(structures, CUTOFF)
    descriptor = build(SPECS["three_center-gto"])
    whole = descriptor(system)
    joined = concatenate(list(run(descriptor, system, 1)))
    assert joined.center_structure.tolist() == [0, *[1] * 7, 2, 3]
    assert torch.equal(joined.center_of_row, whole.center_of_row)
    assert torch.equal(joined.rows["structure"], whole.rows["structure"])


def test_an_estimate_counts_rows_features_and_bytes():
    system = System.from_atoms([molecule(s, n=6, symbols="B") for s in range(3)], CUTOFF)
    n_rows = int((system.neighbor_counts**2).sum())
    found = estimate(build(ThreeCenterSpec()), system)
    assert (found.n_rows, found.n_features, found.fit) == (n_rows, 7344, "")
    assert found.disk == n_rows * 7344 * 8
    assert "7344 features" in str(found)
    kept = estimate(build(ThreeCenterSpec(components=(20, 10))), system)
    assert (kept.n_features, kept.disk) == (30, n_rows * 30 * 8)
    assert kept.fit.startswith("components: exact")
    # second moments of sums and of differences, and work space to diagonalise them
    assert kept.memory > 8 * (2610**2 + 2358**2 + 1278**2 + 1098**2 + 3 * 2610**2)


@pytest.mark.parametrize("memory", [150 * 10**6, 400 * 10**6, 10**9])
@pytest.mark.parametrize("components", [None, (20, 10)])
def test_an_estimate_keeps_to_the_memory(memory, components):
    system = System.from_atoms([molecule(s, n=9, symbols="B") for s in range(20)], CUTOFF)
    descriptor = build(ThreeCenterSpec(components=components))
    found = estimate(descriptor, system, memory)
    assert 10**8 < found.memory <= memory
    assert found.chunk_bytes == min(CHUNK_BYTES, memory - OVERHEAD - kept_bytes(descriptor))


def kept_bytes(descriptor):
    labels = LABEL_BYTES * descriptor.n_features
    return labels + sum(buffer.nbytes for buffer in descriptor.buffers())


def test_a_few_small_rows_are_not_measured(monkeypatch):
    """What is a chunk of its own in any case is neither measured nor cut."""

    def refuse(*_):
        raise AssertionError("measured")

    monkeypatch.setattr(memory_module, "_measured", refuse)
    descriptor = build(ThreeCenterSpec())
    few = System.from_atoms([molecule(0, n=3, symbols="B")], CUTOFF)
    assert len(split(descriptor, few)) == 1
    assert estimate(descriptor, few).n_rows == int((few.neighbor_counts**2).sum())
    many = System.from_atoms([molecule(s, n=8, symbols="B") for s in range(3)], CUTOFF)
    for system, chunk_bytes in ((few, 10**5), (many, CHUNK_BYTES)):
        with pytest.raises(AssertionError, match="measured"):
            split(descriptor, system, chunk_bytes)
        with pytest.raises(AssertionError, match="measured"):
            estimate(descriptor, system, OVERHEAD + 10**6)


def test_one_large_environment_is_refused_before_it_is_computed():
    atoms = molecule(0, n=40, symbols="B", radius=2.4)
    system = System.from_atoms(atoms, CUTOFF, centers=[0])
    assert int(system.neighbor_counts[0]) > 15
    with pytest.raises(InputError, match=r"structure 0: the rows of atom 0 with \d+ neighbours"):
        estimate(build(ThreeCenterSpec()), system, 115 * 10**6)


PEAK = """
import resource, sys
from pathlib import Path
import ase
from atomplete.descriptors import ExpansionSpec, ThreeCenterSpec, build, estimate
from atomplete.errors import InputError
from atomplete.featurize import featurize
from atomplete.system import System

def peak():
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

n_species, n_structures = int(sys.argv[1]), int(sys.argv[2])
numbers = range(1, n_species + 1)
batch = [ase.Atoms(numbers=[z, z % n_species + 1], positions=[(0, 0, 0), (0, 0, 1.2)])
         for z in numbers][:n_structures]
start, bound = peak(), 2 * 10**9
try:
    descriptor = build(ThreeCenterSpec(expansion=ExpansionSpec(species=tuple(numbers))))
    bound = estimate(descriptor, System.from_atoms(batch, 2.0)).memory
    featurize(batch, descriptor, Path(sys.argv[3]), progress=False)
    print("written", end=" ")
except ValueError as error:
    print("refused", end=" ")
print(peak() - start, bound)
"""


@pytest.mark.parametrize(
    ("n_species", "outcome"), [(2, "written"), (5, "written"), (16, "refused"), (60, "refused")]
)
def test_many_elements_keep_to_the_stated_memory(n_species, outcome, tmp_path):
    """Constructors, labels and refusals included: peaks of processes of their own."""
    arguments = [sys.executable, "-c", PEAK, str(n_species), "2", str(tmp_path / "f.h5")]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    found, peak, bound = done.stdout.split()
    assert found == outcome
    assert int(peak) < (2 * int(bound) if outcome == "written" else 10**8)


def test_an_environment_that_does_not_fit_is_named():
    system = System.from_atoms([molecule(0, n=3), molecule(0, n=12, radius=1.9)], 4.0)
    basis = ExpansionSpec(species=(1, 6, 8), cutoff=4.0)
    says = r"structure 1: the rows of atom 0 with 11 neighbours take .* GB .* but 0\.087 GB"
    with pytest.raises(InputError, match=says):
        estimate(build(ThreeCenterSpec(expansion=basis)), system, 2 * 10**8)
