"""Training on a file: what it reads, what it refuses, what it writes, and evaluation after it."""

import json

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from atomplete.checkpoint import load
from atomplete.data.checks.signs import stress_sign
from atomplete.data.dataset import Dataset
from atomplete.data.evaluation import evaluate
from atomplete.errors import InputError
from atomplete.training.options import TrainOptions
from atomplete.training.train import train

SMALL = {"nu": [2], "expansion": {"max_radial": 3, "max_angular": 1}}
OPTIONS = TrainOptions(descriptor={"type": "density_correlations", **SMALL}, cutoff=4.0)


def crystals(n=16, sign=1.0):
    rng = np.random.default_rng(0)
    found = []
    for k in range(n):
        atoms = bulk("Cu", cubic=True, a=3.4 + 0.03 * k)
        atoms.positions += 0.02 * rng.normal(size=(4, 3))
        atoms.calc = EMT()
        labels = {
            "energy": atoms.get_potential_energy(),
            "forces": atoms.get_forces(),
            "stress": sign * atoms.get_stress(),
        }
        atoms.calc = SinglePointCalculator(atoms, **labels)
        found.append(atoms)
    return found


@pytest.mark.parametrize(("sign", "says"), [(1.0, "agrees with dE/dV"), (-1.0, "OPPOSITE")])
def test_the_sign_of_the_stress(sign, says):
    assert says in str(stress_sign(Dataset.from_structures(crystals(sign=sign))))


def test_a_fit_of_energies_forces_and_stresses(tmp_path):
    said, structures = [], crystals()
    train(structures, tmp_path, OPTIONS, progress=False, say=said.append)
    assert "stresses of 16 structures, key stress" in said[0]
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["train"]["forces_rmse"] < 0.05
    assert {path.name for path in tmp_path.iterdir()} >= {
        "model.pt", "metrics.json", "parity.json", "log.jsonl", "run.json",
    }  # fmt: skip
    copies, errors = evaluate(load(tmp_path / "model.pt"), structures)
    assert copies[0].info["predicted_stress"].shape == (3, 3)
    found = np.array([atoms.info["predicted_energy"] for atoms in copies])
    reference = np.array([atoms.get_potential_energy() for atoms in structures])
    assert errors["energy_mae"] == pytest.approx(np.abs(found - reference).mean())
    assert errors["energy_per_atom_mae"] == pytest.approx(np.abs(found - reference).mean() / 4)


def test_a_network_of_forces(tmp_path):
    options = OPTIONS.model_copy(update={"readout": "deep_set", "epochs": 30})
    train(crystals(), tmp_path, options, progress=False, say=lambda _: None)
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    losses = [json.loads(line)["train_loss"] for line in lines]
    assert losses[-1] < 0.5 * losses[0]


def test_labels_that_are_missing_are_refused(tmp_path):
    bare = [Atoms("B2", [(0, 0, 0), (0, 0, 1.5 + 0.1 * k)]) for k in range(5)]
    with pytest.raises(InputError, match="no structure has energies"):
        train(bare, tmp_path, OPTIONS, say=lambda _: None)
    for k, atoms in enumerate(bare):
        atoms.info["REF_energy"] = float(k)
    said = []
    options = OPTIONS.model_copy(update={"energy_key": "REF_energy"})
    with pytest.raises(InputError, match="no structure has forces"):
        train(bare, tmp_path, options, say=said.append)
    assert "key REF_energy" in said[0]
    said.clear()
    with pytest.raises(InputError, match="no structure has energies"):
        train(bare, tmp_path, OPTIONS, say=said.append)
    assert "NOT READ, though it looks like a label: REF_energy (5 structures)" in said[0]


def test_isolated_atoms_are_references(tmp_path):
    dimers = [
        Atoms("B2", [(0, 0, 0), (0, 0, 1.5 + 0.1 * k)], info={"energy": -20.0 + k * k})
        for k in range(6)
    ]
    said = []
    options = OPTIONS.model_copy(update={"forces_weight": 0.0})
    structures = [*dimers, Atoms("B", info={"energy": -9.0})]
    model = train(structures, tmp_path, options, progress=False, say=said.append)
    assert "B -9 eV (isolated atom)" in said[0]
    assert model.predict([Atoms("B")]).energy.item() == pytest.approx(-9.0)
