"""Jacobians of latents: their directions, their values, and what is made of them."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from atomplete.degenerate.families.registry import generate
from atomplete.descriptors import ExpansionSpec, ThreeCenterSpec
from atomplete.latents import EncoderSpec, Latent, LatentSpec
from atomplete.paper.studies.slopes import Slopes, anisotropy, internal_displacements, rank
from atomplete.system import System

#: Forward derivatives make torch load rules that it has not yet brought up to date.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")


@pytest.fixture(scope="module")
def latent():
    rows = ThreeCenterSpec(expansion=ExpansionSpec(max_radial=2, max_angular=2))
    found = Latent(LatentSpec(rows=rows, encoder=EncoderSpec(hidden=(16, 12), latent=(24, 0))))
    found.feature_scale.fill_(10.0)
    return found


@pytest.fixture(scope="module")
def system():
    return System.from_atoms(generate("b8", 2), 2.0, centers="info")


@pytest.fixture(scope="module")
def slopes(latent, system):
    return Slopes.of(latent.rows, system)


def test_displacements_neither_move_nor_turn():
    positions = torch.from_numpy(np.random.default_rng(0).normal(size=(3, 6, 3)))
    modes = internal_displacements(positions)
    assert modes.shape == (3, 12, 6, 3)
    flat = modes.flatten(2)
    torch.testing.assert_close(
        flat @ flat.transpose(1, 2), torch.eye(12).double().expand(3, 12, 12)
    )
    assert modes.sum(2).abs().max() < 1e-12
    turned = torch.linalg.cross(positions[:, None].expand_as(modes), modes).sum(2)
    assert turned.abs().max() < 1e-12


def test_jacobian_against_differences_of_the_latent(latent, system, slopes):
    structures = torch.tensor([3, 0])
    found = slopes.jacobian(latent.encoder, latent.feature_scale, structures)
    assert found.shape == (2, 18, 24)
    modes, h = internal_displacements(system.positions.view(4, -1, 3)), 1e-3
    for mode in (0, 7, 17):
        step = h * modes[:, mode].flatten(0, 1)
        plus, minus = (
            latent(system.with_positions(system.positions + sign * step)).values for sign in (1, -1)
        )
        expected = ((plus - minus) / (2 * h))[structures]
        torch.testing.assert_close(found[:, mode], expected, rtol=1e-4, atol=1e-6)


def test_weights_reach_the_objective_and_grow_its_value_smaller(latent, slopes):
    encoder = latent.spec.encoder.build(latent.rows.parity, torch.Generator().manual_seed(1))
    encoder = encoder.double()
    everything = torch.arange(4)
    optimizer = torch.optim.Adam(encoder.parameters(), lr=3e-3)
    values = []
    for _ in range(15):
        loss = anisotropy(slopes.jacobian(encoder, latent.feature_scale, everything)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values.append(loss.item())
    assert values[-1] < values[0] - 0.1


def test_anisotropy_by_hand():
    singular = torch.tensor([[2.0, 1.0, 0.5], [3.0, 3.0, 3.0]]).double()
    turn = torch.from_numpy(Rotation.random(random_state=0).as_matrix())
    found = anisotropy(torch.diag_embed(singular) @ turn)
    expected = np.log((4 + 1 + 0.25) / 3) - np.log(4 * 1 * 0.25) / 3
    torch.testing.assert_close(found, torch.tensor([expected, 0.0]).double())
    missing = anisotropy(torch.diag(torch.tensor([1.0, 1.0, 0.0]).double())[None])
    assert missing.item() > 5  # and finite, so that it can be trained away


def test_rank_counts_what_is_not_noise():
    jacobian = torch.diag_embed(torch.tensor([[1e3, 1e-2, 1e-5], [1.0, 1e-3, 1e-5]]))
    assert rank(jacobian).tolist() == [2, 3]
