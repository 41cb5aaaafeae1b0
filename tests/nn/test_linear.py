import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from small_models import CUTOFF, DESCRIPTORS, molecule

from atomplete.data.dataset import Dataset, Split
from atomplete.descriptors import DensityCorrelationsSpec, ExpansionSpec
from atomplete.nn import LinearSpec
from atomplete.potentials import DescriptorPotential, DescriptorPotentialSpec
from atomplete.system import System
from atomplete.training.closed_form.normal_equations import EnergyRows, combined
from atomplete.training.closed_form.ridge import STRENGTHS, RidgeSpec
from atomplete.training.closed_form.solutions import chosen, solutions
from atomplete.training.feature_table import RowTable
from atomplete.training.fit import fit
from atomplete.training.loss import Loss

SPECIES = (1, 6, 8)
#: Six features: far fewer than structures, so that an exact fit is unique.
FEW = DensityCorrelationsSpec(
    nu=(1,), expansion=ExpansionSpec(max_radial=2, max_angular=0, species=SPECIES)
)
TRAIN, VALIDATION, TEST = torch.arange(30), torch.arange(30, 40), torch.arange(40, 50)


@pytest.fixture(scope="module")
def structures():
    rng = np.random.default_rng(7)
    return [molecule(seed, n=int(rng.integers(3, 8))) for seed in range(50)]


@pytest.fixture(scope="module")
def features(structures):
    return DescriptorPotential(spec_of(FEW)).descriptor(System.from_atoms(structures, CUTOFF))


def spec_of(descriptor, form=None):
    form = form or LinearSpec()
    return DescriptorPotentialSpec(descriptor=descriptor, readout=form, species=SPECIES)


def fit_linear(model, structures, features, energies, train, validation, weight=None):
    """Fit in closed form; returns the strength of the penalty."""
    data = Dataset.from_structures(structures, energies=energies)
    groups = [part if part.ndim == 2 else part[:, None] for part in (train, validation)]
    loss = Loss(energy=1.0, pair_difference=weight)
    with tempfile.TemporaryDirectory() as folder:
        fit(
            model, data, Split(*groups), loss, RidgeSpec(), Path(folder), progress=False,
            features=RowTable(features, len(structures)),
        )  # fmt: skip
        return json.loads((Path(folder) / "log.jsonl").read_text())["learning_rate"]


def per_structure(features, values):
    """Sums over the centres of each species, a block for each of them."""
    total = torch.zeros(50 * len(SPECIES), values.shape[1], dtype=torch.float64)
    block = torch.searchsorted(torch.tensor(SPECIES), features.center_species)
    where = features.center_structure * len(SPECIES) + block
    return total.index_add(0, where, values).view(50, -1)


def composition(structures):
    counts = [[(atoms.numbers == z).sum() for z in SPECIES] for atoms in structures]
    return torch.tensor(np.array(counts), dtype=torch.float64)


def linear_target(structures, features):
    """An energy that is exactly linear in the features, with references of three species."""
    weights = torch.linspace(-1, 2, 3 * features.values.shape[1], dtype=torch.float64)
    references = torch.tensor([-13.6, -1036.0, -2043.5], dtype=torch.float64)
    inputs = per_structure(features, features.values)
    return inputs @ weights + composition(structures) @ references, references


def test_an_exact_linear_target_is_recovered(structures, features):
    energies, references = linear_target(structures, features)
    model = DescriptorPotential(spec_of(FEW))
    strength = fit_linear(model, structures, features, energies, TRAIN, VALIDATION)
    assert strength == STRENGTHS[0]
    predicted = model.energies_of(features, 50)
    # no energy of the test structures was seen
    torch.testing.assert_close(predicted[TEST], energies[TEST], rtol=0, atol=1e-6)
    torch.testing.assert_close(model.reference, references, rtol=0, atol=1e-5)
    torch.testing.assert_close(model.predict(structures).energy, predicted, rtol=0, atol=1e-9)


def test_energies_per_species_shift_the_references_alone(structures, features):
    energies, _ = linear_target(structures, features)
    noisy = energies + torch.from_numpy(np.random.default_rng(1).normal(size=50))
    offsets = torch.tensor([1000.0, -500.0, 3e4], dtype=torch.float64)
    plain, shifted = DescriptorPotential(spec_of(FEW)), DescriptorPotential(spec_of(FEW))
    fit_linear(plain, structures, features, noisy, TRAIN, VALIDATION)
    shift = composition(structures) @ offsets
    fit_linear(shifted, structures, features, noisy + shift, TRAIN, VALIDATION)
    torch.testing.assert_close(shifted.reference - plain.reference, offsets, rtol=0, atol=1e-6)
    torch.testing.assert_close(
        shifted.energies_of(features, 50) - shift,
        plain.energies_of(features, 50),
        rtol=0,
        atol=1e-6,
    )


def test_energies_outside_training_and_validation_are_not_used(structures, features):
    energies, _ = linear_target(structures, features)
    spoiled = energies.clone()
    spoiled[TEST] = torch.nan
    model, same = DescriptorPotential(spec_of(FEW)), DescriptorPotential(spec_of(FEW))
    fit_linear(model, structures, features, energies, TRAIN, VALIDATION)
    fit_linear(same, structures, features, spoiled, TRAIN, VALIDATION)
    for name, value in model.state_dict().items():
        assert torch.equal(value, same.state_dict()[name]), name


