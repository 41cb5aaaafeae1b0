import sys
import tempfile

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

import atomplete.labels.methods.pbe
import atomplete.labels.methods.two_grids
from atomplete.errors import InputError, MissingExtraError
from atomplete.labels import PBE, get_method
from atomplete.units import HARTREE, HARTREE_PER_BOHR

pytest.importorskip("pyscf")


def test_recipes_and_their_defaults():
    assert PBE().settings["forces"] is True
    assert PBE("paper").settings["forces"] is False
    assert PBE("paper", forces=True).settings["forces"] is True
    assert PBE("fast").settings != PBE("paper").settings
    with pytest.raises(InputError, match="no pbe recipe 'slow'; choose from paper, fast"):
        get_method("pbe", recipe="slow")


def test_small_molecules_leave_no_files(monkeypatch, tmp_path, capfd):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr("pyscf.lib.param.TMPDIR", str(tmp_path))
    fast, paper = (PBE(recipe, forces=True).compute(molecule("OH")) for recipe in ("fast", "paper"))
    np.testing.assert_allclose(fast.energy, paper.energy, atol=0.01)
    np.testing.assert_allclose(fast.forces, paper.forces, atol=0.02)
    assert PBE("paper").compute(Atoms("He")).forces is None
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_what_does_not_converge_is_no_label(monkeypatch):
    build = atomplete.labels.methods.pbe._mean_field

    def impatient(*args):
        scf = build(*args)
        scf.max_cycle = 1
        return scf

    monkeypatch.setattr(atomplete.labels.methods.pbe, "_mean_field", impatient)
    label = PBE().compute(molecule("LiH"))
    assert (label.converged, label.forces) == (False, None)
    assert label.reason == "SCF not converged in 1 cycles; tried plain, damping, level shift"
    assert np.isnan(label.energy)


@pytest.mark.parametrize("recipe", ["fast", pytest.param("paper", marks=pytest.mark.slow)])
@pytest.mark.parametrize("rung", ["damping", "level shift"])
def test_the_ladder_ends_where_the_plain_way_does(monkeypatch, recipe, rung):
    method = PBE(recipe, forces=True)
    plain = method.compute(molecule("LiH"))
    tried, smearing = [], set()
    run, build = PBE._scf, atomplete.labels.methods.pbe._mean_field

    def failing(self, atoms, name):
        tried.append(name)
        scf = run(self, atoms, name)
        scf.converged = scf.converged and name == rung
        smearing.add((scf.sigma, scf.smearing_method, scf.level_shift))
        return scf

    def watched(*args):
        scf = build(*args)
        smearing.add((scf.sigma, scf.smearing_method, scf.level_shift))
        return scf

    monkeypatch.setattr(PBE, "_scf", failing)
    monkeypatch.setattr(atomplete.labels.methods.pbe, "_mean_field", watched)
    label = method.compute(molecule("LiH"))
    assert (label.rung, tried[-1], tried[0]) == (rung, rung, "plain")
    assert smearing == {(0.01, "fermi", 0.0)}  # and no level shift in what gives the label
    assert label.settings == plain.settings
    np.testing.assert_allclose(label.energy, plain.energy, atol=1e-6, rtol=0)
    np.testing.assert_allclose(label.forces, plain.forces, atol=1e-4, rtol=0)


def pyscf_alone(atoms):
    """The recipe ``fast`` by nothing but PySCF: free energy in Ha, gradient in Ha/Bohr."""
    from pyscf import dft, gto

    charge = atoms.info.get("charge", 0)
    unpaired = round(abs(atoms.get_initial_magnetic_moments().sum()))
    molecule = gto.M(
        atom=list(zip(atoms.symbols, atoms.positions, strict=True)),
        basis="cc-pvdz",
        charge=charge,
        spin=unpaired or int(atoms.numbers.sum() - charge) % 2,
        verbose=0,
    )
    density = None
    theory = dft.uks.UKS if unpaired else dft.rks.RKS
    for level, threshold in ((0, 1e-5), (3, 1e-8)):
        scf = theory(molecule, xc="PBE").density_fit()
        scf = scf.smearing(sigma=0.01, method="fermi", fix_spin=bool(unpaired))
        scf._chkfile.close()
        scf.chkfile = None
        scf.grids.level, scf.conv_tol = level, threshold
        scf.kernel(dm0=density)
        density = scf.make_rdm1()
    return scf.e_free, scf.nuc_grad_method().kernel()


