"""Contractions: orthonormal, the same however the rows are streamed, exact when complete."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from environments import CUTOFF, crystal, molecule

from atomplete.descriptors import ExpansionSpec, ThreeCenter, ThreeCenterSpec, split
from atomplete.descriptors.contraction.contraction import principal_components, radial_components
from atomplete.descriptors.contraction.exchange import exchanges
from atomplete.descriptors.contraction.method import plan
from atomplete.errors import InputError
from atomplete.o3 import lm_slice
from atomplete.system import System

BASIS = ExpansionSpec(max_radial=4, max_angular=2, species=(6,))


def training(seeds=range(6), n=6):
    return System.from_atoms([molecule(s, n=n, symbols="C") for s in seeds], CUTOFF)


def spec(radial=None, components=None):
    return ThreeCenterSpec(expansion=BASIS, radial_components=radial, components=components)


def projector(columns):
    return columns @ columns.transpose(-1, -2)


def orthonormal(columns):
    unit = torch.eye(columns.shape[-1], dtype=columns.dtype)
    return (columns.transpose(-1, -2) @ columns - unit).abs().max() < 1e-12


def test_orthonormal():
    fitted = ThreeCenter(spec(3, (40, 20))).fit([training()])
    assert fitted.radial.shape == (3, 4, 3)
    assert fitted.even.shape[1] == 40
    assert fitted.odd.shape[1] == 20
    assert all(orthonormal(c) for c in (*fitted.radial, fitted.even, fitted.odd))


def test_radial_components_are_those_of_the_largest_mean_square():
    """No other subspace of that size keeps more of the training coefficients."""
    system = training()
    whole = ThreeCenter(spec())
    g_ij = whole.pairs(system)
    components = radial_components([g_ij], 2)
    for l in range(3):
        block = g_ij[:, :, lm_slice(l)]
        rows = block.transpose(1, 2).flatten(0, 1)
        kept = (rows @ components[l]).square().sum()
        singular = torch.linalg.svdvals(rows)
        torch.testing.assert_close(kept, singular[:2].square().sum(), rtol=1e-12, atol=0)


def test_all_components_keep_every_inner_product():
    system = training(range(2), n=5)
    bare = ThreeCenter(spec())
    n_even = int((bare.parity > 0).sum())
    n_odd = int((bare.parity < 0).sum())
    rows = bare(system)
    for complete in (spec(4), spec(None, (n_even, n_odd)), spec(4, (n_even, n_odd))):
        turned = ThreeCenter(complete).fit([training()])(system)
        for part in ("even", "odd"):
            before, after = getattr(rows, part), getattr(turned, part)
            assert after.shape == before.shape
            gram = before @ before.T
            assert (after @ after.T - gram).abs().max() < 1e-12 * gram.abs().max()


def test_more_components_than_features_are_all_features():
    fitted = ThreeCenter(spec(9, (10**6, 10**6))).fit([training(range(2))])
    assert len(fitted.parity) == len(ThreeCenter(spec()).parity)


def test_projection_never_lengthens_and_error_falls_with_the_number_kept():
    system = training(range(20, 23))
    rows = ThreeCenter(spec())(system)
    lost = []
    for kept in (5, 20, 60, 200):
        fitted = ThreeCenter(spec(None, (kept, kept))).fit([training()])
        values = fitted(system).values
        lost.append((rows.values.square().sum() - values.square().sum()).item())
    assert all(error > -1e-12 for error in lost)
    assert lost == sorted(lost, reverse=True)
    assert lost[-1] < 0.1 * lost[0]


def test_fit_is_deterministic_and_signs_are_fixed():
    fits = [ThreeCenter(spec(3, (15, 8))).fit([training()]) for _ in range(2)]
    for name, tensor in fits[0].state_dict().items():
        assert torch.equal(tensor, fits[1].state_dict()[name])
    for columns in (*fits[0].radial, fits[0].even, fits[0].odd):
        assert (columns.gather(0, columns.abs().argmax(0)[None]) > 0).all()


@pytest.mark.parametrize("chunk_bytes", [1, 300_000])
def test_fit_in_chunks(chunk_bytes):
    system = training()
    kept = spec(3, (12, 6))
    whole = ThreeCenter(kept).fit([system])
    chunks = split(whole, system, chunk_bytes)
    assert len(chunks) > 3
    streamed = ThreeCenter(kept).fit(chunks)
    for name in ("radial", "even", "odd"):
        ours, theirs = getattr(streamed, name), getattr(whole, name)
        # vectors of nearly equal eigenvalues may turn into each other, their span may not
        torch.testing.assert_close(projector(ours), projector(theirs), rtol=0, atol=1e-9)


def test_fit_sees_only_what_it_is_given():
    kept = spec(3, (12, 6))
    fitted = ThreeCenter(kept).fit([training()])
    before = {name: tensor.clone() for name, tensor in fitted.state_dict().items()}
    fitted(training(range(30, 33)))
    for name, tensor in fitted.state_dict().items():
        assert torch.equal(tensor, before[name])
    other = ThreeCenter(kept).fit([training(range(30, 36))])
    assert (projector(other.even) - projector(fitted.even)).abs().max() > 1e-3


def test_the_parities_are_not_mixed():
    system = training(range(2))
    fitted = ThreeCenter(spec(None, (5, 3))).fit([training()])
    rows = ThreeCenter(spec())(system)
    features = fitted(system)
    torch.testing.assert_close(features.even, rows.even @ fitted.even, rtol=0, atol=1e-14)
    torch.testing.assert_close(features.odd, rows.odd @ fitted.odd, rtol=0, atol=1e-14)
    assert features.parity.tolist() == [1] * 5 + [-1] * 3


def test_radial_contraction_commutes_with_the_coupling():
    """Rows of contracted pairs are contracted rows: one matrix for each of the three factors."""
    system = training(range(2), n=5)
    fitted = ThreeCenter(spec(2)).fit([training()])
    bare = ThreeCenter(spec())
    rows = bare(system).values
    contracted = fitted(system).values
    place = {tuple(label): k for k, label in enumerate(bare.labels.tolist())}
    for k in range(0, contracted.shape[1], 17):
        a, l1, b, l2, c, l3 = fitted.labels[k].tolist()
        expected = sum(
            fitted.radial[l1][q1, a] * fitted.radial[l2][q2, b] * fitted.radial[l3][q3, c]
            * rows[:, place[q1, l1, q2, l2, q3, l3]]
            for q1 in range(4) for q2 in range(4) for q3 in range(4)
        )  # fmt: skip
        torch.testing.assert_close(contracted[:, k], expected, rtol=0, atol=1e-13)


def test_principal_components_against_svd():
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(40, 8, generator=generator, dtype=torch.float64)
    components = principal_components(rows.T @ rows, 3)
    _, _, vh = torch.linalg.svd(rows)
    torch.testing.assert_close(projector(components), projector(vh[:3].T), rtol=0, atol=1e-12)
    assert principal_components(rows.T @ rows, 0).shape == (8, 0)


def test_no_environments_to_fit_to():
    with pytest.raises(ValueError, match="no environments"):
        ThreeCenter(spec(2)).fit([])


def lost(rows, columns):
    """Fraction of the mean square of rows outside the space that orthonormal columns span."""
    return ((rows - rows @ columns @ columns.T).square().sum() / rows.square().sum()).item()


def optimum(rows, n_components):
    """The least that any subspace of that size leaves out."""
    squares = torch.linalg.svdvals(rows).square()
    return (squares[n_components:].sum() / squares.sum()).item()


@pytest.mark.parametrize(
    ("structures", "tag_cutoff"),
    [
        ([molecule(s, n=4 + s, symbols="C") for s in range(4)], None),
        ([molecule(s, n=7, symbols="C") for s in range(3)], 1.5),
        ([crystal()], None),
    ],
    ids=["molecules", "tag cutoff", "images of one atom"],
)
def test_rows_of_exchanged_neighbours_are_not_needed(structures, tag_cutoff):
    """Components from half the rows and blocks of features, against a decomposition of all."""
    for atoms in structures:
        atoms.symbols = "C" * len(atoms)
    system = System.from_atoms(structures, CUTOFF)
    content = spec(None, (14, 9)).model_copy(update={"tag_cutoff": tag_cutoff})
    rows = ThreeCenter(content.model_copy(update={"components": None}))(system)
    fitted = ThreeCenter(content).fit([system])
    for part, n in (("even", 14), ("odd", 9)):
        _, _, vh = torch.linalg.svd(getattr(rows, part), full_matrices=False)
        found = getattr(fitted, part)
        torch.testing.assert_close(projector(found), projector(vh[:n].T), rtol=0, atol=1e-9)


def test_exchange_blocks_are_an_orthogonal_change_of_basis():
    labels = ThreeCenter(spec()).labels
    values = torch.randn(5, len(labels), generator=torch.Generator().manual_seed(0)).double()
    for exchange, parity in zip(exchanges(labels), (0, 1), strict=True):
        of_parity = labels[:, 1::2].sum(1) % 2 == parity
        assert torch.equal(exchange.features, of_parity.nonzero()[:, 0])
        halves = exchange.fold(values)
        assert tuple(half.shape[1] for half in halves) == exchange.sizes
        basis = exchange.unfold(*(torch.eye(n, dtype=torch.float64) for n in exchange.sizes))
        assert orthonormal(basis)
        expected = values[:, of_parity] @ basis
        torch.testing.assert_close(torch.cat(halves, 1), expected, rtol=0, atol=1e-14)


def test_what_was_kept_is_reported():
    system = training()
    fitted = ThreeCenter(spec(3, (12, 6)))
    assert fitted.kept == ()
    fitted.fit([system])
    g_ij = ThreeCenter(spec()).pairs(system)
    for l, kept in enumerate(fitted.kept[:3]):
        assert (kept.what, kept.of, kept.kept) == (f"radial channels, l = {l}", 4, 3)
        coefficients = g_ij[:, :, lm_slice(l)].transpose(1, 2).flatten(0, 1)
        assert kept.lost == pytest.approx(lost(coefficients, fitted.radial[l]), rel=1e-6)
    rows = fitted.rows(system)
    for kept, part in zip(fitted.kept[3:], ("even", "odd"), strict=True):
        values, columns = getattr(rows, part), getattr(fitted, part)
        assert (kept.what, kept.of, kept.kept) == (f"{part} rows", *columns.shape)
        assert kept.lost == pytest.approx(lost(values, columns), rel=1e-6)
        assert kept.method == "exact"


def test_nothing_is_lost_where_everything_is_kept():
    fitted = ThreeCenter(spec(4, (10**6, 10**6))).fit([training(range(2), n=4)])
    assert all(kept.lost < 1e-12 and kept.kept == kept.of for kept in fitted.kept)


# the sketch


def sketched(content, system, **options):
    """Fitted with as little memory as makes second moments not fit."""
    descriptor = ThreeCenter(content)
    exact = descriptor.contraction_plan([system])
    assert exact.method == "exact"
    descriptor.fit([system], memory=exact.peak - 1, **options)
    assert {kept.method for kept in descriptor.kept[-2:]} == {"sketch"}
    return descriptor


@pytest.mark.parametrize("kept", [(3, 2), (30, 15), (120, 60)])
def test_a_sketch_loses_hardly_more_than_the_optimum(kept):
    system = training()
    fitted = sketched(spec(None, kept), system)
    rows = ThreeCenter(spec())(system)
    for part, n, reported in zip(("even", "odd"), kept, fitted.kept, strict=True):
        values, columns = getattr(rows, part), getattr(fitted, part)
        assert orthonormal(columns)
        assert lost(values, columns) <= 1.1 * optimum(values, n)
        assert reported.lost == pytest.approx(lost(values, columns), rel=1e-6)


def test_a_sketch_is_accurate_where_one_half_holds_everything():
    """Dimers: a single tagged neighbour, so that no row has a partner to differ from."""
    dimers = [molecule(s, n=2, symbols="C", radius=1.6 + 0.01 * s) for s in range(40)]
    system = System.from_atoms(dimers, CUTOFF)
    rows = ThreeCenter(spec())(system)
    assert rows.odd.abs().max() < 1e-13
    fitted = sketched(spec(None, (6, 2)), system)
    assert lost(rows.even, fitted.even) <= 1.1 * optimum(rows.even, 6)


def test_a_sketch_is_the_same_again_and_in_other_chunks():
    system = training()
    first, again = (sketched(spec(None, (20, 10)), system) for _ in range(2))
    other = ThreeCenter(spec(None, (20, 10)))
    chunks = split(first, system, 400_000)
    assert len(chunks) > 3
    other.fit(chunks, memory=other.contraction_plan(chunks).peak - 1)
    assert other.kept[0].method == "sketch"
    for name in ("even", "odd"):
        assert torch.equal(getattr(first, name), getattr(again, name))
        found, expected = projector(getattr(other, name)), projector(getattr(first, name))
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


# the choice between them

PAPER = [(2610, 2358), (1278, 1098)], (600, 350)
THREE_SPECIES = [(68202, 65934), (32886, 31266)], (600, 350)


def test_second_moments_are_used_where_they_fit():
    needed = 8 * (2610**2 + 2358**2 + 1278**2 + 1098**2)
    found = plan(*PAPER, 196_000, largest=10**7, memory=2 * 10**9)
    assert (found.method, found.n_passes) == ("exact", 1)
    assert needed <= found.held <= found.peak <= 2 * 10**9
    assert found.held + found.chunk_bytes <= 2 * 10**9
    less = plan(*PAPER, 196_000, largest=10**7, memory=found.peak - 1)
    assert (less.method, less.n_passes) == ("sketch", 2)
    # a large environment takes memory from the second moments
    large = found.peak - found.held + 1
    assert plan(*PAPER, 196_000, largest=large, memory=found.peak).method == "sketch"


def test_a_sketch_is_used_where_it_is_much_cheaper():
    found = plan(*THREE_SPECIES, 10**5, largest=10**8, memory=10**12)
    assert found.method == "sketch"
    nearly_all = plan(THREE_SPECIES[0], (60000, 30000), 10**5, largest=10**8, memory=10**12)
    assert nearly_all.method == "exact"


def test_what_fits_in_no_way_is_refused():
    with pytest.raises(InputError, match=r"134136 and 64152 features take 3\.4 GB .* 2 GB"):
        plan(*THREE_SPECIES, 10**5, largest=10**8, memory=2 * 10**9)


def test_sizes_of_the_three_species_are_those_of_its_labels():
    from atomplete.descriptors.tagged.rows import three_center_labels

    assert [e.sizes for e in exchanges(three_center_labels(18, 3))] == THREE_SPECIES[0]


# memory

PEAK = """
from pathlib import Path
import torch
from atomplete.degenerate.families.registry import generate
from atomplete.descriptors import ExpansionSpec, ThreeCenterSpec, build
from atomplete.system import System

def resident():
    # ru_maxrss would begin with that of the parent
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))

torch.set_num_threads(1)
spec = ThreeCenterSpec(expansion=ExpansionSpec(max_radial=5), components=(60, 30))
system = System.from_atoms(generate("b8", 30), cutoff=2.0, centers="info")
descriptor = build(spec)
before = resident()
descriptor.fit([system], memory={memory})
print(resident() - before, descriptor.kept[0].method)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs the peak from Linux")
@pytest.mark.parametrize(("memory", "method"), [(150 * 10**6, "sketch"), (250 * 10**6, "exact")])
def test_a_fit_stays_within_its_memory(memory, method):
    """Measured from outside. All rows at once would take 300 MB, second moments 40 and 55 MB."""
    code = PEAK.format(memory=memory)
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    used, found = done.stdout.split()
    assert found == method
    assert 20 * 10**6 < int(used) <= memory
