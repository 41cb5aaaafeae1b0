"""A run of i-PI, with its own driver of metatomic in another process."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from engine_runs import by_torch, structure

from atomplete.engines.metatomic import write_metatomic

pytest.importorskip("ipi")
pytest.importorskip("metatomic")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

INPUT = """
<simulation verbosity='low'>
  <output prefix='run'>
    <properties stride='1' filename='out'>
      [step, potential{{electronvolt}}, conserved{{electronvolt}}]
    </properties>
    <trajectory stride='1' filename='forces' format='xyz'> forces{{ev/ang}} </trajectory>
  </output>
  <total_steps>3</total_steps>
  <ffsocket name='driver' mode='unix' pbc='false'><address>{address}</address></ffsocket>
  <system>
    <initialize nbeads='1'>
      <file mode='xyz'>init.xyz</file>
      <velocities mode='thermal' units='kelvin'>100</velocities>
    </initialize>
    <forces><force forcefield='driver'/></forces>
    <motion mode='dynamics'>
      <dynamics mode='nve'><timestep units='femtosecond'>0.05</timestep></dynamics>
    </motion>
    <ensemble><temperature units='kelvin'>100</temperature></ensemble>
  </system>
</simulation>
"""


def test_a_run_conserves_energy_and_begins_with_that_of_torch(potential, tmp_path):
    atoms = structure("60 atoms")
    write_metatomic(tmp_path / "model.pt", potential)
    atoms.write(tmp_path / "start.xyz")
    cell = " ".join(f"{x:.14g}" for x in atoms.cell.cellpar())
    rows = [f"{a.symbol} {a.x:.15g} {a.y:.15g} {a.z:.15g}" for a in atoms]
    head = [str(len(atoms)), f"# CELL(abcABC): {cell} positions{{angstrom}} cell{{angstrom}}"]
    (tmp_path / "init.xyz").write_text("\n".join([*head, *rows, ""]))
    address = f"atomplete-{os.getpid()}"
    (tmp_path / "input.xml").write_text(INPUT.format(address=address))
    scripts = Path(sys.executable).parent
    template = "template=start.xyz,model=model.pt"
    driver = ["i-pi-py_driver", "-m", "metatomic", "-a", address, "-u", "-o", template]
    with subprocess.Popen([scripts / "i-pi", "input.xml"], cwd=tmp_path) as server:
        try:
            while not Path(f"/tmp/ipi_{address}").exists() and server.poll() is None:
                time.sleep(0.1)
            subprocess.run([scripts / driver[0], *driver[1:]], cwd=tmp_path, timeout=100)
            assert server.wait(60) == 0
        finally:
            server.kill()
    _, energies, conserved = np.loadtxt(tmp_path / "run.out").T
    first = (tmp_path / "run.forces_0.xyz").read_text().splitlines()[2 : 2 + len(atoms)]
    forces = np.array([line.split()[1:] for line in first], float)
    energy, expected, _ = by_torch(potential, atoms, None)
    # i-PI prints eight digits, and five of forces
    assert energies[0] == pytest.approx(energy, rel=1e-8)
    assert np.allclose(forces, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
    assert np.ptp(conserved) < 1e-2 * np.ptp(energies)
