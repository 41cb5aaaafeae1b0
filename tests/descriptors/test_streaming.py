"""Chunks of centres: the same features as all at once, within the bound on memory."""

from itertools import pairwise

import ase
import pytest
import torch
from environments import CUTOFF, SPECS, crystal, fitted, molecule
from live_bytes import LiveBytes

from atomplete.descriptors import (
    DensityCorrelationsSpec,
    ExpansionSpec,
    NiceSpec,
    TaggedCorrelationsSpec,
    ThreeCenterSpec,
    build,
    concatenate,
    estimate,
    split,
    stream,
)
from atomplete.errors import InputError
from atomplete.system import System


@pytest.fixture(scope="module", params=["three_center-gto", "contracted-gto", "bispectrum-gto"])
def representation(request):
    return fitted(SPECS[request.param])


@pytest.fixture(scope="module")
def system():
    return System.from_atoms([molecule(s, n=4 + s) for s in range(4)] + [crystal()], CUTOFF)


@pytest.mark.parametrize("chunk_bytes", [1, 2_000_000, 10**12])
def test_chunks_joined_are_the_whole(representation, system, chunk_bytes):
    whole = representation(system)
    chunks = list(stream(representation, system, chunk_bytes))
    assert len(chunks) == len(split(representation, system, chunk_bytes))
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


def test_chunks_are_all_the_centres_in_order(representation, system):
    parts = split(representation, system, 300_000)
    assert len(parts) > 2
    assert torch.equal(torch.cat([part.centers for part in parts]), system.centers)
    assert sum(len(part.i) for part in parts) == len(system.i)
    assert torch.equal(torch.cat([part.r_ij for part in parts]), system.r_ij)


@pytest.mark.parametrize("chunk_bytes", [500_000, 2_000_000, 8_000_000])
def test_no_chunk_exceeds_the_bound(representation, system, chunk_bytes):
    parts = split(representation, system, chunk_bytes)
    for part in parts:
        need = representation.row_bytes(part)
        assert need.sum() <= chunk_bytes or len(need) == 1
        rows = representation(part)
        # what is estimated covers what comes out, and the rows before any projection
        before = representation.rows(part) if hasattr(representation, "rows") else rows
        assert before.values.numel() * 8 <= max(chunk_bytes, int(need.sum()))
        assert rows.values.dtype == torch.float64
    # and no chunk could have taken the next centre as well
    for part, following in pairwise(parts):
        total = representation.row_bytes(part).sum() + representation.row_bytes(following)[0]
        assert total > chunk_bytes


class LargestTensor(torch.utils._python_dispatch.TorchDispatchMode):
    """Bytes of the largest tensor that any operation returns."""

    largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(tensor, torch.Tensor):
                self.largest = max(self.largest, tensor.numel() * tensor.element_size())
        return result


def test_no_intermediate_tensor_exceeds_the_bound(representation, system):
    bound = 8_000_000
    for part in split(representation, system, bound):
        with LargestTensor() as seen:
            representation(part)
        assert seen.largest <= max(bound, int(representation.row_bytes(part).sum()))


def test_live_bytes_are_counted():
    with LiveBytes() as seen:
        for _ in range(3):
            a = torch.ones(1000, dtype=torch.float64)
            b = a + 1
            del a, b
    assert seen.peak == 16_000
    assert not seen.live


BORON = ExpansionSpec(species=(5,))
SMALL = ExpansionSpec(species=(1, 6, 8), max_radial=2, max_angular=2)
MIXED = SMALL.model_copy(update={"embedding": ((1.0, 0.5), (0.2, 0.3), (0.0, 1.0))})
HELD = {
    "three_center": ThreeCenterSpec(),
    "contracted": ThreeCenterSpec(components=(30, 12)),
    "tag_cutoff": ThreeCenterSpec(tag_cutoff=1.5),
    "nice": NiceSpec(expansion=SMALL, components=0.999, candidates=60),
    **{
        f"density {nu} {name}": DensityCorrelationsSpec(nu=nu, expansion=basis)
        for nu in ((1,), (2,), (3,), (1, 2, 3))
        for name, basis in {"boron": BORON, "small": SMALL, "mixed": MIXED}.items()
    },
    **{
        f"N={n_tagged} ν={nu} {name}": TaggedCorrelationsSpec(
            n_tagged=n_tagged, nu=nu, expansion=basis
        )
        for n_tagged in range(3)
        for nu in range(4)
        for name, basis in {"boron": BORON, "small": SMALL, "mixed": MIXED}.items()
        if 1 <= n_tagged + nu <= (2 if basis is BORON else 3)
    },
}


