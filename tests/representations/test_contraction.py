"""Contractions: orthonormal, the same however the rows are streamed, exact when complete."""

import pytest
import torch
from environments import CUTOFF, molecule

from atomplete.o3 import lm_slice
from atomplete.representations import ExpansionSpec, ThreeCenter, ThreeCenterSpec, split
from atomplete.representations.contraction import (
    principal_components,
    radial_components,
    row_components,
)
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
    chunks = split(ThreeCenter(kept), system, chunk_bytes)
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


def test_no_rows_to_fit():
    with pytest.raises(ValueError, match="no rows"):
        row_components([], (1, 1))
