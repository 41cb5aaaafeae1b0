import json
import pickle
import re

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

from atomplete.data import read_structures, write_structures
from atomplete.errors import InputError
from atomplete.labels import get_method, label_file, label_structures

FILE = """
import os
from pathlib import Path
from ase.calculators.calculator import Calculator, SCFError, all_changes
from ase.calculators.lj import LennardJones

class Smeared(Calculator):
    implemented_properties = ["energy", "free_energy"]

    def calculate(self, atoms, properties, changes=all_changes):
        super().calculate(atoms, properties, changes)
        (Path(self.directory) / "scratch").write_text("x")
        if len(atoms) > 2:
            raise SCFError("100 cycles")
        print(self.directory)
        self.results = {"energy": -1.0, "free_energy": -1.5}

def smeared():
    return Smeared()

def weak(epsilon=1.0):
    return LennardJones(epsilon=epsilon, rc=10.0)
"""


@pytest.fixture
def copper():
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.05, seed=1)
    return atoms


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "my_calculators.py"
    path.write_text(FILE)
    return path


@pytest.mark.parametrize(
    "name", ["ase:emt", "ase:ase.calculators.emt:EMT", "ase.calculators.emt:EMT"]
)
def test_labels_are_those_of_the_calculator(copper, tmp_path, name):
    copper.calc = EMT()
    label = get_method(name).compute(copper)
    assert label.energy == copper.get_potential_energy()
    np.testing.assert_array_equal(label.forces, copper.get_forces())
    np.testing.assert_array_equal(label.stress, copper.get_stress())
    assert label.method == "ase:" + name.removeprefix("ase:")
    molecule = Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 2.4]])
    assert get_method(name).compute(molecule).stress is None


def test_stress_survives_the_campaign(copper, tmp_path):
    write_structures(tmp_path / "in.xyz", [copper])
    files, emt = (tmp_path / "in.xyz", tmp_path / "out.xyz"), get_method("ase:emt")
    done, again = (label_file(*files, emt, progress=False) for _ in range(2))
    assert (done.resumed, again.resumed) == (0, 1)
    labelled = read_structures(again.output)[0]
    copper.calc = EMT()
    np.testing.assert_array_equal(labelled.get_stress(), copper.get_stress())
    np.testing.assert_array_equal(labelled.get_forces(), copper.get_forces())


def test_calculators_of_a_file(file, tmp_path, capfd, monkeypatch):
    pair = Atoms("Ar2", positions=[[0, 0, 0], [0, 0, 1.2]])
    weak = get_method(f"{file}:weak", epsilon=0.5)
    strong = get_method(f"ase:{file}:weak")
    assert weak.name == strong.name == "ase:my_calculators.py:weak"
    assert weak.settings["epsilon"] == 0.5
    assert json.dumps(weak.settings)
    assert weak.compute(pair).energy == pytest.approx(strong.compute(pair).energy / 2)
    triple = Atoms("Ar3", positions=[[0, 0, 0], [0, 0, 1.2], [0, 0, 3]])
    monkeypatch.chdir(tmp_path)
    smeared = get_method("my_calculators.py:smeared")
    before = set(tmp_path.iterdir())
    capfd.readouterr()
    good, failed = label_structures([pair, triple], smeared, tmp_path / "j", progress=False)
    assert capfd.readouterr().out == ""  # calculators print on stderr
    assert (good.energy, good.forces) == (-1.5, None)
    assert failed.reason == "SCF not converged (100 cycles)"
    assert not failed.transient
    assert set(tmp_path.iterdir()) - before == {tmp_path / "j"}
    file.write_text(FILE + "\n# another")
    assert get_method(f"{file}:weak", epsilon=0.5).settings != weak.settings
    copied = pickle.loads(pickle.dumps(weak))
    assert copied == weak
    assert copied.compute(pair).energy == weak.compute(pair).energy


