"""Training by natural gradients: better than drawn features, resumed to the same, refusals."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from atomplete.data.dataset import Dataset, Split
from atomplete.descriptors import DensityCorrelationsSpec, RandomFourierSpec
from atomplete.descriptors.random_fourier.spec import LevelSpec
from atomplete.errors import InputError
from atomplete.nn import DeepSetSpec, LinearSpec
from atomplete.potentials import (
    DescriptorPotential,
    DescriptorPotentialSpec,
    TightBindingSpec,
)
from atomplete.registry import build
from atomplete.training.closed_form.ridge import RidgeSpec
from atomplete.training.fit import fit
from atomplete.training.loss import Loss
from atomplete.training.natural_gradient import natural_gradient
from atomplete.training.natural_gradient.natural_gradient import (
    NaturalGradientSpec,
    damped_step,
)

CLUSTER = np.array(
    [(0, 0, 0), (2.4, 0, 0), (0.3, 2.6, 0.2), (1.2, 1.0, 2.2), (-1.3, 1.1, -1.9)], dtype=float
)
LOSS = Loss(energy_per_atom=1.0, forces=1.0)


@pytest.fixture(scope="module")
def data() -> Dataset:
    """Clusters of copper and gold with effective-medium energies and forces."""
    random = np.random.default_rng(3)
    found = []
    for _ in range(160):
        atoms = Atoms("Cu2Au3", CLUSTER + random.normal(scale=0.15, size=CLUSTER.shape))
        atoms.calc = EMT()
        labels = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
        atoms.calc = SinglePointCalculator(atoms, **labels)
        found.append(atoms)
    return Dataset.from_structures(found)


def potential_of(data: Dataset) -> DescriptorPotential:
    spec = RandomFourierSpec(
        cutoff=5.0,
        species=(29, 79),
        max_radial=5,
        max_angular=2,
        center=LevelSpec(channels=8, features=0),
        neighbor=LevelSpec(channels=16, features=12, frequency=0.5),
        pair=LevelSpec(channels=4, features=4, frequency=0.5),
    )
    potential = DescriptorPotential(
        DescriptorPotentialSpec(descriptor=spec, readout=LinearSpec(), species=(29, 79))
    )
    potential.descriptor.fit([data.system(5.0)])
    return potential


def trained(data: Dataset, folder, solver) -> DescriptorPotential:
    groups = torch.arange(len(data))[:, None]
    potential = potential_of(data)
    fit(potential, data, Split(groups[:110], groups[110:120]), LOSS, solver, folder, progress=False)
    return potential


def error(potential: DescriptorPotential, data: Dataset) -> float:
    test = data.select(torch.arange(120, 160))
    forces = potential.predict(test.structures, ("forces",)).forces
    return float((forces - test.forces).square().mean().sqrt())


def test_trained_features_are_better_than_drawn_ones(data, tmp_path) -> None:
    drawn = trained(data, tmp_path / "drawn", RidgeSpec(penalty="diagonal"))
    solver = NaturalGradientSpec(steps=120, batch_labels=160)
    potential = trained(data, tmp_path / "trained", solver)
    assert error(potential, data) < 0.7 * error(drawn, data)
    # the last layer is in closed form, with all that comes with it
    assert potential.uncertainties
    assert float(potential.committee.calibration.min()) > 0


def test_interrupted_training_ends_the_same(data, tmp_path, monkeypatch) -> None:
    solver = NaturalGradientSpec(steps=44, batch_labels=160)
    whole = trained(data, tmp_path / "whole", solver)
    n_epochs = len((tmp_path / "whole/log.jsonl").read_text().splitlines())
    assert n_epochs == 4
    calls = iter(range(100))

    def interrupted(*arguments):
        if next(calls) == 25:  # in the third epoch
            raise KeyboardInterrupt
        return damped_step(*arguments)

    monkeypatch.setattr("atomplete.training.run.CHECKPOINT_INTERVAL", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(natural_gradient, "damped_step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            trained(data, tmp_path / "resumed", solver)
    assert len((tmp_path / "resumed/log.jsonl").read_text().splitlines()) == 2
    resumed = trained(data, tmp_path / "resumed", solver)
    for one, other in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True)


def test_step_is_the_least_squares_solution() -> None:
    generator = torch.Generator().manual_seed(0)
    rows, error, last = (
        torch.randn(*shape, generator=generator) for shape in ((7, 20), (7,), (20,))
    )
    strength = 0.1 * (rows @ rows.T).diagonal().mean()
    normal = rows.T @ rows + strength * torch.eye(20)
    expected = torch.linalg.solve(normal, rows.T @ error + strength * last)
    torch.testing.assert_close(damped_step(error, rows, last, 0.1), expected, rtol=1e-3, atol=1e-4)


def test_divergence_is_said() -> None:
    with pytest.raises(InputError, match="smaller learning rate"):
        damped_step(torch.ones(2), torch.full((2, 3), torch.nan), torch.zeros(3), 0.1)


def test_rounding_asks_for_more_damping() -> None:
    rows = torch.randn(300, 2, generator=torch.Generator().manual_seed(0))
    rounded = (rows @ rows.T).double()  # of rank two, but for rounding in single precision
    _, failed = torch.linalg.cholesky_ex(rounded + 1e-12 * torch.eye(300))
    assert failed
    step = damped_step(rows @ torch.tensor([1.0, -2.0]), rows, torch.zeros(2), 1e-12)
    torch.testing.assert_close(step, torch.tensor([1.0, -2.0]), rtol=1e-2, atol=0)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (
            DescriptorPotentialSpec(
                descriptor=DensityCorrelationsSpec(), readout=LinearSpec(), species=(29, 79)
            ),
            "random_fourier features, not density_correlations",
        ),
        (
            DescriptorPotentialSpec(
                descriptor=RandomFourierSpec(), readout=DeepSetSpec(), species=(29, 79)
            ),
            "a linear readout, not deep_set",
        ),
        (TightBindingSpec(), "random_fourier features, not tight_binding"),
    ],
)
def test_other_potentials_are_refused(data, tmp_path, spec, said) -> None:
    groups = torch.arange(len(data))[:, None]
    split = Split(groups[:50], groups[50:])
    with pytest.raises(InputError, match=said):
        fit(build(spec), data, split, LOSS, NaturalGradientSpec(), tmp_path, progress=False)


def test_weights_of_pairs_are_refused(data, tmp_path) -> None:
    groups = torch.arange(len(data))[:, None]
    loss = LOSS.model_copy(update={"pair_difference": 1.0})
    with pytest.raises(InputError, match="differences of pairs"):
        fit(
            potential_of(data), data, Split(groups[:50], groups[50:]), loss,
            NaturalGradientSpec(), tmp_path, progress=False,
        )  # fmt: skip
