"""Charge, spin and moments are part of what a label is of."""

import sys

import numpy as np
import pytest
import yaml
from ase import Atoms
from ase.io.extxyz import write_extxyz

from atomplete.cli import main
from atomplete.data import content_hash, read_structures, write_structures
from atomplete.errors import InputError
from atomplete.labels import (
    PBE,
    XTB,
    Journal,
    get_method,
    label_file,
    label_structures,
)
from atomplete.labels.electrons import Electrons
from atomplete.runs.fingerprint import essentials
from atomplete.units import BOHR, HARTREE


def hydroxyl(moments=None, charges=None, **info):
    atoms = Atoms("OH", positions=[[0, 0, 0], [0, 0, 0.97]], info=info)
    if moments is not None:
        atoms.set_initial_magnetic_moments(moments)
    if charges is not None:
        atoms.set_initial_charges(charges)
    return atoms


def named(column):
    atoms = hydroxyl()
    atoms.arrays[column] = np.array(["a", "b"])
    return atoms


STATES = {
    "neutral": (hydroxyl(), 0, None),
    "cation": (hydroxyl(charge=1), 1, None),
    "anion": (hydroxyl(charges=[-1.0, 0.0]), -1, None),
    "anion, singlet": (hydroxyl(charge=-1, spin=1), -1, 0),
    "quartet": (hydroxyl(moments=[2, 1]), 0, 3),
    "cation, triplet": (hydroxyl(charge=1, multiplicity=3), 1, 2),
}


@pytest.mark.parametrize(("atoms", "charge", "unpaired"), STATES.values(), ids=STATES.keys())
def test_states_are_those_that_tblite_is_asked_for(atoms, charge, unpaired):
    interface = pytest.importorskip("tblite.interface")
    assert Electrons.of(atoms, "s") == Electrons(charge, unpaired)
    calculator = interface.Calculator(
        "GFN2-xTB", atoms.numbers, atoms.positions / BOHR, charge=charge, uhf=unpaired
    )
    for name, value in {"verbosity": 0, "temperature": 0.01, "accuracy": 0.01}.items():
        calculator.set(name, value)
    expected = calculator.singlepoint().get("energy") * HARTREE
    assert XTB().compute(atoms).energy == pytest.approx(float(expected), abs=1e-6)


def test_each_state_has_a_label_of_its_own(tmp_path):
    """Also through a file, a journal, and a journal that is merged from the labelled file."""
    pytest.importorskip("tblite")
    structures = [state[0] for state in STATES.values()]
    write_structures(tmp_path / "in.xyz", structures)
    assert [content_hash([a]) for a in read_structures(tmp_path / "in.xyz")] == [
        content_hash([a]) for a in structures
    ]
    done = label_file(tmp_path / "in.xyz", tmp_path / "out.xyz", XTB(), progress=False)
    energies = [atoms.get_potential_energy() for atoms in read_structures(done.output)]
    assert len({round(energy, 4) for energy in energies}) == len(STATES) - 1  # one state twice
    assert len(done.journal.read_text().splitlines()) == len(STATES)
    with Journal(tmp_path / "other.jsonl") as journal:
        assert journal.merge(done.output) == []
        assert [journal.find(atoms, XTB()).energy for atoms in structures] == energies
    again = label_structures(structures[::-1], XTB(), done.journal, progress=False)
    assert [label.energy for label in again] == energies[::-1]


def test_zero_states_nothing():
    same = [hydroxyl(), hydroxyl(charge=0), hydroxyl([0, 0]), hydroxyl(None, [0.0, -0.0], charge=0)]
    same += [hydroxyl(charge=0.0, step=7), hydroxyl(charge=np.int64(0))]
    assert len({content_hash([atoms]) for atoms in same}) == 1
    one = [hydroxyl(charge=1), hydroxyl(charge=1.0), hydroxyl(charge=np.int64(1))]
    assert len({content_hash([atoms]) for atoms in one}) == 1
    others = [hydroxyl(spin=1), hydroxyl(multiplicity=1), hydroxyl([1, 0]), hydroxyl([0, 1])]
    others += [
        hydroxyl(None, [1, 0]),
        hydroxyl(charge="1"),
        hydroxyl(spin=0),
        hydroxyl([[0, 0, 1]] * 2),
    ]
    tagged = hydroxyl()
    tagged.set_tags([0, 1])
    assert len({content_hash([atoms]) for atoms in (*same, *one, *others, tagged)}) == 11


