"""Labels under any key and of any shape: read, refused by name, or named as unread."""

import sys

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from atomplete.checkpoint import save
from atomplete.cli import main
from atomplete.data import read_structures, write_structures
from atomplete.data.dataset import Dataset
from atomplete.data.evaluation import evaluate
from atomplete.data.properties import LabelKeys, label, unread
from atomplete.data.references import References
from atomplete.data.summary import describe_data
from atomplete.descriptors import DensityCorrelationsSpec, ExpansionSpec
from atomplete.errors import InputError
from atomplete.nn.linear import LinearSpec
from atomplete.potentials import DescriptorPotential, DescriptorPotentialSpec
from atomplete.training.options import TrainOptions
from atomplete.training.train import train

STRESS = np.array([[1.0, 6.0, 5.0], [6.0, 2.0, 4.0], [5.0, 4.0, 3.0]])
VOIGT = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]


def cell(pbc=True, **info):
    return Atoms("SiC", positions=[[0, 0, 0], [0, 0, 1]], cell=[2, 2, 2], pbc=pbc, info=info)


@pytest.mark.parametrize("value", [STRESS, STRESS.ravel(), VOIGT, STRESS.tolist(), tuple(VOIGT)])
def test_stresses_of_all_shapes_are_one(value):
    assert label(cell(stress=value), "stress").tolist() == VOIGT
    virial = -8 * np.array(value, dtype=float)  # of a volume of 8 Å³: the other sign
    for key in ("virial", "virials"):
        assert label(cell(**{key: virial}), "stress").tolist() == pytest.approx(VOIGT, rel=1e-14)
    assert label(cell(mine=value), "stress", LabelKeys(stress=("mine",))).tolist() == VOIGT


@pytest.mark.parametrize(
    ("property", "value", "words"),
    [
        ("energy", np.nan, "its energy is nan"),
        ("energy", np.inf, "its energy is inf"),
        ("energy", "-1.0", "its energy is -1.0, not a number"),
        ("energy", True, "its energy is True, not a number"),
        ("energy", 1j, "its energy is 1j, not a number"),
        ("energy", [1.0, 2.0], r"its energy has the shape \(2,\), not \(\)"),
        ("forces", np.zeros((3, 2)), r"its forces has the shape \(3, 2\), not \(2, 3\)"),
        ("forces", np.zeros((3, 3)), r"its forces has the shape \(3, 3\), not \(2, 3\)"),
        ("forces", [[0, 0, 0], [0, np.nan, 0]], "its forces is not finite"),
        ("forces", [[0, 0, 0], [0, 0]], r"its forces is \[\[0, 0, 0\], \[0, 0\]\], not a number"),
        ("forces", np.zeros((2, 3), complex), r"its forces is \[\[0.+, not a number$"),
        ("stress", [1.0] * 5, r"its stress has the shape \(5,\), not \(6,\)"),
        ("stress", 0.0, r"its stress has the shape \(\), not \(6,\)"),
        ("stress", [np.nan] * 6, "its stress is not finite"),
        ("virial", [np.nan] * 9, "its virial is not finite"),
        ("virial", [1.0] * 3, r"its virial has the shape \(3,\), not \(6,\)"),
    ],
)
def test_labels_that_cannot_be_used_are_refused_by_name(property, value, words):
    structures = [cell(), cell(**{property: value})]
    with pytest.raises(InputError, match=f"^a.xyz, structure 1: {words}"):
        Dataset.from_structures(structures, names=["a.xyz, structure 0", "a.xyz, structure 1"])


def test_what_is_not_read_is_named():
    structures = [
        cell(REF_energy=-1.0, energy=-2.0, note="energy of a friend"),
        cell(virial=STRESS, stress=STRESS, dft_virials=STRESS, ragged_forces=[[1], [2, 3]]),
        cell([True, True, False], stress=STRESS, charge=1),
    ]
    structures[0].calc = SinglePointCalculator(structures[0], energy=-2.0, free_energy=-3.0)
    structures[1].arrays["dft_forces"] = np.zeros((2, 3))
    structures[1].set_initial_magnetic_moments([1, -1])
    assert sorted(unread(structures, LabelKeys())) == [
        "NOT READ, as a direction is not periodic: stress (1 structures)",
        "NOT READ, as another key is: virial (1 structures)",
        "NOT READ, though it looks like a label: REF_energy (1 structures)",
        "NOT READ, though it looks like a label: dft_forces (1 structures)",
        "NOT READ, though it looks like a label: dft_virials (1 structures)",
        "NOT READ, though it looks like a label: free_energy (1 structures)",
        "NOT SEEN by potentials, though energies depend on it: charge (1 structures)",
        "NOT SEEN by potentials, though energies depend on it: initial_magmoms (1 structures)",
    ]
    keys = LabelKeys(energy=("REF_energy",), forces=("dft_forces",))
    said = describe_data(Dataset.from_structures(structures, keys), keys, References((), (), ()))
    assert "energies of 1 structures (of 3), key REF_energy" in said
    assert "forces of 1 structures (of 3), key dft_forces" in said
    assert "  NOT READ, as another key is: virial" in said