def test_calculators_that_do_not_exist(file, tmp_path):
    for name, reason in {
        "ase:emd": r"ase:emd: not found \(No module named",
        "no.such:Thing": r"ase:no\.such:Thing: not found \(No module named 'no'\)",
        "ase.calculators.emt:Other": "ase:ase.calculators.emt:Other: not found",
        f"{file}:other": "not found",
        f"{tmp_path}/absent.py:make": "absent.py cannot be read",
    }.items():
        with pytest.raises(InputError, match=reason):
            get_method(name)
    with pytest.raises(InputError, match="settings must be plain values"):
        get_method("ase:emt", label=object())


def test_keywords_that_the_calculator_refuses_end_the_campaign(file, tmp_path):
    method = get_method(f"{file}:weak", epsilom=1.0)
    with pytest.raises(InputError, match=r"cannot be made with \{'epsilom': 1.0\} \(TypeError"):
        label_structures([Atoms("Ar")], method, tmp_path / "j", progress=False)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("atoms.positions += 0.1", "changed the structure"),
        ("atoms.numbers[:] = atoms.numbers[::-1]", "changed the structure"),
        ("self.results['forces'] = self.results['forces'].T", r"forces have shape \(3, 2\)"),
        ("self.results['forces'] = np.zeros((3, 3))", r"forces have shape \(3, 3\), not \(2, 3\)"),
        ("self.results['energy'] = np.nan", "energy are not finite"),
        ("self.results['forces'] = np.full((2, 3), np.inf)", "forces are not finite"),
        ("self.results['energy'] = np.ones(1)", r"energy have shape \(1,\), not \(\)"),
        ("self.results['energy'] = np.ones(2)", r"energy have shape \(2,\), not \(\)"),
        ("self.results['energy'] = 1 + 0j", r"energy are no real numbers, but \(1\+0j\)"),
        ("self.results['energy'] = '1.0'", "energy are no real numbers, but '1.0'"),
        ("self.results['forces'] = np.zeros((2, 3), complex)", "forces are no real numbers"),
        ("self.results['forces'] = np.zeros(6)", r"forces have shape \(6,\), not \(2, 3\)"),
        ("self.results['energy'] = None", "energy are no real numbers, but None"),
        ("atoms.wrap(pbc=True)", "changed the structure"),
        ("atoms.set_cell(2 * atoms.cell, scale_atoms=True)", "changed the structure"),
        ("atoms.set_pbc(True)", "changed the structure"),
        ("atoms.set_initial_charges([1, -1])", "changed the structure"),
        ("self.atoms.positions += 0.1", "computed another structure"),  # as after a relaxation
        ("self.atoms = self.atoms[::-1]", "computed another structure"),
        ("self.atoms.set_cell(2 * atoms.cell)", "computed another structure"),
        ("del atoms[0]", "changed the structure"),
    ],
)
def test_results_that_cannot_be_used_fail_their_structure_alone(tmp_path, body, reason):
    """And leave the structure as it was given."""
    text = f"""
import numpy as np
from ase.calculators.calculator import Calculator, all_changes

class Broken(Calculator):
    implemented_properties = ["energy", "forces"]

    def calculate(self, atoms, properties, changes=all_changes):
        super().calculate(atoms, properties, changes)
        self.results = {{"energy": 1.0, "forces": np.zeros((len(atoms), 3))}}
        if "N" in atoms.symbols:
            {body}
"""
    (tmp_path / "broken.py").write_text(text)
    broken = Atoms("CN", positions=[[0, 0, -0.1], [0, 0, 1.2]], cell=[3, 3, 3])
    structures = [broken, Atoms("CO", [[0, 0, 0]] * 2)]
    before = structures[0].copy()
    method = get_method(f"{tmp_path}/broken.py:Broken")
    bad, good = label_structures(structures, method, tmp_path / "j", progress=False)
    assert good.converged
    assert not bad.converged
    assert re.search(reason, bad.reason)
    assert structures[0] == before