@pytest.mark.parametrize("weight", [0.01, 1.0, 100.0])
def test_differences_of_pairs_are_weighed(structures, features, weight):
    """The fit of references comes first; no perturbation of the weights lowers the loss then."""
    energies, _ = linear_target(structures, features)
    energies = energies + torch.from_numpy(np.random.default_rng(1).normal(size=50))
    pairs = TRAIN.view(-1, 2)
    model = DescriptorPotential(spec_of(FEW))
    fit_linear(model, structures, features, energies, pairs, pairs, weight)
    inputs = per_structure(features, features.values).numpy()
    counts = composition(structures).numpy()

    def without_composition(values):
        fitted = TRAIN.numpy()
        return values - counts @ np.linalg.lstsq(counts[fitted], values[fitted], rcond=None)[0]

    x, y = without_composition(inputs), without_composition(energies.numpy())
    plus, minus = pairs.numpy().T
    # the scale of energies is their standard deviation, that of differences their own
    ratio = np.sqrt(weight) * y[TRAIN].std(ddof=1) / (y[plus] - y[minus]).std(ddof=1)
    a = np.vstack([(x[plus] + x[minus]) / 2, ratio * (x[plus] - x[minus])])
    b = np.hstack([(y[plus] + y[minus]) / 2, ratio * (y[plus] - y[minus])])
    expected = x @ np.linalg.lstsq(a, b, rcond=None)[0]
    predicted = model.energies_of(features, 50).numpy()
    np.testing.assert_allclose(without_composition(predicted), expected, rtol=0, atol=1e-6)


def test_pseudoscalars_enter_under_so3_only(structures):
    mirrored = [atoms.copy() for atoms in structures[:25]]
    for atoms in mirrored:
        atoms.positions[:, 0] *= -1
    spec = DESCRIPTORS["density_correlations"]
    o3 = DescriptorPotential(spec_of(spec))
    so3 = DescriptorPotential(spec_of(spec, LinearSpec(group="SO3")))
    features = o3.descriptor(System.from_atoms(structures[:25] + mirrored, CUTOFF))
    odd = per_structure(features, features.odd)
    energies = odd @ torch.ones(odd.shape[1], dtype=torch.float64)
    errors = []
    for model in (o3, so3):
        fit_linear(
            model,
            structures[:25] + mirrored,
            features,
            energies,
            torch.arange(50),
            torch.arange(50),
        )
        error = (model.energies_of(features, 50) - energies).square().mean()
        errors.append((error / energies.square().mean()).item())
    # energies are opposite in a mirror: the best that O(3) allows is zero for both
    assert errors[0] == pytest.approx(1.0, abs=1e-6)
    assert errors[1] < 1e-6


def solved(x, y, train, validation):
    rows = EnergyRows(x[train], y[train], len(train))
    solution = solutions(combined([(1.0, rows)], [], x.shape[1]), "eigenvalue")
    held_out = EnergyRows(x[validation], y[validation], len(validation))
    strength, (weights,), _ = chosen(solution, STRENGTHS, held_out.mean_square)
    return weights, strength


def problem(n_features, noise):
    rng = np.random.default_rng(3)
    x = torch.from_numpy(rng.normal(size=(60, n_features)))
    y = x @ torch.from_numpy(rng.normal(size=n_features))
    return x, y + noise * torch.from_numpy(rng.normal(size=60))


def test_ridge_without_noise_is_least_squares():
    x, y = problem(12, noise=0.0)
    weights, strength = solved(x, y, torch.arange(40), torch.arange(40, 60))
    expected = np.linalg.lstsq(x[:40].numpy(), y[:40].numpy(), rcond=None)[0]
    assert strength <= 1e-10
    np.testing.assert_allclose(weights.numpy(), expected, atol=1e-8)


def test_ridge_minimises_the_penalised_error_and_chooses_on_validation_data():
    x, y = problem(38, noise=3.0)
    train, validation = torch.arange(40), torch.arange(40, 60)
    weights, strength = solved(x, y, train, validation)
    moment = (x[train].T @ x[train]).numpy()
    largest = np.linalg.eigvalsh(moment)[-1]

    def solution(penalty):
        matrix = moment + penalty * largest * np.eye(38)
        return np.linalg.solve(matrix, (x[train].T @ y[train]).numpy())

    def error(penalty):
        predicted = x[validation].numpy() @ solution(penalty)
        return np.mean((predicted - y[validation].numpy()) ** 2)

    errors = {strength: error(strength) for strength in STRENGTHS}
    assert strength == min(errors, key=errors.get)
    assert strength > STRENGTHS[0]  # noise makes some penalty worth while
    np.testing.assert_allclose(weights.numpy(), solution(strength), rtol=1e-8)


def test_more_features_than_structures_fit_what_they_can():
    x, y = problem(200, noise=0.0)
    train = torch.arange(40)
    weights, strength = solved(x, y, train, train)
    assert strength == STRENGTHS[0]
    torch.testing.assert_close(x[train] @ weights, y[train], rtol=0, atol=1e-8)