def test_the_sign_of_a_virial_is_said():
    dataset = Dataset.from_structures([cell(energy=-1.0, virial=STRESS)])
    said = describe_data(dataset, LabelKeys(), References((), (), ()))
    assert "key virial (stress = -virial / volume)" in said


def dimers(n):
    structures = [Atoms("B")]  # whose energy is a reference, so that numbers shift
    structures[0].info["energy"] = 1.0
    for k in range(n):
        atoms = Atoms("B2", positions=[[0, 0, 0], [0, 0, 1.5 + 0.1 * k]])
        atoms.calc = SinglePointCalculator(atoms, energy=0.1 * k, forces=np.zeros((2, 3)))
        structures.append(atoms)
    return structures


def test_isolated_atoms_of_several_energies_are_refused(tmp_path):
    """As of other charges; the last one won silently."""
    structures = [*dimers(6), Atoms("B", info={"energy": 9.0, "charge": 1})]
    options = TrainOptions(forces_weight=0, cutoff=3.0)
    with pytest.raises(InputError, match="isolated atoms of B have the energies 1 and 9 eV"):
        train(structures, tmp_path, options, progress=False, say=str)
    said = []
    given = options.model_copy(update={"references": {"B": 1.0}})
    train(structures, tmp_path, given, progress=False, say=said.append)
    assert "B 1 eV (given)" in said[0]


@pytest.mark.parametrize("bad", ["train", "valid"])
def test_a_label_that_would_spoil_a_fit_is_named_with_its_file(tmp_path, bad):
    for name in ("train", "valid"):
        structures = dimers(6)
        if name == bad:
            structures[4].calc.results["forces"][1, 2] = np.nan
        write_structures(tmp_path / f"{name}.xyz", structures)
    options = TrainOptions(validation=tmp_path / "valid.xyz")
    with pytest.raises(InputError) as caught:
        train(tmp_path / "train.xyz", tmp_path / "fit", options, progress=False, say=str)
    assert str(caught.value) == f"{tmp_path / bad}.xyz, structure 4: its forces is not finite"
    assert not (tmp_path / "fit").exists()


def potential():
    spec = DescriptorPotentialSpec(
        descriptor=DensityCorrelationsSpec(
            nu=(1,), expansion=ExpansionSpec(max_radial=2, max_angular=1, species=(18,), cutoff=4.0)
        ),
        readout=LinearSpec(),
        species=(18,),
    )
    return DescriptorPotential(spec, 0)


def test_evaluation_reads_the_keys_that_it_is_given(tmp_path, monkeypatch, capsys):
    save(tmp_path / "model.pt", potential())
    structures = [Atoms("Ar2", positions=[[0, 0, 0], [0, 0, 3.8]], info={"REF_energy": -1.0})]
    write_structures(tmp_path / "a.xyz", structures)
    arguments = ["evaluate", tmp_path / "model.pt", tmp_path / "a.xyz", "-o", tmp_path / "p.xyz"]

    def run(*more):
        monkeypatch.setattr(sys, "argv", ["atomplete", *map(str, arguments), *more])
        with pytest.raises(SystemExit) as stop:
            main()
        return stop.value.code or 0, capsys.readouterr()

    code, streams = run()
    assert code == 0
    assert "no labels to compare with" in streams.out
    assert "NOT READ, though it looks like a label: REF_energy (1 structures)" in streams.out
    code, streams = run("--energy-key", "REF_energy")
    assert code == 0
    predicted = read_structures(tmp_path / "p.xyz")[0].info["predicted_energy"]
    assert f"energy: mean absolute error {abs(predicted + 1):.4g}" in streams.out
    assert "NOT READ" not in streams.out
    structures[0].info["REF_energy"] = np.nan
    write_structures(tmp_path / "a.xyz", structures)
    code, streams = run("--energy-key", "REF_energy")
    assert code == 2
    assert streams.err == f"atomplete: {tmp_path / 'a.xyz'}, structure 0: its REF_energy is nan\n"


def test_evaluation_in_python_takes_keys():
    structures = [Atoms("Ar2", positions=[[0, 0, 0], [0, 0, 3.8]], info={"mine": -1.0})]
    _, errors = evaluate(potential(), structures, LabelKeys(energy=("mine",)))
    assert errors["energy_mae"] is not None
    assert evaluate(potential(), structures)[1]["energy_mae"] is None