@pytest.mark.parametrize("name", HELD)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("n_atoms", [1, 3, 8])
def test_all_that_is_held_at_a_time_is_estimated(name, dtype, n_atoms):
    """Beside buffers and coefficients; and not at more than five times as much."""
    spec = HELD[name]
    symbols = "B" if spec.expansion.species == (5,) else "HCO"
    structures = [molecule(s, n=n_atoms + s % 2, symbols=symbols) for s in range(6)]
    system = System.from_atoms(structures, CUTOFF, dtype=dtype)
    representation = build(spec)
    if name == "nice":
        representation.fit([System.from_atoms(structures, CUTOFF)])
    representation(system)  # what is cached does not grow with the system
    estimated = int(representation.row_bytes(system).sum())
    with LiveBytes() as seen, torch.no_grad():
        representation(system)
    constants = sum(buffer.nbytes for buffer in representation.buffers())
    if isinstance(spec, ThreeCenterSpec):  # Clebsch–Gordan blocks, side by side
        constants += 10**6
    assert seen.peak <= estimated + constants
    assert estimated <= 5 * seen.peak


def test_centres_without_neighbours_keep_their_place():
    structures = [ase.Atoms("C"), molecule(0), ase.Atoms("O"), ase.Atoms("H")]
    system = System.from_atoms(structures, CUTOFF)
    representation = build(SPECS["three_center-gto"])
    whole = representation(system)
    joined = concatenate(list(stream(representation, system, 1)))
    assert joined.center_structure.tolist() == [0, *[1] * 7, 2, 3]
    assert torch.equal(joined.center_of_row, whole.center_of_row)
    assert torch.equal(joined.rows["structure"], whole.rows["structure"])


def test_the_papers_rows_of_one_environment():
    """7344 features for each of 7 × 7 rows, computed a bounded number of centres at a time."""
    representation = build(ThreeCenterSpec())
    atoms = molecule(0, n=8, symbols="B", radius=1.8)
    system = System.from_atoms([atoms] * 20, cutoff=2.0, centers=[0])
    assert len(representation.labels) == 7344
    parts = split(representation, system)
    assert len(parts) > 1
    assert max(int(representation.row_bytes(part).sum()) for part in parts) <= 64 * 2**20


def test_an_estimate_counts_rows_features_and_bytes():
    system = System.from_atoms([molecule(s, n=6, symbols="B") for s in range(3)], CUTOFF)
    n_rows = int((system.neighbor_counts**2).sum())
    found = estimate(build(ThreeCenterSpec()), system)
    assert (found.n_rows, found.n_features, found.method) == (n_rows, 7344, None)
    assert found.disk == n_rows * 7344 * 8
    assert "7344 features" in str(found)
    kept = estimate(build(ThreeCenterSpec(components=(20, 10))), system)
    assert (kept.n_features, kept.disk, kept.method) == (30, n_rows * 30 * 8, "exact")
    # second moments of sums and of differences, and work space to diagonalise them
    assert kept.memory > 8 * (2610**2 + 2358**2 + 1278**2 + 1098**2 + 3 * 2610**2)


@pytest.mark.parametrize("memory", [150 * 10**6, 400 * 10**6, 10**9])
@pytest.mark.parametrize("components", [None, (20, 10)])
def test_an_estimate_keeps_to_the_memory(memory, components):
    system = System.from_atoms([molecule(s, n=9, symbols="B") for s in range(20)], CUTOFF)
    representation = build(ThreeCenterSpec(components=components))
    found = estimate(representation, system, memory)
    assert 10**8 < found.memory <= memory
    parts = split(representation, system, found.chunk_bytes)
    largest = max(int(representation.row_bytes(part).sum()) for part in parts)
    assert 0.5 * found.chunk_bytes < largest <= found.chunk_bytes < memory


def test_an_environment_that_does_not_fit_is_named():
    system = System.from_atoms([molecule(0, n=3), molecule(0, n=12, radius=1.9)], 4.0)
    basis = ExpansionSpec(species=(1, 6, 8), cutoff=4.0)
    says = r"structure 1: the rows of atom 0 with 11 neighbours take .* GB .* but 0\.1 GB"
    with pytest.raises(InputError, match=says):
        estimate(build(ThreeCenterSpec(expansion=basis)), system, 2 * 10**8)
