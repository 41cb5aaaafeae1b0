"""Small energy models, structures for them, and how their energies depend on positions."""

import numpy as np
import torch
from ase import Atoms

from atomplete.descriptors import (
    DensityCorrelationsSpec,
    ExpansionSpec,
    ThreeCenterSpec,
)
from atomplete.nn import DeepSetSpec
from atomplete.potentials import DescriptorPotential, DescriptorPotentialSpec
from atomplete.system import System

CUTOFF = 2.0
SPECIES = (1, 6, 8)
BASIS = ExpansionSpec(max_radial=2, max_angular=2, species=SPECIES)

DESCRIPTORS = {
    "three_center": ThreeCenterSpec(expansion=BASIS),
    "contracted": ThreeCenterSpec(expansion=BASIS, radial_components=4, components=(20, 8)),
    "density_correlations": DensityCorrelationsSpec(expansion=BASIS),
}
SMALL_DEEP_SET = DeepSetSpec(hidden=(16, 12), head=(8,))


def molecule(seed, n=6, symbols="HCO"):
    """Random atoms in a box, most within reach of each other, none nearer than 0.8 Å."""
    rng = np.random.default_rng(seed)
    positions = [np.zeros(3)]
    while len(positions) < n:
        r = rng.uniform(-1.3, 1.3, 3)
        if min(np.linalg.norm(r - p) for p in positions) > 0.8:
            positions.append(r)
    return Atoms(list(rng.choice(list(symbols), n)), positions)


def energy_model(spec, model=SMALL_DEEP_SET, seed=0, centers="all"):
    """A model with random weights, normalised on random molecules with random energies."""
    model = DescriptorPotential(
        DescriptorPotentialSpec(descriptor=spec, readout=model, species=SPECIES, centers=centers),
        seed,
    )
    training = [molecule(100 + k) for k in range(8)]
    system = System.from_atoms(training, CUTOFF)
    model.descriptor.fit([system])
    model.normalise(model.descriptor(system), torch.arange(8))
    references = torch.tensor([-0.3, 0.4, 0.1], dtype=torch.float64)
    model.set_references(references, torch.tensor(0.9, dtype=torch.float64))
    return model


def energies_at(model, system, positions=None):
    """Energies of a system's structures, differentiable in the positions."""
    if positions is not None:
        system = system.with_positions(positions)
    return model.energies(system)
