"""Models of metatomic, as its calculator for ASE runs them."""

import numpy as np
import pytest
import torch
from engine_runs import by_torch, deviations, structure
from environments import molecule

from atomplete.engines.metatomic import write_metatomic

pytest.importorskip("metatomic_ase")

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def path(potential, tmp_path_factory):
    found = tmp_path_factory.mktemp("metatomic") / "model.pt"
    write_metatomic(found, potential)
    return found


def calculator(path, **options):
    from metatomic_ase import MetatomicCalculator

    return MetatomicCalculator(path, check_consistency=True, uncertainty_threshold=None, **options)


def test_all_is_that_of_torch(potential, path):
    calc = calculator(path)
    for atoms in (structure("triclinic"), structure("60 atoms")):
        atoms.calc = calc
        found = atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()
        assert max(deviations(found, by_torch(potential, atoms, None))) < 1e-12
        expected = potential.predict(atoms, ("atom_energies",)).atom_energies
        assert np.allclose(atoms.get_potential_energies(), expected, rtol=1e-12)


def test_selected_atoms_and_uncertainties(potential, path):
    from metatensor.torch import Labels
    from metatomic.torch import ModelOutput

    atoms = molecule(3, 9, radius=1.6)
    expected = potential.predict(atoms, ("atom_energies", "energy_uncertainty"))
    calc = calculator(path)
    wanted = {"energy_uncertainty": ModelOutput(unit="eV", sample_kind="system")}
    found = calc.run_model(atoms, wanted)["energy_uncertainty"].block().values
    torch.testing.assert_close(found[0], expected.energy_uncertainty, rtol=1e-11, atol=0)
    wanted = {"energy": ModelOutput(unit="eV", sample_kind="atom")}
    chosen = Labels(["system", "atom"], torch.tensor([[0, 7], [0, 2]]))
    block = calc.run_model(atoms, wanted, chosen)["energy"].block()
    assert block.samples.column("atom").tolist() == [7, 2]
    torch.testing.assert_close(block.values[:, 0], expected.atom_energies[[7, 2]])


def test_single_precision(potential, tmp_path):
    write_metatomic(tmp_path / "model.pt", potential, torch.float32)
    atoms = structure("triclinic")
    atoms.calc = calculator(tmp_path / "model.pt")
    found = atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()
    assert max(deviations(found, by_torch(potential, atoms, None))) < 1e-4


def test_an_element_that_is_unknown(path):
    atoms = molecule(1, 3)
    atoms.numbers[1] = 79
    atoms.calc = calculator(path)
    with pytest.raises(ValueError, match="79"):
        atoms.get_potential_energy()
