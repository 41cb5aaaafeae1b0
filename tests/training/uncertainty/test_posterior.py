"""Posteriors of fits in closed form, against dense algebra on a design of finite differences."""

import numpy as np
import pytest
import torch
from alloys import alloy, fitted, fresh
from ase import Atoms
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from atomplete.checkpoint import load, save
from atomplete.data.dataset import Dataset
from atomplete.data.evaluation import evaluate
from atomplete.data.metrics import errors_of
from atomplete.data.references import References
from atomplete.errors import InputError
from atomplete.nn import DeepSetSpec, LinearSpec
from atomplete.potentials.prediction import UNCERTAINTIES
from atomplete.training.closed_form.ridge import RidgeSpec
from atomplete.training.loss import Loss

STEP = 1e-4
MANY = 4000  # members, to be compared with the exact covariance
WITH_LABELS = ("forces", "stress", *UNCERTAINTIES)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A potential of copper and gold, fitted to 40 structures and calibrated on 20."""
    loss = Loss(energy_per_atom=1.0, forces=1.0, stress=0.1)
    return fitted(
        tmp_path_factory.mktemp("fit"), alloy(60), 40, loss, model=fresh(nu=(1, 2), max_radial=3)
    )


def rows_of(model, atoms):
    """Derivatives of energy, forces and stress in the coefficients, by finite differences."""
    weights, rows = model.readout.coefficients, []
    kept = weights.clone(), model.reference.clone()
    model.reference.zero_()
    for k in range(weights.numel()):
        weights.zero_()
        weights.view(-1)[k] = 1.0
        moved = [atoms]
        for index in np.ndindex(len(atoms), 3):
            for sign in (1, -1):
                moved.append(atoms.copy())
                moved[-1].positions[index] += sign * STEP
        for a, b in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)):
            for sign in (1, -1):
                strain = np.zeros((3, 3))
                strain[a, b] += sign * STEP / 2
                strain[b, a] += sign * STEP / 2
                moved.append(atoms.copy())
                moved[-1].set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
        energy = model.predict(moved).energy.numpy()
        slope = (energy[1::2] - energy[2::2]) / (2 * STEP)
        n = 3 * len(atoms)
        rows.append(np.concatenate([energy[:1], -slope[:n], slope[n:] / atoms.get_volume()]))
    weights.copy_(kept[0])
    model.reference.copy_(kept[1])
    return np.array(rows).T


@pytest.mark.parametrize("references", [None, References((29, 79), (0.1, -0.2), ("given",) * 2)])
def test_uncertainties_are_those_of_dense_algebra(references, tmp_path, monkeypatch):
    monkeypatch.setattr("atomplete.potentials.committee.MEMBERS", MANY)
    structures, n_train, strength = alloy(14), 10, 1e-4
    loss, spec = (
        Loss(energy_per_atom=2.0, forces=0.7, stress=0.3),
        RidgeSpec(strengths=(strength,), penalty="diagonal"),
    )
    model = fitted(tmp_path, structures, n_train, loss, spec=spec, references=references)
    design = np.array([rows_of(model, atoms) for atoms in structures])
    composition = np.array([[np.sum(a.numbers == z) for z in (29, 79)] for a in structures])
    energies = np.array([atoms.get_potential_energy() for atoms in structures])
    if references is None:  # fitted along: what composition explains is taken out
        out = np.linalg.pinv(composition[:n_train])
        design[:, 0] -= composition @ out @ design[:n_train, 0]
        energies = energies - composition @ out @ energies[:n_train]
    else:
        energies = energies - composition @ references.energies
    train = design[:n_train]
    forces = np.array([atoms.get_forces() for atoms in structures[:n_train]])
    stress = np.array([atoms.get_stress() for atoms in structures[:n_train]])
    terms = (
        (2.0, train[:, 0] / 4, (energies[:n_train] / 4).std(ddof=1)),
        (0.7, train[:, 1:13].reshape(-1, train.shape[2]), np.sqrt((forces**2).mean())),
        (0.3, train[:, 13:].reshape(-1, train.shape[2]), stress.std(ddof=1)),
    )
    normal = sum(w / len(x) / scale**2 * x.T @ x for w, x, scale in terms)
    covariance = np.linalg.inv(normal + strength * np.diag(np.diag(normal)))
    variance = np.einsum("srk,kl,srl->sr", design, covariance, design)

    found = model.predict(structures, WITH_LABELS)
    for name, part in (
        ("energy", found.energy_uncertainty[:, None]),
        ("forces", found.forces_uncertainty.reshape(14, 12)),
        ("stress", found.stress_uncertainty),
    ):
        columns = {"energy": slice(0, 1), "forces": slice(1, 13), "stress": slice(13, 19)}[name]
        exact = np.sqrt(variance[:, columns])
        held_out = slice(n_train, None)
        label = [np.ravel(a.calc.results[name]) for a in structures[held_out]]
        errors = getattr(found, name).reshape(14, -1)[held_out].numpy() - np.array(label)
        exact *= np.sqrt((errors**2).sum() / (exact[held_out] ** 2).sum())
        # a standard deviation over 4000 members is known to 1.1 %
        np.testing.assert_allclose(part, exact, rtol=0.06, atol=1e-6 * exact.max())


def test_deviations_are_as_large_as_errors_on_validation_data(model):
    validation = alloy(60)[40:]
    found = errors_of(Dataset.from_structures(validation), model.predict(validation, WITH_LABELS))
    for name in ("energy_per_atom", "forces", "stress"):
        assert found[f"{name}_calibration"] == pytest.approx(1.0, abs=1e-9)
    assert -1 <= found["forces_rank_correlation"] <= 1
    # more disturbed structures have larger errors, and larger deviations
    wild = alloy(20, seed=5, spread=0.3)
    there = errors_of(Dataset.from_structures(wild), model.predict(wild, WITH_LABELS))
    assert there["forces_rmse"] > 2 * found["forces_rmse"]
    assert 0.3 < there["forces_calibration"] < 3
    assert there["forces_rank_correlation"] > 0.3


def test_what_has_no_labels_is_calibrated_by_what_has(tmp_path):
    structures = alloy(12)
    only = fitted(tmp_path / "energies", structures, 9, Loss(energy_per_atom=1.0))
    assert len(set(only.committee.calibration.tolist())) == 1
    for atoms in structures:
        del atoms.calc.results["energy"]
    only = fitted(tmp_path / "forces", structures, 9, Loss(forces=1.0))
    energy, forces, stress = only.committee.calibration.tolist()
    assert energy == forces == stress > 0


def test_no_structure_has_no_uncertainties(model):
    found = model.predict([], WITH_LABELS)
    assert found.extrapolation.shape == (0,)
    assert found.forces_uncertainty.shape == (0, 3)


def test_grades_are_leverages_over_the_largest_of_training_atoms(tmp_path, monkeypatch):
    monkeypatch.setattr("atomplete.potentials.committee.MEMBERS", MANY)
    structures = alloy(14)
    model = fresh()
    fitted(tmp_path / "first", alloy(14, seed=1), 10, Loss(forces=1.0), model=model)
    fitted(tmp_path / "second", structures, 10, Loss(forces=1.0), model=model)
    grades = model.predict(structures, ("extrapolation",)).extrapolation.numpy()
    rows = model.inputs(model.descriptor(model.system(structures))).numpy()
    numbers = np.concatenate([atoms.numbers for atoms in structures])
    train = np.arange(56) < 40
    for z in (29, 79):
        x = rows[numbers == z]
        fitted_to = x[train[numbers == z]]
        normal = fitted_to.T @ fitted_to
        normal += np.diag(np.diag(normal)) / len(fitted_to)
        leverage = np.sqrt(np.einsum("ak,kl,al->a", x, np.linalg.inv(normal), x))
        expected = leverage / leverage[train[numbers == z]].max()
        np.testing.assert_allclose(grades[numbers == z], expected, rtol=0.06)


def test_training_atoms_are_within_and_others_beyond_training_data(model):
    train = alloy(60)[:40]
    grades = model.predict(train, ("extrapolation",)).extrapolation
    numbers = np.concatenate([atoms.numbers for atoms in train])
    for z in (29, 79):
        assert grades[numbers == z].max().item() == pytest.approx(1.0, abs=1e-12)
    distorted = train[0].copy()
    distorted.positions[0] = distorted.positions[1] + (0.9, 0.9, 0.0)
    assert model.predict(distorted, ("extrapolation",)).extrapolation.max() > 5


def test_elements_that_never_met_are_beyond_training_data(tmp_path):
    apart = []
    for atoms in alloy(24):
        pure = atoms.copy()
        pure.symbols[:] = "Cu" if len(apart) % 2 else "Au"
        pure.calc = EMT()
        forces, energy = pure.get_forces(), pure.get_potential_energy()
        pure.calc = SinglePointCalculator(pure, energy=energy, forces=forces)
        apart.append(pure)
    model = fitted(tmp_path, apart, 18, Loss(energy_per_atom=1.0, forces=1.0))
    met = apart[0].copy()
    met.symbols[0] = "Cu"
    assert model.predict(met, ("extrapolation",)).extrapolation.min() > 2
    assert model.predict(apart[1], ("extrapolation",)).extrapolation.max() <= 1


def test_uncertainties_turn_and_permute_with_the_structure(model):
    atoms = alloy(1, seed=9)[0]
    turn, order = np.eye(3)[[1, 2, 0]], np.array([2, 0, 3, 1])
    turned = Atoms(
        atoms.numbers[order], atoms.positions[order] @ turn, cell=atoms.cell.array @ turn, pbc=True
    )
    one, other = (model.predict(a, WITH_LABELS) for a in (atoms, turned))
    torch.testing.assert_close(other.energy_uncertainty, one.energy_uncertainty)
    torch.testing.assert_close(other.extrapolation, one.extrapolation[order])
    expected = one.forces_uncertainty[order] @ torch.from_numpy(turn)
    torch.testing.assert_close(other.forces_uncertainty, expected)
    torch.testing.assert_close(
        other.stress_uncertainty[0, :3], one.stress_uncertainty[0, [2, 0, 1]]
    )
    # any turn leaves the sum over the components of an atom
    rotated = atoms.copy()
    rotated.rotate(37, (1, 2, 3), rotate_cell=True)
    found = model.predict(rotated, WITH_LABELS).forces_uncertainty
    torch.testing.assert_close(found.norm(dim=1), one.forces_uncertainty.norm(dim=1))


def test_parts_company_and_type_change_nothing(model):
    structures = alloy(6, seed=3)
    one = model.predict(structures, WITH_LABELS)
    parts = model.predict(structures, WITH_LABELS, memory=1000)
    alone = [model.predict(atoms, WITH_LABELS) for atoms in structures]
    for name in UNCERTAINTIES:
        values = getattr(one, name)
        torch.testing.assert_close(getattr(parts, name), values, rtol=1e-9, atol=1e-12)
        joined = torch.cat([getattr(found, name) for found in alone])
        torch.testing.assert_close(joined, values, rtol=1e-9, atol=1e-12)
    single = model.predict(structures, WITH_LABELS, dtype=torch.float32)
    torch.testing.assert_close(single.forces_uncertainty, one.forces_uncertainty)
    assert torch.equal(one[2].extrapolation, one.extrapolation[8:12])


def test_uncertainties_are_kept_in_the_file_and_given_by_the_calculator(model, tmp_path):
    save(tmp_path / "model.pt", model)
    loaded, atoms = load(tmp_path / "model.pt"), alloy(1, seed=4)[0]
    expected = model.predict(atoms, WITH_LABELS)
    assert torch.equal(
        loaded.predict(atoms, WITH_LABELS).forces_uncertainty, expected.forces_uncertainty
    )
    calculator = loaded.calculator()
    for name in UNCERTAINTIES:
        value = np.asarray(calculator.get_property(name, atoms))
        np.testing.assert_allclose(value, np.squeeze(getattr(expected, name)), rtol=1e-12)
    assert isinstance(calculator.get_property("energy_uncertainty", atoms), float)


def test_a_fit_that_is_taken_up_again_ends_with_the_same_committee(tmp_path):
    loss = Loss(energy_per_atom=1.0, forces=1.0)
    first, again = (fitted(tmp_path, alloy(10), 8, loss) for _ in range(2))
    for name, value in first.committee.state_dict().items():
        assert torch.equal(again.committee.state_dict()[name], value), name


def test_a_potential_without_a_posterior_says_so():
    atoms = alloy(1)[0]
    for readout in (DeepSetSpec(hidden=(4,), head=()), LinearSpec()):
        unfitted = fresh(readout)
        assert unfitted.uncertainties == ()
        assert "extrapolation" not in unfitted.calculator().implemented_properties
        with pytest.raises(InputError, match="no fit in closed form: this"):
            unfitted.predict(atoms, ("energy_uncertainty",))


def test_uncertainties_are_refused_where_structures_may_be_in_parts(model):
    with pytest.raises(InputError, match="ask predict for it"):
        model(model.system(alloy(1)), ("extrapolation",))


def test_evaluation_writes_what_the_model_is_unsure_of(model):
    structures = alloy(3, seed=7)
    copies, errors = evaluate(model, structures, uncertainty=True)
    expected = model.predict(structures, WITH_LABELS)
    for k, atoms in enumerate(copies):
        one = expected[k]
        assert atoms.info["predicted_energy_uncertainty"] == one.energy_uncertainty.item()
        found = atoms.arrays["predicted_forces_uncertainty"]
        np.testing.assert_array_equal(found, one.forces_uncertainty)
        np.testing.assert_array_equal(atoms.arrays["extrapolation"], one.extrapolation)
    label = np.concatenate([atoms.get_forces() for atoms in structures])
    error = np.sqrt(np.mean((expected.forces.numpy() - label) ** 2))
    predicted = np.sqrt(np.mean(expected.forces_uncertainty.numpy() ** 2))
    assert errors["forces_calibration"] == pytest.approx(error / predicted)
