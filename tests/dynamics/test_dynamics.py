"""Molecular dynamics: beside plain ASE, interrupted, and stopped where a potential ends."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.calculators.morse import MorsePotential
from ase.md.nose_hoover_chain import NoseHooverChainNVT
from ase.md.verlet import VelocityVerlet

from atomplete.data import read_structures
from atomplete.dynamics import record
from atomplete.dynamics.options import DynamicsOptions
from atomplete.dynamics.run import run_dynamics
from atomplete.dynamics.start import start
from atomplete.errors import InputError
from atomplete.training.options import TrainOptions
from atomplete.training.train import train

ENSEMBLES = (
    {"ensemble": "nve"},
    {"ensemble": "nvt"},
    {"ensemble": "nvt", "thermostat": "nose-hoover"},
    {"ensemble": "npt", "pressure": 1.0},
)


def copper(n=2, seed=1):
    atoms = bulk("Cu", cubic=True) * n
    atoms.rattle(0.05, seed=seed)
    return atoms


def options(**given):
    return DynamicsOptions(**{"time": 0.06, "timestep": 2.0, "every": 10, "log_every": 5} | given)


def run(atoms, folder, given, calculator=None, **more):
    return run_dynamics(atoms, calculator or EMT(), folder, given, progress=False, **more)


def test_nve_is_that_of_plain_ase(tmp_path):
    atoms = copper()
    log = run(atoms, tmp_path, options(temperature=500))
    plain = atoms.copy()
    plain.calc = EMT()
    start(plain, options(temperature=500), np.random.default_rng(0))
    dynamics = VelocityVerlet(plain, 2 * units.fs)
    for frame in read_structures(tmp_path / "trajectory.xyz"):
        assert np.array_equal(frame.positions, plain.positions)
        assert np.array_equal(frame.get_momenta(), plain.get_momenta())
        assert frame.get_potential_energy() == plain.get_potential_energy()
        assert np.array_equal(frame.get_forces(), plain.get_forces())
        assert np.allclose(frame.get_stress(), plain.get_stress(), atol=1e-12)
        dynamics.run(10)
    assert [line["step"] for line in log] == [0, 5, 10, 15, 20, 25, 30]
    assert max(abs(line["drift"]) for line in log) < 1e-4


def test_velocities_of_the_file_are_gone_on_with(tmp_path):
    atoms = copper()
    run(atoms, tmp_path / "whole", options(temperature=500))
    frames = read_structures(tmp_path / "whole" / "trajectory.xyz")
    run(frames[1], tmp_path / "rest", options(temperature=500, time=0.04))
    rest = read_structures(tmp_path / "rest" / "trajectory.xyz")
    assert np.allclose(rest[-1].positions, frames[-1].positions, atol=1e-12)


@pytest.mark.parametrize("given", ENSEMBLES, ids=lambda given: "-".join(map(str, given.values())))
def test_an_interrupted_run_ends_like_another(given, tmp_path, monkeypatch):
    run(copper(), tmp_path / "whole", options(**given))
    expected = {
        name: (tmp_path / "whole" / name).read_bytes() for name in (record.TRAJECTORY, record.LOG)
    }

    class Interrupting(EMT):
        calls = 0

        def calculate(self, *arguments):
            self.calls += 1
            if self.calls == self.last:
                raise KeyboardInterrupt
            super().calculate(*arguments)

    for last in (2, 17, 12):
        calculator = Interrupting()
        calculator.last = last
        with pytest.raises(KeyboardInterrupt):
            run(copper(), tmp_path / "cut", options(**given), calculator)
        for frame in read_structures(tmp_path / "cut" / record.TRAJECTORY):
            assert frame.info["step"] % 10 == 0
    run(copper(), tmp_path / "cut", options(**given))
    for name, content in expected.items():
        assert (tmp_path / "cut" / name).read_bytes() == content, name


def memoryless():
    """A calculator that finds neighbours anew in each step: EMT rounds as its older lists were."""
    return MorsePotential(epsilon=0.34, r0=2.6, rho0=4.0, rcut1=1.2, rcut2=1.7)


KILLED = """
import sys
from pathlib import Path
from atomplete.dynamics import record
from atomplete.dynamics.options import DynamicsOptions
from atomplete.dynamics.run import run_dynamics
from test_dynamics import copper, memoryless
record.INTERVAL = 0.1
given = DynamicsOptions.model_validate_json(sys.argv[2])
run_dynamics(copper(), memoryless(), Path(sys.argv[1]), given, progress=False)
"""


@pytest.mark.slow
def test_a_killed_process_loses_nothing(tmp_path):
    given = options(ensemble="nvt", time=1.0)
    command = [sys.executable, "-c", KILLED, str(tmp_path / "cut"), given.model_dump_json()]
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    process = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": path})
    state, log = (tmp_path / "cut" / name for name in (record.STATE, record.LOG))
    while process.poll() is None and not state.exists():
        time.sleep(0.01)
    first = log.stat().st_size
    while process.poll() is None and log.stat().st_size < first + 500:
        time.sleep(0.001)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    killed = len(log.read_bytes().splitlines())
    assert killed < given.steps / given.log_every
    run(copper(), tmp_path / "whole", given, memoryless())
    run(copper(), tmp_path / "cut", given, memoryless())
    for name in (record.TRAJECTORY, record.LOG):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_constant_pressure_takes_one_evaluation_a_step(tmp_path):
    class Separate(EMT):
        """Without the stress unless it is asked for, as potentials here do."""

        calls = 0

        def calculate(self, atoms=None, properties=("energy",), system_changes=()):
            self.calls += 1
            super().calculate(atoms, properties, system_changes)
            if "stress" not in properties:
                del self.results["stress"]

    calculator = Separate()
    run(copper(), tmp_path, options(ensemble="npt"), calculator)
    # beside the steps, forces of the start, then with the stress for the log and for the first step
    assert calculator.calls == 30 + 3


def test_what_was_written_after_the_state_is_written_again(tmp_path):
    """A killed process leaves more in its files than the state knows of."""
    run(copper(), tmp_path / "whole", options())
    run(copper(), tmp_path / "cut", options(time=0.03))
    for name in (record.TRAJECTORY, record.LOG):
        with (tmp_path / "cut" / name).open("ab") as file:
            file.write(b"32\nhalf a fra")
    run(copper(), tmp_path / "cut", options())
    for name in (record.TRAJECTORY, record.LOG):
        whole, cut = (tmp_path / place / name for place in ("whole", "cut"))
        assert whole.read_bytes() == cut.read_bytes()


def test_another_run_in_the_same_folder_is_refused(tmp_path):
    run(copper(), tmp_path, options(time=0.01))
    before = (tmp_path / record.LOG).read_bytes()
    with pytest.raises(InputError, match=r"another temperature \(300.0, not 400.0\); write into"):
        run(copper(), tmp_path, options(temperature=400))
    with pytest.raises(InputError, match="another structure"):
        run(copper(seed=2), tmp_path, options())
    with pytest.raises(InputError, match="another model"):
        run(copper(), tmp_path, options(), model="b")
    assert (tmp_path / record.LOG).read_bytes() == before
    (tmp_path / record.LOG).write_bytes(b"")
    with pytest.raises(InputError, match=r"log.jsonl: cut since state.pt was written"):
        run(copper(), tmp_path, options())


class Springs(Calculator):
    """Each atom on a spring to the origin: kinetic energies are known exactly."""

    implemented_properties = ("energy", "forces")

    def calculate(self, atoms=None, properties=None, system_changes=None):
        super().calculate(atoms, properties, system_changes)
        x = self.atoms.positions
        self.results = {"energy": 2.5 * (x**2).sum(), "forces": -5.0 * x}


@pytest.mark.parametrize("seed", [0, 1])
def test_langevin_reaches_the_temperature(seed, tmp_path):
    rng = np.random.default_rng(seed)
    atoms = Atoms("Cu60", rng.normal(scale=0.07, size=(60, 3)))
    given = options(ensemble="nvt", time=6.0, timestep=3.0, damping=50, seed=seed, every=5000)
    log = run(atoms, tmp_path, given, Springs())
    kelvin = np.array([line["temperature"] for line in log[40:]])
    # 180 momenta, sampled anew about every damping time: 3.3 of the lines
    error = 300 * np.sqrt(2 / 180 / (len(kelvin) / 3.3 / 2))
    assert abs(kelvin.mean() - 300) < 4 * error
    assert np.std(kelvin) == pytest.approx(300 * np.sqrt(2 / 180), rel=0.3)
    assert all(line["drift"] is None for line in log)


@pytest.mark.slow
@pytest.mark.parametrize("given", ENSEMBLES[2:], ids=["nvt", "npt"])
def test_chains_reach_temperature_and_pressure(given, tmp_path):
    """The centre of mass rests: a temperature over 3 N degrees of freedom would be 3 % too hot."""
    argon = bulk("Ar", "fcc", 5.4, cubic=True) * 2
    lj = LennardJones(sigma=3.4, epsilon=0.01032, rc=5.0, smooth=True)
    given = options(**given, temperature=40, time=16.0, timestep=8.0, damping=200, every=5000)
    given = given.model_copy(update={"pressure": 0.1})
    log = run(argon, tmp_path, given, lj)[100:]
    kelvin = np.array([line["temperature"] for line in log])
    assert kelvin.mean() == pytest.approx(40, rel=0.02)
    assert max(abs(line["drift"]) for line in log) < 1e-4
    if given.ensemble == "npt":
        pressure = np.array([line["pressure"] for line in log])
        assert pressure.mean() == pytest.approx(0.1, abs=0.02)
        assert np.std([line["volume"] for line in log]) > 1


def test_a_chain_is_that_of_ase_but_for_the_degrees_of_freedom(tmp_path):
    """At a temperature lower by (N - 1) / N, plain ASE has the same first step of the chain."""
    given = options(ensemble="nvt", thermostat="nose-hoover", time=0.02, every=10)
    run(copper(1), tmp_path, given)
    frame = read_structures(tmp_path / "trajectory.xyz")[-1]
    plain = copper(1)
    plain.calc = EMT()
    assert start(plain, given, np.random.default_rng(0)) == 9
    dynamics = NoseHooverChainNVT(plain, 2 * units.fs, 300 * 3 / 4, 100 * units.fs)
    dynamics._thermostat._kT, dynamics._thermostat._Q[1:] = (
        300 * units.kB,
        units.kB * 300 * (100 * units.fs) ** 2,
    )
    dynamics._thermostat._num_atoms_global = 3
    dynamics.run(10)
    assert np.allclose(frame.positions, plain.positions, atol=1e-12)


def test_nothing_moves_or_turns_as_a_whole(tmp_path):
    water = molecule("H2O")
    given = options(temperature=400)
    assert start(water, given, np.random.default_rng(3)) == 3
    assert np.abs(water.get_momenta().sum(0)).max() < 1e-12
    assert np.abs(water.get_angular_momentum()).max() < 1e-12
    assert start(molecule("N2"), given, np.random.default_rng(3)) == 1
    assert start(copper(1), given, np.random.default_rng(3)) == 9
    langevin = options(ensemble="nvt")
    assert start(molecule("N2"), langevin, np.random.default_rng(3)) == 6
    with pytest.raises(InputError, match="no atom can move against another"):
        start(Atoms("Cu", cell=[2, 2, 2], pbc=True), given, np.random.default_rng(3))


# stops


class Graded(EMT):
    """Has a grade that grows with the displacement of atom 0."""

    implemented_properties = (*EMT.implemented_properties, "extrapolation")

    def calculate(self, *arguments):
        super().calculate(*arguments)
        grades = np.zeros(len(self.atoms))
        grades[0] = 10 * np.linalg.norm(self.atoms.positions[0] - self.start)
        self.results["extrapolation"] = grades


class Failing(EMT):
    """Gives no number after some calls."""

    calls = 0

    def calculate(self, *arguments):
        super().calculate(*arguments)
        self.calls += 1
        if self.calls > 20:
            self.results[self.name_of_result] = self.results[self.name_of_result] * np.nan


def test_a_grade_stops_the_run_and_a_larger_limit_goes_on(tmp_path):
    atoms = copper()
    calculator = Graded()
    calculator.start = atoms.positions[0].copy()
    with pytest.raises(InputError, match="the extrapolation grade of atom 0 is") as stop:
        run(atoms, tmp_path, options(stop_extrapolation=0.5, temperature=900), calculator)
    frame = read_structures(tmp_path / "stopped.xyz")[0]
    assert f"stopped at step {frame.info['step']}, " in str(stop.value)
    moved = np.linalg.norm(frame.positions[0] - calculator.start)
    assert 0.05 < moved < 0.2
    log = run(atoms, tmp_path, options(temperature=900), calculator)
    assert log[-1]["step"] == 30
    assert max(line["extrapolation"] for line in log) > 0.5


@pytest.mark.parametrize(
    ("name", "says"),
    [("energy", "the energy is nan"), ("forces", "the force on atom 0 is not finite")],
)
def test_what_is_no_number_stops_the_run(name, says, tmp_path):
    calculator = Failing()
    calculator.name_of_result = name
    with pytest.raises(InputError, match=says):
        run(copper(), tmp_path, options(), calculator)
    frame = read_structures(tmp_path / "stopped.xyz")[0]
    assert np.isfinite(frame.positions).all()
    assert name not in frame.calc.results
    assert read_structures(tmp_path / "trajectory.xyz")


def test_an_explosion_stops_the_run(tmp_path):
    close = Atoms("Ar2", [(0, 0, 0), (0, 0, 0.5)])
    with pytest.raises(InputError, match=r"the temperature is \S+ K: the atoms fly apart"):
        run(close, tmp_path, options(), LennardJones(sigma=1, epsilon=0.01, rc=8))
    assert len(read_structures(tmp_path / "stopped.xyz")) == 1


def test_atoms_nearer_than_data_stop_the_run(tmp_path):
    oxygen = Atoms("O2", [(0, 0, 0), (0, 0, 1.5)], momenta=[(0, 0, 9.0), (0, 0, -9.0)])
    soft = MorsePotential(epsilon=0.1, r0=1.4, rho0=2)
    with pytest.raises(
        InputError, match=r"atoms 0 \(O\) and 1 \(O\) are \S+ Å apart, nearer than 1.1 Å"
    ):
        run(oxygen, tmp_path, options(timestep=1.0, temperature=5000), soft, shortest={(8, 8): 1.1})
    frame = read_structures(tmp_path / "stopped.xyz")[0]
    assert frame.get_distance(0, 1) < 1.1


def test_constant_pressure_needs_a_cell(tmp_path):
    with pytest.raises(InputError, match="periodic in three directions"):
        run(molecule("H2O"), tmp_path, options(ensemble="npt"))
    assert not list(tmp_path.iterdir())


# the verb


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A potential of dimers of boron on a spring, 1.4 to 1.9 Å long."""
    dimers = []
    for r in np.linspace(1.4, 1.9, 11):
        dimer = Atoms("B2", [(0, 0, 0), (0, 0, r)], info={"energy": 5 * (r - 1.6) ** 2})
        dimer.arrays["forces"] = np.outer([1, -1], [0, 0, 10 * (r - 1.6)])
        dimers.append(dimer)
    folder = tmp_path_factory.mktemp("fit")
    spec = {"type": "density_correlations", "nu": [1], "expansion": {"max_radial": 6}}
    given = TrainOptions(descriptor=spec, cutoff=3.0)
    train(dimers, folder, given, progress=False, say=lambda _: None)
    return folder / "model.pt"


