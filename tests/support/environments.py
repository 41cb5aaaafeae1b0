"""Structures and small bases that the tests of representations share."""

import numpy as np
from ase import Atoms

from atomplete.descriptors import (
    NAMED,
    ExpansionSpec,
    NiceSpec,
    RandomFourierSpec,
    ThreeCenterSpec,
    build,
)
from atomplete.descriptors.random_fourier.spec import LevelSpec
from atomplete.radial import LaplacianEigenstates, PolynomialCutoff
from atomplete.system import System

CUTOFF = 2.0

#: Two bases for three species, small enough for tests over everything.
BASES = {
    "gto": ExpansionSpec(max_radial=3, max_angular=2, species=(1, 6, 8)),
    "laplacian": ExpansionSpec(
        max_radial=2,
        max_angular=3,
        species=(1, 6, 8),
        radial=LaplacianEigenstates(),
        cutoff_function=PolynomialCutoff(width=0.5),
    ),
}

SPECS = (
    {
        f"{name}-{basis}": spec.model_copy(update={"expansion": expansion})
        for basis, expansion in BASES.items()
        for name, spec in NAMED.items()
        if "expansion" in type(spec).model_fields
    }
    | {
        "random_fourier-small": RandomFourierSpec(
            cutoff=CUTOFF,
            species=(1, 6, 8),
            center=LevelSpec(channels=8, features=10),
            neighbor=LevelSpec(channels=6, features=8),
            pair=LevelSpec(channels=4, features=6),
        )
    }
    | {
        f"{name}-{basis}": spec
        for basis, expansion in BASES.items()
        for name, spec in {
            "contracted": ThreeCenterSpec(
                expansion=expansion, radial_components=4, components=(30, 12)
            ),
            "nice": NiceSpec(expansion=expansion, components=0.999, candidates=60),
        }.items()
    }
)


def molecule(seed=0, n=7, symbols="HCO", radius=1.9):
    """Random atoms in a ball, none nearer than 0.8 Å to another; the first at the origin."""
    rng = np.random.default_rng(seed)
    positions = [np.zeros(3)]
    while len(positions) < n:
        r = rng.uniform(-radius, radius, 3)
        if np.linalg.norm(r) < radius and min(np.linalg.norm(r - p) for p in positions) > 0.8:
            positions.append(r)
    return Atoms(list(rng.choice(list(symbols), n)), positions)


def crystal(pbc=True):
    """A skewed cell shorter than the cutoff: atoms are neighbours of their own images."""
    return Atoms(
        "COH",
        [(0.1, 0.0, 0.2), (0.2, 0.9, 1.0), (1.0, 0.1, 1.1)],
        cell=[(1.8, 0.0, 0.0), (0.4, 1.9, 0.0), (0.3, -0.2, 2.1)],
        pbc=pbc,
    )


def systems():
    """A batch of molecules, and crystals that are periodic in three, two and one directions."""
    batch = [molecule(seed) for seed in range(3)] + [Atoms("C")]
    crystals = [crystal(pbc) for pbc in (True, (True, False, True), (False, True, False))]
    return {
        "molecules": System.from_atoms(batch, CUTOFF),
        "crystals": System.from_atoms(crystals, CUTOFF),
    }


def fitted(spec):
    """The descriptor of a spec, fitted on other structures where it has to be."""
    descriptor = build(spec)
    if descriptor.needs_fit:
        descriptor.fit([System.from_atoms([molecule(s) for s in (10, 11)], CUTOFF)])
    return descriptor
