"""Ten lines register a potential; all that works for ours then works for it."""

from typing import Literal

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.calculators.lj import LennardJones

from atomplete.checkpoint import save
from atomplete.errors import InputError
from atomplete.potentials.base import Potential
from atomplete.registry import Spec
from atomplete.testing import POTENTIAL_CHECKS


class ToySpec(Spec):
    type: Literal["toy_pairs"] = "toy_pairs"
    depth: float = 0.1
    diameter: float = 2.0


class Toy(Potential, spec=ToySpec):
    cutoff, species = 4.0, (5, 6, 10, 18, 29)

    def __init__(self, spec):
        super().__init__()
        self.spec = spec
        self.depth = torch.nn.Parameter(torch.tensor(spec.depth, dtype=torch.float64))

    def atom_energies(self, system):
        r = torch.linalg.vector_norm(system.r_ij, dim=1)
        x, cut = (self.spec.diameter / r) ** 6, (1 - r / self.cutoff) ** 3
        zero = r.new_zeros(len(system.positions))
        return zero.index_add(0, system.centers[system.i], 2 * self.depth.to(r) * (x**2 - x) * cut)


@pytest.fixture(scope="module")
def toy():
    return Toy(ToySpec())


def molecule():
    positions = [(0, 0, 0), (2.3, 0.1, 0), (0.2, 2.4, 0.3), (1.0, 1.1, 2.2), (-1.9, 0.9, 1.3)]
    return Atoms("ArNeAr2Ne", positions)


def crystal():
    atoms = bulk("Ar", a=3.6, cubic=True) * (2, 1, 1)
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + 0.03 * np.eye(3, k=1)), scale_atoms=True)
    atoms.rattle(0.1, seed=0)
    return atoms


@pytest.mark.parametrize("name", POTENTIAL_CHECKS)
def test_the_battery(name, toy):
    POTENTIAL_CHECKS[name](toy, [molecule(), crystal()])


def test_the_battery_finds_faults(toy, monkeypatch):
    """A jump at the cutoff, energies that depend on company, forces of a wrong sign."""

    class Hard(Toy):
        def atom_energies(self, system):
            r = torch.linalg.vector_norm(system.r_ij, dim=1)
            zero = r.new_zeros(len(system.positions))
            return zero.index_add(0, system.centers[system.i], 1 / r)

    class Social(Toy):
        def energies(self, system):
            energies = super().energies(system)
            return energies + 1e-6 * energies.sum()

    def fails(name, potential):
        with pytest.raises(AssertionError):
            POTENTIAL_CHECKS[name](potential, [molecule(), crystal()])

    fails("smooth_at_the_cutoff", Hard(ToySpec()))
    fails("company", Social(ToySpec()))
    fails("no_leaks", Social(ToySpec()))


def test_energies_forces_and_stress_are_those_of_ase():
    """Lennard-Jones without its shift, whose cutoff ASE leaves sharp: none but near pairs."""
    atoms = Atoms("Ar3", [(0, 0, 0), (2.2, 0, 0), (0, 2.4, 0)], cell=[12, 12, 12], pbc=True)

    class Plain(Toy):
        def atom_energies(self, system):
            r = torch.linalg.vector_norm(system.r_ij, dim=1)
            x = (self.spec.diameter / r) ** 6
            zero = r.new_zeros(len(system.positions))
            return zero.index_add(0, system.centers[system.i], 2 * self.depth * (x**2 - x))

    ours, theirs = atoms.copy(), atoms.copy()
    ours.calc = Plain(ToySpec()).calculator()
    theirs.calc = LennardJones(sigma=2.0, epsilon=0.1, rc=4.0)
    shift = 4 * 0.1 * ((2 / 4) ** 12 - (2 / 4) ** 6)  # per pair, which ASE takes off
    assert ours.get_potential_energy() - 3 * shift == pytest.approx(
        theirs.get_potential_energy(), abs=1e-12
    )
    np.testing.assert_allclose(ours.get_forces(), theirs.get_forces(), atol=1e-12)
    np.testing.assert_allclose(ours.get_stress(), theirs.get_stress(), atol=1e-12)


def test_the_calculator(toy):
    atoms = crystal()
    atoms.calc = toy.calculator()
    found = toy.predict(atoms, ("energy", "forces", "stress", "atom_energies"))
    assert atoms.get_potential_energy() == atoms.get_potential_energy(force_consistent=True)
    np.testing.assert_array_equal(atoms.get_potential_energies(), found.atom_energies)
    np.testing.assert_array_equal(atoms.get_stress(), found.stress[0])
    np.testing.assert_array_equal(atoms.get_forces(), found.forces)
    before = atoms.get_potential_energy()
    atoms.positions[0] += 0.1
    assert atoms.get_potential_energy() != before
    atoms.numbers[0] = 7
    with pytest.raises(InputError, match=r"of atomic number 7, but .* knows 5, 6, 10, 18, 29"):
        atoms.get_potential_energy()


def test_virials_come_with_all_else(toy):
    """By vectors of pairs, and by positions and strain: the same numbers."""
    structures = [molecule(), crystal()]
    names = ("energy", "forces", "stress", "atom_energies")
    by_positions = toy.predict(structures, names)
    by_vectors = toy.predict(structures, (*names, "atom_virials"))
    for name in names:
        torch.testing.assert_close(
            getattr(by_vectors, name), getattr(by_positions, name), equal_nan=True
        )


def test_an_unknown_property_is_named(toy):
    with pytest.raises(InputError, match="'colour' is none of energy, forces"):
        toy.predict(molecule(), ("colour",))


def test_parts_of_bounded_memory_add_up(toy):
    structures = [molecule(), crystal(), molecule()]
    names = ("forces", "stress", "atom_energies", "atom_virials")
    whole = toy.predict(structures, names)
    assert len(toy.parts(toy.system(structures), ("forces",), memory=10_000)) > 2
    parts = toy.predict(structures, names, memory=10_000)
    for name in names:
        torch.testing.assert_close(getattr(parts, name), getattr(whole, name), equal_nan=True)


def test_evaluate_and_audit(toy, tmp_path, atomplete):
    from atomplete.data import write_structures

    save(tmp_path / "model.pt", toy)
    write_structures(tmp_path / "in.xyz", [crystal()])
    done = atomplete("evaluate", "model.pt", "in.xyz", "-o", "out.xyz")
    assert done.code == 0, done.err
    done = atomplete("audit", "model.pt", "--families", "crystal_1d")
    assert done.code == 0, done.err


def test_train(toy, tmp_path, atomplete):
    """Labels of a deeper well than the start's: training by the verb finds its depth."""
    from atomplete.checkpoint import load
    from atomplete.data import write_structures

    rng = np.random.default_rng(0)
    structures = []
    for _ in range(16):
        atoms = molecule()
        atoms.positions += 0.1 * rng.normal(size=atoms.positions.shape)
        atoms.calc = Toy(ToySpec(depth=0.15)).calculator()
        atoms.get_forces()
        structures.append(atoms)
    write_structures(tmp_path / "train.xyz", structures)
    (tmp_path / "toy.yaml").write_text(
        "potential: {type: toy_pairs, depth: 0.1}\n"
        "solver: {type: adam, epochs: 60, batch_structures: 4, learning_rate: 5e-3}\n"
    )
    done = atomplete("train", "train.xyz", "-o", "fit", "--config", "toy.yaml", "--quiet")
    assert done.code == 0, done.err
    fitted = load(tmp_path / "fit" / "model.pt", Potential)
    assert fitted.depth.item() == pytest.approx(0.15, abs=2e-3)
