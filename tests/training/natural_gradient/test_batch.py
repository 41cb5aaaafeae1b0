"""Errors of batches and their derivatives, against predictions and against differences of these."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from atomplete.data.dataset import Dataset, Split
from atomplete.descriptors import RandomFourierSpec
from atomplete.descriptors.random_fourier.spec import LevelSpec
from atomplete.nn import LinearSpec
from atomplete.potentials import DescriptorPotential, DescriptorPotentialSpec
from atomplete.training.loss import Loss, Scales
from atomplete.training.natural_gradient import batch as batch_module
from atomplete.training.natural_gradient.batch import Errors
from atomplete.training.natural_gradient.parameters import Parameters
from atomplete.training.networks import set_references
from atomplete.training.run import Task

LOSS = Loss(energy=0.5, energy_per_atom=0.7, forces=1.0, stress=0.2)


def structures() -> list[Atoms]:
    """Molecules of different sizes, one of them with an atom far off, and crystals."""
    random = np.random.default_rng(0)
    found = [
        Atoms("CuAu2", [(0, 0, 0), (2.4, 0, 0), (0.3, 2.6, 0.2)]),
        Atoms("Cu3", [(0, 0, 0), (0, 2.5, 0), (0, 0, 9.0)]),
        bulk("Cu", cubic=True),
        bulk("Au", cubic=True).repeat((2, 1, 1)),
    ]
    found[3].numbers[0] = 29
    for atoms in found:
        atoms.positions += random.normal(scale=0.08, size=atoms.positions.shape)
        atoms.calc = EMT()
        periodic = atoms.pbc.any()
        labels = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
        if periodic:
            labels["stress"] = atoms.get_stress()
        atoms.calc = SinglePointCalculator(atoms, **labels)
    return found


@pytest.fixture
def task(tmp_path, monkeypatch) -> Task:
    """A fit of a small potential in double precision."""
    monkeypatch.setattr(batch_module, "DTYPE", torch.float64)
    spec = DescriptorPotentialSpec(
        descriptor=RandomFourierSpec(
            cutoff=4.0,
            tag_cutoff=3.5,
            species=(29, 79),
            max_radial=4,
            max_angular=2,
            center=LevelSpec(channels=3, features=2, frequency=0.5),
            neighbor=LevelSpec(channels=5, features=4, frequency=0.5),
            pair=LevelSpec(channels=4, features=3, frequency=0.5),
        ),
        readout=LinearSpec(),
        species=(29, 79),
    )
    dataset = Dataset.from_structures(structures())
    potential = DescriptorPotential(spec)
    potential.descriptor.fit([dataset.system(4.0)])
    every = torch.arange(len(dataset))[:, None]
    return Task(potential, dataset, Split(every, every), LOSS, tmp_path)


def errors_of(task: Task) -> tuple[Errors, Parameters, Scales]:
    residual = set_references(task)
    scales = Scales.of(task.dataset, residual, torch.arange(len(task.dataset)))
    task.potential.scale.fill_(0.7)
    parameters = Parameters(task.potential)
    parameters.start(seed=1)
    return Errors(task, parameters, scales, memory=10**9), parameters, scales


def predicted(task: Task, scales: Scales) -> torch.Tensor:
    """The same errors from a prediction of the whole potential, by automatic differentiation."""
    dataset = task.dataset
    found = task.potential.predict(dataset.structures, ("forces", "stress"))
    n = dataset.n_atoms
    terms = [
        (LOSS.energy, scales.energy, found.energy - dataset.energies),
        (LOSS.energy_per_atom, scales.energy_per_atom, (found.energy - dataset.energies) / n),
        (LOSS.forces, scales.forces, -(found.forces - dataset.forces).flatten()),
        (LOSS.stress, scales.stress, (found.stress - dataset.stresses).flatten()),
    ]
    rows = []
    for weight, scale, error in terms:
        error = error[error.isfinite()]
        rows.append(error / scale * (weight / len(error)) ** 0.5)
    return torch.cat(rows)


@pytest.mark.parametrize("at_once", [1, 10**9])
@pytest.mark.parametrize("centers", [2, 64])
def test_errors_are_those_of_predictions(task, monkeypatch, at_once, centers) -> None:
    monkeypatch.setattr(batch_module, "AT_ONCE", at_once)
    monkeypatch.setattr("atomplete.training.natural_gradient.blocks.CENTERS", centers)
    errors, _, scales = errors_of(task)
    for _ in range(2):  # computed, then held
        found, _ = errors.linearised(torch.arange(4))
        torch.testing.assert_close(found, predicted(task, scales).to(found), rtol=1e-9, atol=1e-10)


def test_derivatives_are_those_of_predictions(task) -> None:
    errors, parameters, scales = errors_of(task)
    change = torch.randn(len(parameters), generator=torch.Generator().manual_seed(2)).double()
    step = 1e-5
    for part in torch.arange(len(parameters)).chunk(23):  # frequencies, phases, coefficients, …
        direction = torch.zeros_like(change)
        direction[part] = change[part]
        _, rows = errors.linearised(torch.arange(4))
        parameters.subtract(-step * direction)
        forward = predicted(task, scales)
        parameters.subtract(2 * step * direction)
        back = predicted(task, scales)
        parameters.subtract(-step * direction)
        expected = (forward - back) / (2 * step)
        torch.testing.assert_close(rows @ direction, expected, rtol=1e-5, atol=1e-7)
        assert expected.abs().max() > 1e-4


def test_rows_that_do_not_fit_are_computed_again(task) -> None:
    errors, _, _ = errors_of(task)
    held = errors.linearised(torch.tensor([2, 0, 3]))
    errors.memory, errors._held = 0, {}
    for one, other in zip(held, errors.linearised(torch.tensor([2, 0, 3])), strict=True):
        torch.testing.assert_close(one, other)
    assert not errors._held


def test_rows_are_the_same_in_any_company(task, monkeypatch) -> None:
    monkeypatch.setattr(batch_module, "DTYPE", torch.float32)
    errors, _, _ = errors_of(task)
    errors.linearised(torch.tensor([0, 1, 2, 3]))
    others, _, _ = errors_of(task)
    others.linearised(torch.tensor([2]))
    others.linearised(torch.tensor([3, 2]))
    for one, other in zip(errors._held[3].levels, others._held[3].levels, strict=True):
        assert torch.equal(one.by_places, other.by_places)


def test_structures_without_labels_have_no_rows(task) -> None:
    for labels in (task.dataset.energies, task.dataset.forces, task.dataset.stresses):
        labels[: 6 if labels.ndim == 2 and labels.shape[1] == 3 else 2] = torch.nan
    errors, _, _ = errors_of(task)
    none, _ = errors.linearised(torch.tensor([0, 1]))
    some, _ = errors.linearised(torch.tensor([0, 1, 2]))
    assert not len(none)
    assert len(some) == 2 + 3 * 4 + 6