@pytest.mark.parametrize(
    ("atoms", "words"),
    [
        (hydroxyl(charge=0.5), "its charge by charge is 0.5, not a whole number"),
        (hydroxyl(charge="+1"), "its charge by charge is '+1', not a whole number"),
        (hydroxyl(charge=True), "its charge by charge is True, not a whole number"),
        (hydroxyl(charge=float("nan")), "is nan, not a whole number"),
        (hydroxyl(charge=[1, 0]), "not a whole number"),
        (hydroxyl(charge=9), "a charge of 9 leaves 0 electrons"),
        (hydroxyl(charges=[0.4, 0.1]), "its charge by the sum of initial_charges is 0.5"),
        (hydroxyl(charges=[1, 0], charge=-1), "its charge is -1 by charge and 1 by the sum of"),
        (hydroxyl(spin=0), "its spin is 2S + 1, which cannot be 0"),
        (hydroxyl(spin=1), "9 electrons cannot have 0 unpaired, as its spin - 1 says"),
        (hydroxyl(multiplicity=12), "9 electrons cannot have 11 unpaired"),
        (hydroxyl(multiplicity=2, spin=4), "is 1 by multiplicity - 1 and 3 by spin - 1"),
        (hydroxyl([2, 1], multiplicity=2), "and 3 by the sum of initial_magmoms"),
        (hydroxyl([2, -1]), "point both ways"),
        (hydroxyl([[0, 0, 1], [0, 0, 0]]), "its initial_magmoms are 2 numbers, not (2, 3) of"),
        (hydroxyl(charge=[[1], [2, 3]]), "is [[1], [2, 3]], not a whole number"),
        (hydroxyl(charge={"a": 1}), "is {'a': 1}, not a whole number"),
        (hydroxyl(charge=np.eye(2)), "not a whole number"),
        (hydroxyl(multiplicity=float("inf")), "is inf, not a whole number"),
        (named("initial_charges"), "its initial_charges are 2 numbers, not (2,) of <U1"),
        (hydroxyl(total_charge=1), "its total_charge = 1 is not read"),
        (hydroxyl(unpaired_electrons=3), "its unpaired_electrons = 3 is not read"),
        (hydroxyl(uhf=3), "its uhf = 3 is not read"),
    ],
)
def test_what_is_no_state_is_refused(atoms, words):
    for method in (XTB(), PBE()):
        with pytest.raises(InputError) as caught:
            method.check(atoms, "a.xyz, structure 3")
        assert str(caught.value).startswith("a.xyz, structure 3: ")
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)
    assert content_hash([atoms]) != content_hash([hydroxyl()]) or "not read" in words


@pytest.mark.parametrize("key", ["total_charge", "Charge", "spin_multiplicity", "total_spin"])
def test_states_under_other_names_reach_no_calculator_silently(key):
    with pytest.raises(InputError, match=f"^a: its {key} = 2 is not read"):
        get_method("ase:lj").check(hydroxyl(**{key: 2}), "a")
    get_method("ase:lj").check(hydroxyl(**{key: 0}, charge=1, label_charge="no number"), "a")


def test_charged_cells_are_refused():
    pytest.importorskip("tblite")
    cell = Atoms("Na", cell=[4, 4, 4], pbc=True, info={"charge": 1})
    with pytest.raises(InputError, match="a: xtb treats charged molecules, no charged cells"):
        XTB().check(cell, "a")


