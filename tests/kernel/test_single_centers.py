"""The header by itself: single centres beside many, with and without derivatives."""

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from environments import molecule
from linear_potentials import CUTOFF, linear_potential

from atomplete.kernel import library
from atomplete.kernel.file import write_tables

SOURCE = """
#include "atomplete.hpp"
#include <cstdio>
int main(int, char **names) {
  const atomplete::Potential potential(names[1]);
  std::ifstream input(names[2]);
  int n, species;
  input >> species >> n;
  std::vector<int> neighbors(n);
  std::vector<double> r(3 * n), one(3 * n, 7.0), many(3 * n, 7.0);
  for (int j = 0; j < n; ++j) input >> neighbors[j] >> r[3 * j] >> r[3 * j + 1] >> r[3 * j + 2];
  atomplete::Workspace workspace;
  const double energy =
      potential.center(species, n, r.data(), neighbors.data(), one.data(), workspace);
  atomplete::Environment list[4];
  for (auto &x : list) x = {species, n, r.data(), neighbors.data(), nullptr, 0.0};
  list[1].gradient = many.data();
  list[3].species = 1 - species;
  potential.centers(4, list, workspace);
  std::printf("%.17g %.17g %.17g %.17g %.17g\\n", energy, list[0].energy, list[1].energy,
              list[2].energy, list[3].energy);
  for (int i = 0; i < 3 * n; ++i) std::printf("%.17g %.17g\\n", one[i], many[i]);
}
"""


@pytest.fixture(scope="module")
def potential():
    structures = [molecule(seed, symbols="CO", radius=1.4) for seed in range(4)]
    return linear_potential((6, 8), structures)


@pytest.fixture(scope="module")
def run(compiler, potential, tmp_path_factory):
    folder = tmp_path_factory.mktemp("header")
    (folder / "main.cpp").write_text(SOURCE)
    include = f"-I{Path(library.__file__).parent}"
    subprocess.run(
        [*compiler, "-O1", include, folder / "main.cpp", "-o", folder / "main"], check=True
    )
    write_tables(folder / "model.tables", potential)

    def results(species, vectors):
        lines = [
            f"{species} {len(vectors)}",
            *(f"1 {x:.17g} {y:.17g} {z:.17g}" for x, y, z in vectors),
        ]
        (folder / "environment").write_text("\n".join(lines) + "\n")
        command = [folder / "main", folder / "model.tables", folder / "environment"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        energies, *slopes = done.stdout.splitlines()
        table = np.array([line.split() for line in slopes], float).reshape(len(vectors), 3, 2)
        return np.array(energies.split(), float), table

    return results


@pytest.mark.parametrize("n", [0, 1, 2, 9])
def test_centers_one_by_one_and_together(run, potential, n):
    rng = np.random.default_rng(n)
    vectors = rng.normal(size=(n, 3))
    vectors *= (rng.uniform(0.8, CUTOFF, n) / np.linalg.norm(vectors, axis=1))[:, None]
    vectors[n // 2 : n // 2 + (n > 3)] *= 4  # one beyond the cutoff
    energies, slopes = run(0, vectors)
    atoms = Atoms(f"CO{n}" if n else "C", [(0, 0, 0), *vectors])
    system = potential.system(atoms)
    of_first = potential(system, ("atom_energies",)).atom_energies[0].item()
    assert energies[:4] == pytest.approx([of_first] * 4, rel=1e-12)
    other = potential.system(Atoms(["O", *atoms.symbols[1:]], atoms.positions))
    of_oxygen = potential(other, ("atom_energies",)).atom_energies[0].item()
    assert energies[4] == pytest.approx(of_oxygen, rel=1e-12)
    # derivatives of the energy of the first atom alone
    r_ij = system.r_ij.requires_grad_()
    of_atoms = potential.atom_energies(replace(system, vectors=r_ij))
    (expected,) = torch.autograd.grad(of_atoms[0], r_ij) if n else (torch.zeros(0, 3),)
    of_pairs = np.zeros((n, 3))
    pairs = (system.i == 0).numpy()
    of_pairs[system.j.numpy()[pairs] - 1] = expected.numpy()[pairs]
    for found in np.moveaxis(slopes, -1, 0):
        np.testing.assert_allclose(found, of_pairs, rtol=0, atol=1e-11)
