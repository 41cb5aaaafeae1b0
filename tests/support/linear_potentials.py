"""Potentials that are linear in few random Fourier features, with random coefficients."""

import torch
from environments import molecule

from atomplete.descriptors import RandomFourierSpec, build
from atomplete.descriptors.random_fourier.spec import LevelSpec
from atomplete.nn import LinearSpec
from atomplete.potentials import DescriptorPotential, DescriptorPotentialSpec
from atomplete.system import System

SPECIES = (1, 6, 8)
CUTOFF, TAG_CUTOFF = 2.5, 2.0

#: Sizes that fill no register; all kinds of rows have cosines.
SMALL = {
    "max_radial": 5,
    "max_angular": 3,
    "center": LevelSpec(channels=9, features=7, frequency=0.5),
    "neighbor": LevelSpec(channels=21, features=29, frequency=0.5),
    "pair": LevelSpec(channels=12, features=13, frequency=0.5),
}


def linear_potential(species=SPECIES, structures=None, repulsion="zbl", **options):
    """A potential whose features are fitted to some structures."""
    given = SMALL | {"cutoff": CUTOFF, "tag_cutoff": TAG_CUTOFF, "species": species} | options
    spec = RandomFourierSpec(**given)
    structures = structures or [molecule(seed, radius=1.4) for seed in range(4)]
    descriptor = build(spec).fit([System.from_atoms(structures, spec.cutoff)])
    potential = DescriptorPotential(
        DescriptorPotentialSpec(
            descriptor=spec, readout=LinearSpec(), species=species, repulsion=repulsion
        ),
        descriptor=descriptor,
    )
    generator = torch.Generator().manual_seed(7)
    shape = len(species) * spec.n_features
    coefficients = torch.randn(shape, generator=generator, dtype=torch.float64) / shape**0.5
    potential.set_references(torch.zeros(len(species)).double(), torch.tensor(1.7).double())
    potential.set_linear(coefficients, torch.arange(len(species)).double() - 2.5)
    potential.feature_scale.fill_(0.6)
    return potential
