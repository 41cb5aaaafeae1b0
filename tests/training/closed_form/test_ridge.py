"""Fits in closed form: against least squares on a design made of finite differences."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from atomplete.data.dataset import Dataset, Split
from atomplete.data.references import References
from atomplete.descriptors import DensityCorrelationsSpec, ExpansionSpec
from atomplete.errors import InputError
from atomplete.nn import DeepSetSpec, LinearSpec
from atomplete.potentials import DescriptorPotential, DescriptorPotentialSpec
from atomplete.training.closed_form.derivative_rows import derivative_rows
from atomplete.training.closed_form.ridge import RidgeSpec
from atomplete.training.fit import fit
from atomplete.training.loss import Loss

BASIS = ExpansionSpec(cutoff=2.6, max_radial=2, max_angular=0, species=(5, 6))
STEP = 1e-4
ALONE = References((5, 6), (-1.0, -2.0), ("given", "given"))


def fresh(readout=None):
    spec = DescriptorPotentialSpec(
        descriptor=DensityCorrelationsSpec(nu=(1,), expansion=BASIS),
        readout=readout or LinearSpec(),
        species=(5, 6),
    )
    return DescriptorPotential(spec)


def crystals(n, seed=0):
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(n):
        cell = 2.4 * np.eye(3) + rng.uniform(-0.15, 0.15, (3, 3))
        atoms = Atoms("BC", [(0, 0, 0), (1.2, 1.2, 1.2)], cell=cell, pbc=True)
        atoms.positions += rng.uniform(-0.15, 0.15, (2, 3))
        labels = {
            "energy": rng.normal(),
            "forces": rng.normal(size=(2, 3)),
            "stress": 0.1 * rng.normal(size=6),
        }
        atoms.calc = SinglePointCalculator(atoms, **labels)
        found.append(atoms)
    return found


def design(model, atoms):
    """Derivatives of energy, forces and stress in the coefficients: one at a time."""
    rows = []
    weights = model.readout.coefficients
    for k in range(weights.numel()):
        weights.zero_()
        weights.view(-1)[k] = 1.0
        up = model.predict(atoms).energy.item()
        forces = np.zeros((len(atoms), 3))
        for (atom, axis), _ in np.ndenumerate(forces):
            moved = [atoms.copy() for _ in range(2)]
            for sign, copy in zip((1, -1), moved, strict=True):
                copy.positions[atom, axis] += sign * STEP
            plus, minus = model.predict(moved).energy
            forces[atom, axis] = -(plus - minus) / (2 * STEP)
        stress = []
        for a, b in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)):
            strained = []
            for sign in (1, -1):
                strain = np.zeros((3, 3))
                strain[a, b] += sign * STEP / 2
                strain[b, a] += sign * STEP / 2
                copy = atoms.copy()
                copy.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
                strained.append(copy)
            plus, minus = model.predict(strained).energy
            stress.append((plus - minus) / (2 * STEP) / atoms.get_volume())
        rows.append(np.concatenate([[up], forces.ravel(), stress]))
    weights.zero_()
    return np.array(rows).T


@pytest.mark.filterwarnings("ignore")
def test_derivatives_of_the_design_are_differences():
    model, (atoms,) = fresh(), crystals(1)
    dataset = Dataset.from_structures([atoms])
    of_atoms, of_strain = derivative_rows(model, dataset.system(model.cutoff))
    expected = design(model, atoms)
    n = expected.shape[1]
    np.testing.assert_allclose(-of_atoms.view(-1, n), expected[1:7], atol=1e-6)
    np.testing.assert_allclose(of_strain.view(-1, n), expected[7:], atol=1e-6)


def test_energies_forces_and_stresses_are_rows_of_one_least_squares(tmp_path):
    structures, every = crystals(14), torch.arange(14)[:, None]
    dataset = Dataset.from_structures(structures)
    model, loss = fresh(), Loss(energy_per_atom=2.0, forces=0.7, stress=0.3)
    split, spec = Split(every[:12], every[12:]), RidgeSpec(strengths=(1e-6,))
    fit(model, dataset, split, loss, spec, tmp_path, references=ALONE, progress=False)
    found = model.predict(structures[:12], ("forces", "stress"))

    reference = fresh()
    a = np.array([design(reference, atoms) for atoms in structures[:12]])
    energies = dataset.energies[:12].numpy() + 3.0
    forces = dataset.forces[:24].numpy().reshape(12, 6)
    stresses = dataset.stresses[:12].numpy()
    terms = (
        (2.0, a[:, 0] / 2, energies / 2, (energies / 2).std(ddof=1)),
        (0.7, a[:, 1:7].reshape(72, -1), forces.ravel(), np.sqrt((forces**2).mean())),
        (0.3, a[:, 7:].reshape(72, -1), stresses.ravel(), stresses.std(ddof=1)),
    )
    rows = [np.sqrt(w / len(y)) / scale * x for w, x, y, scale in terms]
    targets = [np.sqrt(w / len(y)) / scale * y for w, x, y, scale in terms]
    x, y = np.vstack(rows), np.concatenate(targets)
    largest = np.linalg.eigvalsh(x.T @ x)[-1]
    x = np.vstack([x, np.sqrt(1e-6 * largest) * np.eye(x.shape[1])])
    weights = np.linalg.lstsq(x, np.concatenate([y, np.zeros(x.shape[1])]), rcond=None)[0]
    np.testing.assert_allclose(found.energy + 3.0, a[:, 0] @ weights, atol=1e-5)
    np.testing.assert_allclose(found.forces.view(12, 6), a[:, 1:7] @ weights, atol=1e-5)
    np.testing.assert_allclose(found.stress, a[:, 7:] @ weights, atol=1e-5)


def test_parts_and_interruptions_change_nothing(tmp_path, monkeypatch):
    structures, every = crystals(10), torch.arange(10)[:, None]
    dataset, split = Dataset.from_structures(structures), Split(every[:8], every[8:])
    loss, spec = Loss(energy_per_atom=1.0, forces=1.0, stress=1.0), RidgeSpec()

    def fitted(folder):
        model = fresh()
        fit(model, dataset, split, loss, spec, tmp_path / folder, progress=False)
        return model.predict(structures).energy

    whole = fitted("whole")
    monkeypatch.setattr(
        "atomplete.training.closed_form.derivative_rows.COPIES", 10**6
    )  # a part for each
    monkeypatch.setattr("atomplete.training.run.CHECKPOINT_INTERVAL", -1.0)
    torch.testing.assert_close(fitted("parts"), whole, rtol=0, atol=1e-7)
    calls = []

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return derivative_rows(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr("atomplete.training.closed_form.derivative_rows.derivative_rows", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fitted("cut")
    assert torch.equal(fitted("cut"), fitted("parts"))


def test_only_what_is_linear_is_fitted_in_closed_form(tmp_path):
    every = torch.arange(4)[:, None]
    split, loss = Split(every[:3], every[3:]), Loss(energy=1.0)
    with pytest.raises(InputError, match="'deep_set' is not linear"):
        fit(
            fresh(DeepSetSpec()), Dataset.from_structures(crystals(4)), split, loss,
            RidgeSpec(), tmp_path,
        )  # fmt: skip


def test_features_that_training_never_sees_have_no_weight(tmp_path):
    """Elements that never meet in training meet later: energies stay of their order."""
    apart = [
        Atoms([symbol] * 2, [(0, 0, 0), (0, 0, 1.5 + 0.05 * k)], info={"energy": -3.0 + 0.1 * k})
        for k in range(8)
        for symbol in "BC"
    ]
    every = torch.arange(16)[:, None]
    split, model = Split(every[:12], every[12:]), fresh()
    spec = RidgeSpec(penalty="diagonal")
    data = Dataset.from_structures(apart)
    fit(model, data, split, Loss(energy=1.0), spec, tmp_path, progress=False)
    assert model.predict(Atoms("BC", [(0, 0, 0), (0, 0, 1.5)])).energy.abs() < 100


def test_derivatives_in_single_precision():
    dataset = Dataset.from_structures(crystals(3))
    model = fresh()
    system = dataset.system(model.cutoff)
    double = derivative_rows(model, system)
    for exact, found in zip(double, derivative_rows(model, system, torch.float32), strict=True):
        assert found.dtype == torch.float32
        torch.testing.assert_close(found.double(), exact, rtol=1e-4, atol=1e-5)