CALCULATOR = """
from functools import cache
from ase.calculators.calculator import Calculator, all_changes

class Reading(Calculator):
    implemented_properties = ["energy", "forces"]

    def calculate(self, atoms, properties, changes=all_changes):
        super().calculate(atoms, properties, changes)
        energy = 10 * atoms.info.get("charge", 0) + 100 * atoms.info.get("spin", 0)
        energy += atoms.get_initial_charges()[0] + 1000 * atoms.get_initial_magnetic_moments()[0]
        energy += 10000 * atoms.get_tags()[0] + 1e6 * len(atoms.constraints)
        self.results = {"energy": energy, "forces": atoms.positions * atoms.info.get("field", 1.0)}

kept = cache(Reading)
"""


def test_states_that_a_calculator_may_not_heed_are_named(tmp_path, monkeypatch, capsys):
    structures = [Atoms("H"), Atoms("H", info={"charge": -1}), Atoms("H", magmoms=[1])]
    write_structures(tmp_path / "in.xyz", structures)
    for method, told in {"ase:emt": True, "xtb": False}.items():
        output = tmp_path / f"{told}.xyz"
        arguments = ["label", tmp_path / "in.xyz", "-o", output, "--method", method, "--workers=1"]
        monkeypatch.setattr(sys, "argv", ["atomplete", *map(str, arguments), "--quiet"])
        with pytest.raises(SystemExit) as stop:
            main()
        assert not stop.value.code
        assert ("2 structures state charge, spin or moments" in capsys.readouterr().err) is told
        card = yaml.safe_load((tmp_path / f"{told}.xyz.card.yaml").read_text())
        assert card["electrons"].startswith("2 structures state charge")


@pytest.mark.parametrize("name", ["Reading", "kept"])
def test_calculators_get_all_that_is_hashed_and_nothing_else(tmp_path, name):
    """Also one that is kept for all structures, and that ASE would not ask again."""
    (tmp_path / "own.py").write_text(CALCULATOR)
    tagged = hydroxyl(field=3.0, comment="no part of a structure")
    tagged.set_tags([2, 0])
    structures = [
        hydroxyl(),
        hydroxyl(charge=1),
        hydroxyl(charge=2),
        hydroxyl(spin=3),
        hydroxyl([2, 1]),
        hydroxyl(None, [0.25, 0]),
        tagged,
    ]
    method = get_method(f"{tmp_path / 'own.py'}:{name}")
    labels = label_structures(structures, method, tmp_path / "j", progress=False)
    assert [label.energy for label in labels] == [0, 10, 20, 300, 2000, 0.25, 20000]
    np.testing.assert_array_equal(labels[-1].forces, structures[0].positions)
    assert essentials(tagged).info == {}


def test_settings_know_the_files_that_they_name(tmp_path):
    (tmp_path / "own.py").write_text(CALCULATOR)
    model = tmp_path / "my.model"
    seen = []
    for content in ("one", "two", "one"):
        model.write_text(content)
        method = get_method(f"{tmp_path / 'own.py'}:Reading", label=str(model), nested={"a": [1]})
        seen.append(method.settings)
    assert seen[0] == seen[2] != seen[1]
    assert seen[0]["label"] == str(model)


def test_plain_structures_keep_the_hash_that_journals_know():
    """Written down once: labels of long campaigns are found by it."""
    assert content_hash([hydroxyl()]) == content_hash([hydroxyl(sign="+", pair_id=3)])
    h2 = Atoms("H2", positions=[[0.0, 0.0, 0.0], [0.0, 0.0, 0.74]])
    assert content_hash([h2]).startswith("e06758fe1e54")


def test_states_are_read_as_other_programs_write_them(tmp_path):
    structures = [hydroxyl([2, 1], charge=-2), hydroxyl(None, [0.5, 0.5])]
    with (tmp_path / "ase.xyz").open("w") as file:
        write_extxyz(file, structures)
    found = [Electrons.of(atoms, "s") for atoms in read_structures(tmp_path / "ase.xyz")]
    assert found == [Electrons(-2, 3), Electrons(1, None)]
