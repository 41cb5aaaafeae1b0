"""The training loop: its loss, and that an interrupted run ends where an undisturbed one does."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms

from atomplete.data.dataset import Dataset, Split
from atomplete.descriptors import DensityCorrelationsSpec, ExpansionSpec
from atomplete.errors import InputError
from atomplete.nn import DeepSetSpec
from atomplete.potentials import DescriptorPotential, DescriptorPotentialSpec
from atomplete.system import System
from atomplete.training import run as run_module
from atomplete.training.adam import AdamSpec
from atomplete.training.feature_table import RowTable
from atomplete.training.fit import fit
from atomplete.training.loss import Loss, Objective

N = 48
TRAIN, VALIDATION = torch.arange(32).reshape(-1, 2), torch.arange(32, 40).reshape(-1, 2)
SPEC = AdamSpec(epochs=6, batch_structures=8)
LONG = SPEC.model_copy(update={"epochs": 400})


class Problem:
    """Energies of random triatomics: distances and an angle, learnable from ν ≤ 2."""

    def __init__(self):
        rng = np.random.default_rng(0)
        angle, r1, r2 = rng.uniform((1.2, 1.3, 1.3), (3.0, 1.8, 1.8), (N, 3)).T
        zero = np.zeros(N)
        first = np.stack([r1, zero, zero], 1)
        second = np.stack([r2 * np.cos(angle), r2 * np.sin(angle), zero], 1)
        structures = [
            Atoms("B3", [(0, 0, 0), a, b], info={"center": 0})
            for a, b in zip(first, second, strict=True)
        ]
        self.energies = torch.from_numpy(-100 + 2 * np.cos(angle) + (r1 - 1.5) * (r2 - 1.5) * 5)
        basis = ExpansionSpec(max_radial=3, max_angular=2)
        self.structures = structures
        self.spec = DescriptorPotentialSpec(
            descriptor=DensityCorrelationsSpec(nu=(1, 2), expansion=basis),
            readout=DeepSetSpec(hidden=(24,), head=(24,)),
            species=(5,),
            centers="info",
        )
        self.system = System.from_atoms(structures, basis.cutoff, centers="info")

    def model(self, seed=0, dtype=torch.float32):
        model = DescriptorPotential(self.spec, seed)
        table, _ = RowTable.compute(model.descriptor, self.system, dtype)
        return model, table


@pytest.fixture(scope="module")
def problem():
    return Problem()


LOSS = Loss(energy=1.0, pair_difference=0.1)


def run(problem, folder, spec=SPEC, seed=0, groups=(TRAIN, VALIDATION), energies=None):
    model, table = problem.model(seed, getattr(torch, spec.dtype))
    energies = problem.energies if energies is None else energies
    data = Dataset.from_structures(problem.structures, energies=energies)
    fit(model, data, Split(*groups), LOSS, spec, folder, seed=seed, features=table, progress=False)
    return model


def assert_same_weights(found, expected):
    assert found.state_dict().keys() == expected.state_dict().keys()
    for name, value in expected.state_dict().items():
        assert torch.equal(found.state_dict()[name], value), name


def log_of(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def losses_of(folder):
    return [(entry["train_loss"], entry["validation_loss"]) for entry in log_of(folder)]


# the loss


def test_loss_of_pairs_by_hand():
    targets = torch.tensor([1.0, 3.0, -2.0, 0.0, 9.0])
    predicted = torch.tensor([[1.5, 2.0], [-1.0, -1.0]])  # of structures (0, 1) and (3, 2)
    groups = torch.tensor([[0, 1], [3, 2]])
    # errors: (0.5, −1) and (−1, 1); their means −0.25 and 0, their differences 1.5 and −2
    mean, difference = (0.25**2 + 0) / 2, (1.5**2 + 2**2) / 2
    loss = Objective(targets, 0.1, difference_spread=4.0).loss(predicted, groups)
    assert loss.item() == pytest.approx(mean + 0.1 * difference / 16)
    plain = Objective(targets, None, difference_spread=4.0).loss(predicted, groups)
    assert plain.item() == pytest.approx((0.25 + 1 + 1 + 1) / 4)


def test_loss_of_vectors_is_the_sum_of_those_of_their_entries():
    targets, predicted = torch.arange(8.0).view(4, 2), torch.ones(2, 2, 2)
    groups = torch.tensor([[0, 1], [3, 2]])
    whole = Objective(targets, 0.1, difference_spread=2.0).loss(predicted, groups)
    entries = (
        Objective(targets[:, k], 0.1, difference_spread=2.0).loss(predicted[..., k], groups)
        for k in range(2)
    )
    assert whole.item() == pytest.approx(sum(entry.item() for entry in entries))
    plain = Objective(targets, None, difference_spread=2.0).loss(predicted, groups)
    assert plain.item() == pytest.approx(float((targets - 1).square().sum()) / 4)


def test_loss_of_singles_is_the_mean_square():
    objective = Objective(torch.tensor([1.0, 2.0]), 0.1, difference_spread=0.5)
    loss = objective.loss(torch.tensor([[2.0], [4.0]]), torch.tensor([[0], [1]]))
    assert loss.item() == pytest.approx((1 + 4) / 2)


def test_logged_losses_are_those_of_the_formula(problem, tmp_path):
    """One epoch of one batch: the logged validation loss is that of the final weights."""
    spec = AdamSpec(epochs=1, batch_structures=100, dtype="float64")
    model = run(problem, tmp_path, spec)
    _, table = problem.model(dtype=torch.float64)
    energies = model.energies_of(table.features, N).detach()

    def loss(groups):
        error = ((energies - problem.energies) / model.scale)[groups]
        spread = (problem.energies[TRAIN] @ torch.tensor([1.0, -1.0]).double()).std() / model.scale
        difference = (error[:, 0] - error[:, 1]) / spread
        return (error.mean(1).square().mean() + 0.1 * difference.square().mean()).item()

    entry = log_of(tmp_path)[0]
    assert entry["validation_loss"] == pytest.approx(loss(VALIDATION), rel=1e-9)
    assert entry["train_loss"] > loss(TRAIN) * (1 + 1e-6)  # the step has its effect


# what training does


@pytest.mark.parametrize("schedule", ["one_cycle", "plateau"])
def test_training_fits(problem, tmp_path, schedule):
    spec = AdamSpec(epochs=150, batch_structures=8, learning_rate=1e-2, schedule=schedule)
    model = run(problem, tmp_path, spec)
    losses = losses_of(tmp_path)
    assert losses[-1][0] < losses[0][0] / 100
    _, table = problem.model()
    test = torch.arange(40, N)
    error = (model.energies_of(table.features, N) - problem.energies)[test].square().mean().sqrt()
    assert error < 0.2 * problem.energies[test].std()


def test_plateau_lowers_the_rate_where_the_loss_stalls(problem, tmp_path):
    spec = AdamSpec(epochs=120, batch_structures=100, learning_rate=1e-7, schedule="plateau")
    flat = torch.full((N,), -5.0, dtype=torch.float64)
    flat[0] = -4.0  # some spread, which so small a rate does not learn
    run(problem, tmp_path, spec, energies=flat)
    rates = [entry["learning_rate"] for entry in log_of(tmp_path)]
    assert rates[0] == 1e-7
    steps = sorted(set(rates), reverse=True)
    assert steps == pytest.approx([1e-7 * 0.8**k for k in range(len(steps))])


def test_one_cycle_rises_and_falls(problem, tmp_path):
    run(problem, tmp_path, AdamSpec(epochs=20, batch_structures=8))
    rates = [entry["learning_rate"] for entry in log_of(tmp_path)]
    assert rates[0] < max(rates) <= 2e-3
    assert rates[-1] < 1e-2 * max(rates)


def test_singles(problem, tmp_path):
    groups = torch.arange(32)[:, None], torch.arange(32, 40)[:, None]
    spec = AdamSpec(epochs=60, batch_structures=8, learning_rate=1e-2)
    run(problem, tmp_path, spec, groups=groups)
    losses = losses_of(tmp_path)
    assert losses[-1][0] < losses[0][0] / 10


def test_the_best_validation_epoch_is_kept(problem, tmp_path):
    # a rate at which the loss jumps about
    spec = AdamSpec(epochs=25, batch_structures=4, learning_rate=0.3, dtype="float64")
    model = run(problem, tmp_path, spec)
    _, table = problem.model(dtype=torch.float64)
    validation = [entry["validation_loss"] for entry in log_of(tmp_path)]
    best = int(np.argmin(validation))
    assert best < len(validation) - 1, "the last epoch is the best: this shows nothing"
    energies = model.energies_of(table.features, N).detach()
    error = ((energies - problem.energies) / model.scale)[VALIDATION]
    first, second = problem.energies[TRAIN].T
    difference = (error[:, 0] - error[:, 1]) * model.scale / (first - second).std()
    loss = error.mean(1).square().mean() + 0.1 * difference.square().mean()
    assert loss.item() == pytest.approx(validation[best], rel=1e-9)


def test_training_in_single_precision_ends_in_a_model_in_double(problem, tmp_path):
    model = run(problem, tmp_path)
    assert all(p.dtype == torch.float64 for p in model.readout.parameters())


def test_the_log_has_one_line_for_each_epoch(problem, tmp_path):
    run(problem, tmp_path)
    entries = log_of(tmp_path)
    assert [entry["epoch"] for entry in entries] == list(range(1, SPEC.epochs + 1))
    names = {"epoch", "train_loss", "validation_loss", "learning_rate", "seconds"}
    assert all(entry.keys() == names for entry in entries)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.jsonl", "training.pt"]


# the same again


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_same_seed_gives_the_same_bits(problem, tmp_path, dtype):
    spec = SPEC.model_copy(update={"dtype": dtype})
    first, again = run(problem, tmp_path / "a", spec), run(problem, tmp_path / "b", spec)
    assert_same_weights(again, first)
    other = run(problem, tmp_path / "c", spec, seed=1)
    assert not torch.equal(other.readout.even.weight, first.readout.even.weight)


def test_the_global_generator_plays_no_part(problem, tmp_path):
    torch.manual_seed(1)
    first = run(problem, tmp_path / "a")
    torch.manual_seed(2)
    assert_same_weights(run(problem, tmp_path / "b"), first)


@pytest.mark.parametrize("schedule", ["one_cycle", "plateau"])
@pytest.mark.parametrize("stop", [1, 4])
def test_an_interrupted_run_goes_on(problem, tmp_path, monkeypatch, schedule, stop):
    spec = SPEC.model_copy(update={"schedule": schedule})
    undisturbed = run(problem, tmp_path / "undisturbed", spec)
    monkeypatch.setattr(run_module, "CHECKPOINT_INTERVAL", -1.0)  # after every epoch
    record = run_module.TrainingRun.record
    recorded = []

    def interrupted(self, *args):
        if len(recorded) == stop:
            raise KeyboardInterrupt
        recorded.append(args)
        record(self, *args)

    monkeypatch.setattr(run_module.TrainingRun, "record", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(problem, tmp_path / "cut", spec)
    assert len(log_of(tmp_path / "cut")) == stop
    monkeypatch.setattr(run_module.TrainingRun, "record", record)
    resumed = run(problem, tmp_path / "cut", spec)
    assert_same_weights(resumed, undisturbed)
    assert losses_of(tmp_path / "cut") == losses_of(tmp_path / "undisturbed")


def test_a_finished_run_is_not_trained_again(problem, tmp_path, monkeypatch):
    first = run(problem, tmp_path)
    monkeypatch.setattr(run_module.TrainingRun, "record", lambda *_: pytest.fail("trained again"))
    assert_same_weights(run(problem, tmp_path), first)


CHANGES = {
    "option": {"spec": SPEC.model_copy(update={"learning_rate": 1e-3})},
    "epochs": {"spec": SPEC.model_copy(update={"epochs": 7})},
    "seed": {"seed": 1},
    "groups": {"groups": (TRAIN[:-1], VALIDATION)},
    "validation": {"groups": (TRAIN, VALIDATION[:-1])},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_changed_options_start_anew(problem, tmp_path, change):
    fresh = run(problem, tmp_path / "fresh", **change)
    run(problem, tmp_path / "old")
    assert_same_weights(run(problem, tmp_path / "old", **change), fresh)


def test_changed_energies_start_anew(problem, tmp_path):
    other = problem.energies * 1.5
    fresh = run(problem, tmp_path / "fresh", energies=other)
    run(problem, tmp_path / "old")
    assert_same_weights(run(problem, tmp_path / "old", energies=other), fresh)


def test_another_architecture_starts_anew(problem, tmp_path):
    run(problem, tmp_path)
    wider = Problem()
    form = DeepSetSpec(hidden=(30,), head=())
    wider.spec = problem.spec.model_copy(update={"readout": form})
    assert run(wider, tmp_path).readout.even.weight.shape[0] == 30
    assert len(log_of(tmp_path)) == SPEC.epochs


def test_a_damaged_checkpoint_is_named(problem, tmp_path):
    run(problem, tmp_path)
    content = (tmp_path / "training.pt").read_bytes()
    (tmp_path / "training.pt").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"training\.pt"):
        run(problem, tmp_path)


KILLED = """
import sys, torch
from pathlib import Path
sys.path.insert(0, {tests!r})
from atomplete.training import run as run_module
import test_adam
torch.set_num_threads(1)
run_module.CHECKPOINT_INTERVAL = -1.0
test_adam.run(test_adam.Problem(), Path({folder!r}), test_adam.LONG)
"""


@pytest.mark.slow
def test_a_killed_process_goes_on(problem, tmp_path):
    undisturbed = run(problem, tmp_path / "undisturbed", LONG)
    folder = tmp_path / "killed"
    script = KILLED.format(tests=str(Path(__file__).parent), folder=str(folder))
    process = subprocess.Popen([sys.executable, "-c", script])
    try:
        while not (folder / "log.jsonl").exists() or len(losses_of(folder)) < 5:
            assert process.poll() is None, "it ended before it was killed"
            time.sleep(0.01)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    before = losses_of(folder)
    assert 5 <= len(before) < LONG.epochs
    resumed = run(problem, folder, LONG)
    assert losses_of(folder) == losses_of(tmp_path / "undisturbed")
    assert losses_of(folder)[: len(before)] == before
    assert_same_weights(resumed, undisturbed)


# what is refused


def test_losses_that_are_not_finite(problem, tmp_path):
    spec = SPEC.model_copy(update={"learning_rate": 1e30})
    with pytest.raises(InputError, match="training diverged in epoch"):
        run(problem, tmp_path, spec)


@pytest.mark.parametrize("structure", [3, 33], ids=["training", "validation"])
def test_energies_that_are_not_finite(problem, tmp_path, structure):
    energies = problem.energies.clone()
    energies[structure] = torch.nan
    with pytest.raises(InputError, match=f"energy of structure {structure} is nan"):
        run(problem, tmp_path, energies=energies)