def stretched():
    atoms = molecule("CH3OH")
    atoms.positions[0] += [0.5, 0.2, 0.1]
    return atoms


def hydroxyl(charge=0, moments=None):
    atoms = molecule("OH")
    atoms.set_initial_magnetic_moments(moments)
    atoms.info["charge"] = charge
    return atoms


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [
        lambda: molecule("H2O"),
        stretched,
        hydroxyl,
        lambda: hydroxyl(-1),
        lambda: hydroxyl(moments=[1, 0]),
        lambda: hydroxyl(moments=[2, 1]),
    ],
)
@pytest.mark.parametrize("kept", [True, False])
def test_cycles_on_the_coarse_grid_end_where_pyscf_does(monkeypatch, make, kept):
    if not kept:  # orbitals that would not fit into memory are evaluated each time
        monkeypatch.setattr(atomplete.labels.methods.two_grids, "MAX_CACHE", 0)
    label, (energy, gradient) = PBE().compute(make()), pyscf_alone(make())
    assert label.energy / HARTREE == pytest.approx(energy, abs=2e-8)
    np.testing.assert_allclose(-label.forces / HARTREE_PER_BOHR, gradient, atol=2e-5, rtol=0)


def test_where_corrections_do_not_converge_the_fine_grid_does(monkeypatch):
    expected = PBE().compute(molecule("LiH"))
    monkeypatch.setattr(atomplete.labels.methods.two_grids, "MAX_CORRECTIONS", 0)
    label = PBE().compute(molecule("LiH"))
    assert label.rung == "plain"
    assert label.energy != expected.energy
    assert label.energy == pytest.approx(expected.energy, abs=1e-6)
    np.testing.assert_allclose(label.forces, expected.forces, atol=1e-3, rtol=0)


@pytest.mark.parametrize("symbol", ["Cs", "X", "U"])
def test_elements_without_a_basis(symbol):
    with pytest.raises(InputError, match=f"s 3: pbe has no cc-pVDZ basis for {symbol}"):
        PBE().check(Atoms(["H", symbol]), "s 3")


def test_periodic_structures_are_refused():
    with pytest.raises(InputError, match="pbe treats molecules"):
        PBE().compute(Atoms("H", cell=[3, 3, 3], pbc=True))


def test_a_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyscf", None)
    with pytest.raises(MissingExtraError, match=r"pyscf is not installed: .*atomplete\[dft\]"):
        PBE().compute(Atoms("H"))


@pytest.mark.slow
def test_the_published_energy(pair_zero):
    label = PBE("paper").compute(pair_zero[0])
    assert abs(label.energy / HARTREE + 197.8044024219673) < 1e-7


@pytest.mark.slow
def test_the_fast_recipe_against_the_published_one(pair_zero):
    plus, minus = (PBE("fast").compute(atoms).energy / HARTREE for atoms in pair_zero)
    assert abs(plus + 197.8044024219673) < 1e-4
    assert abs(plus + 197.80446790532) < 1e-6
    assert abs((minus - plus) * 1000 - 0.345910) < 0.02


@pytest.mark.slow
def test_forces_are_minus_the_derivative_of_the_free_energy():
    atoms = molecule("CH3OH")  # smeared little, so take a stretched bond too
    atoms.positions[0] += [0.2, 0.1, 0.0]
    forces = PBE("fast").compute(atoms).forces
    energies = []
    for step in (-1e-3, 1e-3):
        moved = atoms.copy()
        moved.positions[0, 0] += step
        energies.append(PBE("fast", forces=False).compute(moved).energy)
    # the analytic gradient leaves out that the integration grid moves with the atoms
    assert abs(forces[0, 0] + (energies[1] - energies[0]) / 2e-3) < 5e-3
