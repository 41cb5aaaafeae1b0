"""Every registered potential through the battery, and what depends on its centres."""

import numpy as np
import pytest
import torch
from ase import Atoms
from small_models import BASIS, CUTOFF, DESCRIPTORS, SMALL_DEEP_SET, energy_model, molecule

from atomplete.degenerate.families.registry import generate
from atomplete.descriptors import LevelSpec, RandomFourierSpec
from atomplete.errors import InputError
from atomplete.nn import LinearSpec
from atomplete.potentials import DescriptorPotential, PairBasisSpec, TightBinding, TightBindingSpec
from atomplete.radial import PolynomialCutoff
from atomplete.testing import POTENTIAL_CHECKS

#: With two continuous derivatives, and no pair of the crystal where the third ones jump.
SMOOTH = BASIS.model_copy(update={"cutoff_function": PolynomialCutoff(width=0.8)})


def smooth(name):
    return DESCRIPTORS[name].model_copy(update={"expansion": SMOOTH})


def crystal():
    positions = [(0, 0, 0), (0.9, 1.0, 0.1), (0.1, 0.9, 1.2)]
    return Atoms("CHO", positions, cell=[(1.75, 0, 0), (0.2, 1.85, 0), (0, -0.3, 2.2)], pbc=True)


FOURIER = RandomFourierSpec(
    cutoff=CUTOFF,
    species=BASIS.species,
    center=LevelSpec(channels=8, features=12, frequency=0.3),
    neighbor=LevelSpec(channels=8, features=12, frequency=0.3),
    pair=LevelSpec(channels=8, features=12, frequency=0.3),
)


def linear(spec):
    model = energy_model(spec, LinearSpec())
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(model.readout.coefficients.shape, generator=generator).double()
    model.readout.coefficients.copy_(weights)
    return model, [molecule(0), crystal()]


def deep_set(name):
    return energy_model(smooth(name), SMALL_DEEP_SET), [molecule(0, n=5), crystal()]


def repulsive():
    """Atoms so close that the repulsion is a good part of the energy."""
    model = deep_set("density_correlations")[0]
    spec = model.spec.model_copy(update={"repulsion": "zbl"})
    return DescriptorPotential(spec, descriptor=model.descriptor), [molecule(0, n=5), crystal()]


def of_one_center():
    molecules = [molecule(seed, n=5) for seed in (0, 1)]
    for atoms in molecules:
        atoms.info["center"] = 2
    return energy_model(smooth("three_center"), centers="info"), molecules


def tight_binding():
    basis = PairBasisSpec(max_radial=4, max_radial_surroundings=2, widths=(1.3, 2.0))
    model = TightBinding(TightBindingSpec(basis=basis))
    noise = torch.randn(len(model.coefficients), generator=torch.Generator().manual_seed(0))
    model.coefficients = model.coefficients + 0.05 * noise.double()
    return model, [
        Atoms("B4", [(0, 0, 0), (1.6, 0.1, 0), (0.2, 1.7, 0.3), (-0.4, 0.5, 1.6)]),
        Atoms("B3", [(0, 0, 0), (1.6, 0.1, 0), (0.2, 1.7, 0.3)]),
    ]


POTENTIALS = {
    "linear": lambda: linear(smooth("density_correlations")),
    "random Fourier features": lambda: linear(FOURIER),
    "deep set of rows": lambda: deep_set("three_center"),
    "deep set of densities": lambda: deep_set("density_correlations"),
    "with repulsion": repulsive,
    "one center": of_one_center,
    "tight binding": tight_binding,
}


@pytest.fixture(scope="module", params=POTENTIALS)
def potential(request):
    return POTENTIALS[request.param]()


@pytest.mark.parametrize("name", POTENTIAL_CHECKS)
def test_the_battery(name, potential):
    POTENTIAL_CHECKS[name](*potential)


def test_centres_are_those_of_the_model_whatever_the_file_holds():
    """Once one structure without ``center`` turned the energies of all others into those of
    eight centres."""
    boron = generate("b8", 1)[0]
    model = energy_model(DESCRIPTORS["three_center"], centers="info")
    carbon = Atoms(["C"] * 8, boron.positions, info={"center": 0})
    alone = model.predict(carbon).energy
    other = carbon.copy()
    del other.info["center"]
    with pytest.raises(InputError, match="structure 1: no 'center' in its info"):
        model.predict([carbon, other])
    everywhere = energy_model(DESCRIPTORS["three_center"], centers="all")
    both = everywhere.predict([carbon, other]).energy
    assert both[0] == both[1]
    assert (both[0] - alone).abs() > 1e-3
    torch.testing.assert_close(everywhere.predict(carbon).energy, both[:1], rtol=1e-12, atol=0)


def test_a_calculator_has_no_stress_of_molecules():
    atoms = molecule(0)
    atoms.calc = energy_model(DESCRIPTORS["density_correlations"]).calculator()
    assert np.isfinite(atoms.get_forces()).all()
    with pytest.raises(NotImplementedError, match="without a volume"):
        atoms.get_stress()


def test_pairs_are_within_the_cutoff_of_the_model():
    model = energy_model(DESCRIPTORS["three_center"])
    assert model.system(molecule(0)).cutoff == model.cutoff == CUTOFF