@pytest.fixture
def model(fitted, tmp_path):
    return shutil.copy(fitted, tmp_path)


def test_the_verb(atomplete, model, tmp_path):
    Atoms("B2", [(0, 0, 0), (0, 0, 1.7)]).write(tmp_path / "in.xyz")
    line = ["md", "in.xyz", "--model", "model.pt", "-o", "run", "--every", "10", "--time", "0.02"]
    outcome = atomplete(*line)
    assert outcome.code == 0, outcome.err
    assert "step 40, 0.02 ps: mean temperature" in outcome.out
    assert "largest extrapolation grade" in outcome.out
    assert len(read_structures(tmp_path / "run" / "trajectory.xyz")) == 5
    assert json.loads((tmp_path / "run" / "run.json").read_text())["ensemble"] == "nve"
    longer = atomplete(*line, "--time", "0.04")
    assert (
        abs(json.loads((tmp_path / "run" / "log.jsonl").read_text().split("\n")[-2])["drift"])
        < 1e-3
    )
    assert "step 80, 0.04 ps" in longer.out


def test_the_verb_stops_where_the_data_end(atomplete, model, tmp_path):
    Atoms("B2", [(0, 0, 0), (0, 0, 1.3)]).write(tmp_path / "in.xyz")
    line = ["md", "in.xyz", "--model", "model.pt", "-o", "run", "--quiet"]
    for given in (line, line):
        outcome = atomplete(*given, "--temperature", "3000", "--stop-extrapolation", "1.2")
        assert outcome.code == 2
        assert outcome.err.startswith("atomplete: run: stopped at step ")
        assert outcome.err.count("\n") == 1
        assert len(read_structures(tmp_path / "run" / "stopped.xyz")) == 1


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["--index", "7"], "in.xyz: there is no structure 7; it has 2"),
        (["--index", "1"], "in.xyz, structure 1: a center of atomic number 79"),
        (["--index", "0", "--ensemble", "npt"], "in.xyz, structure 0: npt needs a cell"),
        (["--timestep", "-1"], "timestep"),
        (["--model", "in.xyz"], "in.xyz: not a checkpoint"),
    ],
)
def test_the_verb_refuses_in_one_sentence(given, says, atomplete, model, tmp_path):
    Atoms("B2", [(0, 0, 0), (0, 0, 1.7)]).write(tmp_path / "in.xyz")
    Atoms("Au2", [(0, 0, 0), (0, 0, 1.7)]).write(tmp_path / "in.xyz", append=True)
    outcome = atomplete("md", "in.xyz", "--model", "model.pt", "-o", "run", *given)
    assert outcome.code == 2
    assert says in outcome.err
    assert outcome.err.count("\n") == 1
    assert not (tmp_path / "run").exists()
