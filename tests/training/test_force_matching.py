"""Training on energies and forces: what it learns, that it resumes, and what it refuses."""

import json

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator

from atomplete.checkpoint import load, save
from atomplete.descriptors import DensityCorrelationsSpec, ExpansionSpec
from atomplete.errors import InputError
from atomplete.nn import DeepSetSpec
from atomplete.potentials import EnergyModel, EnergyModelSpec
from atomplete.system import System
from atomplete.training.force_matching import ForceMatchingSpec, match_forces

CUTOFF = 4.0
TRAIN, VALIDATION = torch.arange(24).reshape(-1, 2), torch.arange(24, 32).reshape(-1, 2)
SPEC = ForceMatchingSpec(epochs=20, batch_structures=8, learning_rate=1e-2)

SHORT = SPEC.model_copy(update={"epochs": 6})


def cluster(rng, symbols="BC", pbc=False):
    """Four atoms near the corners of a tetrahedron, labelled by a pair potential."""
    corners = np.array([(0, 0, 0), (1, 1, 0), (1, 0, 1), (0, 1, 1)]) * 1.3
    positions = corners + rng.normal(scale=0.12, size=(4, 3))
    atoms = Atoms([*symbols] * 2, positions, cell=[9, 3.4, 9], pbc=(False, pbc, False))
    atoms.calc = LennardJones(sigma=1.6, epsilon=0.5, rc=3.5, smooth=True, ro=3.0)
    labels = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
    atoms.calc = SinglePointCalculator(atoms, **labels)
    return atoms


def energies(structures):
    return torch.tensor([atoms.get_potential_energy() for atoms in structures]).double()


def fresh(nu=(2,)):
    expansion = ExpansionSpec(cutoff=CUTOFF, max_radial=4, max_angular=2, species=(5, 6))
    spec = EnergyModelSpec(
        representation=DensityCorrelationsSpec(nu=nu, expansion=expansion),
        model=DeepSetSpec(hidden=(24, 24), head=()),
        species=(5, 6),
        centers="all",
    )
    return EnergyModel(spec, seed=0)


def forces(model, structures):
    system = System.from_atoms(structures, CUTOFF, centers="all")
    x = system.positions.requires_grad_()
    return -torch.autograd.grad(model.evaluate(system.with_positions(x)).sum(), x)[0]


def fit(folder, structures, spec=SPEC, nu=(2,)):
    model = fresh(nu)
    match_forces(
        model, structures, energies(structures), TRAIN, VALIDATION, spec, folder, seed=0,
        progress=False,
    )  # fmt: skip
    return model


@pytest.fixture(scope="module", params=[False, True], ids=["molecules", "wires"])
def problem(request, tmp_path_factory):
    rng = np.random.default_rng(0)
    structures = [cluster(rng, pbc=request.param) for _ in range(40)]
    folder = tmp_path_factory.mktemp("forces") / "run"
    return structures, fit(folder, structures), folder


@pytest.fixture(scope="module")
def molecules(tmp_path_factory):
    rng = np.random.default_rng(0)
    structures = [cluster(rng) for _ in range(40)]
    return structures, fit(tmp_path_factory.mktemp("forces") / "run", structures, SHORT)


def test_it_predicts_forces_of_structures_that_it_has_not_seen(problem):
    structures, model, _ = problem
    unseen = structures[32:]
    reference = np.concatenate([atoms.get_forces() for atoms in unseen])
    error = forces(model, unseen).numpy() - reference
    assert np.sqrt((error**2).mean()) < 0.4 * reference.std()


def test_forces_help_the_energies(problem, tmp_path):
    structures, model, _ = problem
    alone = fit(tmp_path, structures, SPEC.model_copy(update={"force_weight": 0.0}))
    unseen = structures[32:]
    errors = [(m.predict(unseen) - energies(unseen)).square().mean() for m in (model, alone)]
    assert errors[0] < 0.5 * errors[1]


def test_forces_are_the_derivative_of_the_energy(problem):
    structures, model, _ = problem
    atoms, step = structures[0], 1e-4
    moved = [atoms.copy() for _ in range(2)]
    for sign, copy in zip((1, -1), moved, strict=True):
        copy.positions[2, 1] += sign * step
    up, down = model.predict(moved)
    assert forces(model, [atoms])[2, 1].item() == pytest.approx(-(up - down).item() / (2 * step))


def test_energies_are_invariant_under_reflections(problem):
    structures, model, _ = problem
    mirrored = [atoms.copy() for atoms in structures]
    for atoms in mirrored:
        atoms.positions[:, 0] *= -1
    torch.testing.assert_close(
        model.predict(mirrored), model.predict(structures), rtol=0, atol=1e-10
    )


def test_features_of_both_parities_are_trained_on(tmp_path):
    rng = np.random.default_rng(1)
    structures = [cluster(rng) for _ in range(40)]
    model = fit(tmp_path, structures, SPEC.model_copy(update={"epochs": 2}), nu=(2, 3))
    assert model.model.n_odd > 0
    reflected = [Atoms(a.symbols, -a.positions) for a in structures[:4]]
    torch.testing.assert_close(
        model.predict(reflected), model.predict(structures[:4]), rtol=0, atol=1e-10
    )


def test_the_folded_model_predicts_as_the_trained_network_did(problem):
    structures, model, folder = problem
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    best = min(entry["validation_loss"] for entry in log)
    reference, predicted = energies(structures)[VALIDATION], model.predict(structures)[VALIDATION]
    error = (predicted - reference) / model.scale
    first, second = energies(structures)[TRAIN].T
    difference = (error[:, 0] - error[:, 1]) * model.scale / (first - second).std()
    loss = error.mean(1).square().mean() + 0.1 * difference.square().mean()
    assert loss.item() == pytest.approx(best, rel=1e-2)


def test_a_model_can_be_saved_and_read(problem, tmp_path):
    structures, model, _ = problem
    save(tmp_path / "model.pt", model)
    assert torch.equal(load(tmp_path / "model.pt").predict(structures), model.predict(structures))


def test_an_interrupted_run_ends_where_an_undisturbed_one_does(molecules, tmp_path, monkeypatch):
    structures, model = molecules

    class Killed(Exception):
        pass

    undisturbed, calls = torch.Tensor.backward, []

    def backward(self, *args, **kwargs):
        calls.append(1)
        if len(calls) > 10:
            raise Killed
        return undisturbed(self, *args, **kwargs)

    monkeypatch.setattr("atomplete.training.train.CHECKPOINT_INTERVAL", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(torch.Tensor, "backward", backward)
        with pytest.raises(Killed):
            fit(tmp_path, structures, SHORT)
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 3
    resumed = fit(tmp_path, structures, SHORT)
    assert torch.equal(resumed.predict(structures), model.predict(structures))


def test_a_force_that_is_not_finite_is_refused(molecules, tmp_path):
    structures = [atoms.copy() for atoms in molecules[0]]
    for copy, atoms in zip(structures, molecules[0], strict=True):
        copy.calc = SinglePointCalculator(copy, **atoms.calc.results)
    structures[3].calc.results["forces"] = np.full((4, 3), np.nan)
    with pytest.raises(InputError, match="structure 3: an energy or a force that is not finite"):
        fit(tmp_path, structures)
