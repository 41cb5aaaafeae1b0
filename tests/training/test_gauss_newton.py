"""Fitting a tight-binding model: what it learns, that it resumes, and what it refuses."""

import json

import pytest
import torch
from ase.calculators.singlepoint import SinglePointCalculator

from atomplete.data.dataset import Dataset, Split
from atomplete.degenerate.families.registry import generate
from atomplete.errors import InputError
from atomplete.potentials import PairBasisSpec, TightBinding, TightBindingSpec
from atomplete.training.fit import fit as fit_potential
from atomplete.training.gauss_newton.levenberg import GaussNewtonSpec
from atomplete.training.loss import Loss
from atomplete.training.run import TrainingRun

MODEL = TightBindingSpec(
    basis=PairBasisSpec(max_radial=3, max_radial_surroundings=1, widths=(1.5,))
)
SPEC = GaussNewtonSpec(start_iterations=0, iterations=14, ridge=1e-9)
TRAIN, VALIDATION = torch.arange(48).reshape(-1, 2), torch.arange(48, 60).reshape(-1, 2)


@pytest.fixture(scope="module")
def pairs():
    """Labelled by a model of the same form with other coefficients."""
    structures = generate("b8", 30)
    teacher = TightBinding(MODEL)
    noise = torch.randn(len(teacher.coefficients), generator=torch.Generator().manual_seed(0))
    teacher.coefficients = teacher.coefficients * (1 + 0.1 * noise.double()) + 0.1 * noise.double()
    found = teacher.predict(structures, ("forces",))
    forces = found.forces.view(len(structures), -1, 3)
    for atoms, energy, of_atoms in zip(structures, found.energy, forces, strict=True):
        labels = {"energy": energy.item(), "forces": of_atoms.numpy()}
        atoms.calc = SinglePointCalculator(atoms, **labels)
    return structures


def energies_of(structures):
    return torch.tensor([atoms.get_potential_energy() for atoms in structures]).double()


LOSS = Loss(energy=1.0, pair_difference=0.5, forces=3.0)


def fit(structures, folder, spec=SPEC, train=TRAIN, validation=VALIDATION, loss=LOSS):
    model = TightBinding(MODEL)
    data, split = Dataset.from_structures(structures), Split(train, validation)
    fit_potential(model, data, split, loss, spec, folder, progress=False)
    return model


def error(model, structures):
    unseen = structures[48:]
    return (model.predict(unseen).energy - energies_of(unseen)).square().mean().sqrt().item()


@pytest.mark.slow
def test_finds_the_energies_of_a_model_of_its_own_form(pairs, tmp_path):
    spread = energies_of(pairs).std().item()
    assert error(fit(pairs, tmp_path), pairs) < 0.02 * spread
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    losses = [entry["train_loss"] for entry in log]
    assert losses == sorted(losses, reverse=True)


@pytest.mark.slow
def test_forces_help(pairs, tmp_path):
    few = TRAIN[:12]
    with_forces = fit(pairs, tmp_path / "with", train=few)
    without = fit(
        pairs, tmp_path / "without", train=few, loss=LOSS.model_copy(update={"forces": 0.0})
    )
    assert error(with_forces, pairs) < 0.5 * error(without, pairs)


def test_an_interrupted_fit_goes_on(pairs, tmp_path, monkeypatch):
    stages = {"start_iterations": 1, "start_groups": 12, "iterations": 2}
    short = SPEC.model_copy(update=stages)
    whole = fit(pairs, tmp_path / "whole", short)
    save = TrainingRun.save

    def interrupted(run, **parts):
        save(run, **parts)
        if run.epoch == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("atomplete.training.run.CHECKPOINT_INTERVAL", -1.0)
    monkeypatch.setattr(TrainingRun, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit(pairs, tmp_path / "resumed", short)
    monkeypatch.setattr(TrainingRun, "save", save)
    resumed = fit(pairs, tmp_path / "resumed", short)
    torch.testing.assert_close(resumed.coefficients, whole.coefficients, rtol=0, atol=0)


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_change_nothing(pairs, tmp_path, threads):
    short = SPEC.model_copy(update={"iterations": 2, "threads": threads})
    reference = fit(pairs, tmp_path / "reference", short.model_copy(update={"threads": 2}))
    found = fit(pairs, tmp_path / "found", short)
    torch.testing.assert_close(found.coefficients, reference.coefficients, rtol=0, atol=0)


def test_refuses_what_it_cannot_fit(pairs, tmp_path):
    bare = [atoms.copy() for atoms in pairs]
    for copy, atoms in zip(bare, pairs, strict=True):
        copy.info["energy"] = atoms.get_potential_energy()
    with pytest.raises(InputError, match="no structure has forces"):
        fit(bare, tmp_path)
    bare[3] = bare[3][:7]  # of eight atoms
    bare[3].info["energy"] = 0.0
    with pytest.raises(InputError, match="structures of 7 and of 8 atoms cannot be fitted at once"):
        fit(bare, tmp_path, loss=LOSS.model_copy(update={"forces": 0.0}))
