import sys
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.stress import voigt_6_to_full_3x3_stress

from atomplete.errors import InputError, MissingExtraError
from atomplete.labels import XTB, get_method
from atomplete.labels.methods.threads import one_openmp_thread

pytest.importorskip("tblite")


def finite_difference(atoms, direction, h=1e-3):
    """Minus the derivative of the energy along a displacement of all atoms, from five points."""
    weights = {-2: 1, -1: -8, 1: 8, 2: -1}
    derivative = 0.0
    for step, weight in weights.items():
        moved = atoms.copy()
        moved.positions += step * h * direction
        derivative += weight * XTB().compute(moved).energy / (12 * h)
    return -derivative


def periodic():
    atoms = bulk("LiF", "rocksalt", a=4.1)
    atoms.positions[1] += [0.1, -0.2, 0.15]
    # tblite's lattice sums jump by about 1e-8 eV where an atom crosses a face of the cell
    atoms.positions += [0.7, 0.8, 0.9]
    return atoms


@pytest.mark.parametrize("atoms", [None, molecule("OH"), periodic()], ids=["B8", "OH", "LiF"])
def test_forces_are_minus_the_derivative_of_the_energy(atoms, pair_zero):
    atoms = pair_zero[0] if atoms is None else atoms
    forces = XTB().compute(atoms).forces
    assert np.abs(forces).max() > 0.1
    # a direction without symmetry has a part of every component
    direction = np.random.default_rng(0).uniform(0.5, 1.0, forces.shape)
    direction *= np.sign(np.random.default_rng(1).normal(size=forces.shape))
    expected = finite_difference(atoms, direction)
    np.testing.assert_allclose(np.sum(forces * direction), expected, atol=1e-5, rtol=0)


def test_stress_is_the_derivative_of_the_energy_by_the_strain():
    atoms = periodic()
    stress = XTB().compute(atoms).stress
    assert np.abs(stress).max() > 1e-3
    # a strain of all components
    strain = np.array([[0.9, 0.5, -0.4], [0.5, -0.7, 0.6], [-0.4, 0.6, 0.8]]) / 2
    energies = []
    for h in (-1e-3, 1e-3):
        moved = atoms.copy()
        moved.set_cell(atoms.cell @ (np.eye(3) + h * strain), scale_atoms=True)
        energies.append(XTB().compute(moved).energy)
    derivative = (energies[1] - energies[0]) / 2e-3 / atoms.get_volume()
    expected = np.sum(voigt_6_to_full_3x3_stress(stress) * strain)
    np.testing.assert_allclose(expected, derivative, atol=1e-5, rtol=0)
    assert XTB().compute(molecule("OH")).stress is None


def test_the_ladder_ends_where_the_plain_way_does(pair_zero, monkeypatch):
    plain = XTB().compute(pair_zero[0])
    mixings = []
    calculator = XTB._calculator

    def impatient(self, atoms, mixing):
        mixings.append(mixing)
        made = calculator(self, atoms, mixing)
        if len(mixings) == 1:
            made.set("max-iter", 2)
        return made

    monkeypatch.setattr(XTB, "_calculator", impatient)
    damped = XTB().compute(pair_zero[0])
    assert (plain.rung, damped.rung, mixings) == ("plain", "damping", [0.4, 0.1])
    assert plain.settings == damped.settings
    np.testing.assert_allclose(damped.energy, plain.energy, atol=1e-7, rtol=0)
    np.testing.assert_allclose(damped.forces, plain.forces, atol=1e-5, rtol=0)


def test_b8_energies(pair_zero):
    plus, minus = (XTB().compute(atoms).energy for atoms in pair_zero)
    np.testing.assert_allclose([plus, minus], [-245.2556069, -245.2149309], atol=1e-6)


def test_the_energy_falls_with_the_temperature_by_the_entropy(pair_zero):
    # dF/d(kT) = -S/k, which is 3.70 here from the orbital occupations
    low, high = (
        XTB(electronic_kt_hartree=kt).compute(pair_zero[0]).energy for kt in (0.0099, 0.0101)
    )
    np.testing.assert_allclose((high - low) / 2e-4 / 27.2114, -3.7026, atol=1e-3)


def test_the_energy_does_not_depend_on_history_or_threads(pair_zero, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    first = XTB().compute(pair_zero[0])
    XTB().compute(pair_zero[1])
    second = XTB().compute(pair_zero[0])
    assert first.energy == second.energy
    np.testing.assert_array_equal(first.forces, second.forces)


def test_the_number_of_threads_is_set_back():
    import ctypes

    from tblite import _libtblite

    openmp = ctypes.CDLL(_libtblite.__file__)
    before = openmp.omp_get_max_threads()
    openmp.omp_set_num_threads(3)
    with one_openmp_thread(_libtblite.__file__):
        assert openmp.omp_get_max_threads() == 1
    assert openmp.omp_get_max_threads() == 3
    openmp.omp_set_num_threads(before)


def test_nothing_is_printed(pair_zero, capfd):
    XTB().compute(pair_zero[0])
    XTB(max_iterations=2).compute(pair_zero[0])
    assert capfd.readouterr() == ("", "")


def test_failures_are_labels_with_a_reason(pair_zero):
    label = XTB(max_iterations=2).compute(pair_zero[0])
    assert not label.converged
    assert np.isnan(label.energy)
    assert label.forces is None
    assert label.reason == "SCF not converged in 2 cycles; tried plain, damping"
    too_close = XTB().compute(Atoms("B2", positions=np.zeros((2, 3))))
    assert too_close.reason == "Too close interatomic distances found"


@pytest.mark.parametrize("symbol", ["Fr", "Og", "X"])
def test_elements_without_parameters(symbol):
    with pytest.raises(InputError, match=f"s 3: xtb has no parameters for {symbol}"):
        XTB().check(Atoms(["H", symbol]), "s 3")
    with pytest.raises(InputError, match="no parameters"):
        XTB().compute(Atoms(symbol))


def test_periodicity_in_part_is_refused():
    with pytest.raises(InputError, match=r"not pbc \[True, True, False\]"):
        XTB().compute(Atoms("H", cell=[3, 3, 3], pbc=[True, True, False]))


def test_a_missing_package_names_the_extra(monkeypatch):
    for module in [name for name in sys.modules if name.split(".")[0] == "tblite"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "tblite", None)
    with pytest.raises(MissingExtraError, match=r"tblite is not installed: .*atomplete\[dft\]"):
        XTB().check(Atoms("H"), "x")


def test_unknown_methods_and_options():
    assert get_method("xtb", accuracy=0.1) == replace(XTB(), accuracy=0.1)
    with pytest.raises(InputError, match="no label method 'lda'; choose from xtb, pbe, ase:NAME"):
        get_method("lda")
    with pytest.raises(InputError, match="xtb has no option 'acuracy'; choose from electronic"):
        get_method("xtb", acuracy=0.1)
    for value in (0, -1.0, float("nan"), "tight"):
        with pytest.raises(InputError, match="xtb option accuracy must be a positive number, not"):
            get_method("xtb", accuracy=value)
