"""The calculator of ASE by the kernel: where there is one, and the same numbers as by torch."""

import subprocess
from copy import deepcopy

import numpy as np
import pytest
import torch
from ase import Atoms
from environments import crystal, molecule
from linear_potentials import linear_potential
from small_models import DESCRIPTORS, energy_model

from atomplete.errors import InputError


@pytest.fixture(scope="module")
def potential():
    return linear_potential()


@pytest.mark.usefixtures("built")
def test_results_are_those_of_torch(potential):
    by_kernel, by_torch = potential.calculator(), potential.calculator(kernel=False)
    assert by_kernel.kernel is not None
    assert by_torch.kernel is None
    for atoms in (molecule(0), crystal()):
        names = ("energy", "energies", "forces") + (("stress",) if atoms.cell.volume else ())
        for name in names:
            one, two = (calc.get_property(name, atoms) for calc in (by_kernel, by_torch))
            np.testing.assert_allclose(one, two, rtol=1e-10, atol=1e-11)
    assert by_kernel.get_property("free_energy", atoms) == by_kernel.get_property("energy", atoms)


@pytest.mark.usefixtures("built")
def test_what_torch_refuses_the_kernel_refuses(potential):
    for kernel in (True, False):
        atoms = Atoms(
            "CN", [(0, 0, 0), (0, 0, 1.1)], calculator=potential.calculator(kernel=kernel)
        )
        with pytest.raises(InputError, match="atomic number 7"):
            atoms.get_potential_energy()


@pytest.mark.usefixtures("built")
def test_other_potentials_and_types_go_by_torch():
    other = energy_model(DESCRIPTORS["density_correlations"])
    assert other.calculator().kernel is None
    with pytest.raises(InputError, match="linear in random Fourier features"):
        other.calculator(kernel=True)
    assert linear_potential().calculator(torch.float16).kernel is None
    with pytest.raises(InputError, match="float16: the kernel computes in float64 or float32"):
        linear_potential().calculator(torch.float16, kernel=True)


@pytest.mark.usefixtures("built")
def test_single_precision(potential):
    atoms = crystal()
    double, single = (potential.calculator(dtype) for dtype in (torch.float64, torch.float32))
    for name in ("energy", "energies", "forces", "stress"):
        one, two = (calc.get_property(name, atoms) for calc in (single, double))
        assert np.abs(one - two).max() < 1e-6 * np.abs(two).max()
        assert np.abs(one - two).max() > 0


@pytest.mark.usefixtures("built")
def test_predictions_by_the_kernel_are_those_of_torch(potential):
    structures = [molecule(seed) for seed in range(3)]
    asked = ("forces", "atom_energies", "atom_virials")
    torches, kernels = (
        potential.predict(structures, asked, kernel=kernel) for kernel in (False, True)
    )
    for name in ("energy", *asked):
        one, two = getattr(torches, name), getattr(kernels, name)
        torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-9 * float(one.abs().max()))


@pytest.mark.usefixtures("built")
def test_copies_of_a_calculator_share_the_kernel(potential):
    calculator = potential.calculator()
    atoms = molecule(0)
    expected = calculator.get_property("forces", atoms).copy()
    copy = deepcopy(calculator)
    del calculator
    assert np.array_equal(copy.get_property("forces", atoms), expected)


@pytest.mark.usefixtures("not_built")
def test_without_a_compiler_all_goes_by_torch(potential):
    atoms = molecule(0)
    atoms.calc = potential.calculator()
    assert atoms.calc.kernel is None
    assert np.isfinite(atoms.get_forces()).all()
    with pytest.raises(InputError, match="the kernel was not built"):
        potential.calculator(kernel=True)


@pytest.mark.parametrize("number", ["", "int atomplete_interface() { return 0; }"])
def test_a_library_of_other_sources_is_not_called(number, potential, not_built, compiler, tmp_path):
    (tmp_path / "none").mkdir()
    (tmp_path / "old.cpp").write_text(f'extern "C" {{ int atomplete_read; {number} }}')
    output = tmp_path / "none" / "library.so"
    subprocess.run([*compiler, "-shared", "-fPIC", tmp_path / "old.cpp", "-o", output], check=True)
    assert potential.calculator().kernel is None


@pytest.mark.usefixtures("built")
def test_uncertainties_go_by_torch(potential, monkeypatch):
    asked = []

    def predict(structures, properties, **_):
        asked.extend(properties)
        return type("Sure", (), {"extrapolation": torch.full((7,), 0.5)})

    calculator = potential.calculator()
    calculator.implemented_properties.append("extrapolation")
    monkeypatch.setattr(potential, "predict", predict)
    found = calculator.get_property("extrapolation", molecule(0))
    assert found.tolist() == [0.5] * 7
    assert asked == ["extrapolation"]
    assert calculator.results["forces"].shape == (7, 3)
