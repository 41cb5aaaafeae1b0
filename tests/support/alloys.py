"""Alloys of copper and gold with labels of EMT, and potentials fitted to them in closed form."""

import numpy as np
import torch
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from atomplete.data.dataset import Dataset, Split
from atomplete.descriptors import DensityCorrelationsSpec, ExpansionSpec
from atomplete.nn import LinearSpec
from atomplete.potentials import DescriptorPotential, DescriptorPotentialSpec
from atomplete.training.closed_form.ridge import RidgeSpec
from atomplete.training.fit import fit


def alloy(n, seed=0, spread=0.1, symbols=None):
    """Cells of four atoms, of copper and at times gold if no symbols are given."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(n):
        atoms = bulk("Cu", cubic=True)
        atoms.symbols[: rng.integers(0, 4)] = "Au"
        if symbols is not None:
            atoms.symbols[:] = symbols
        cell = atoms.cell.array * 1.05 + rng.uniform(-spread, spread, (3, 3))
        atoms.set_cell(cell, scale_atoms=True)
        atoms.positions += rng.uniform(-spread, spread, (4, 3))
        atoms.calc = EMT()
        labels = {"forces": atoms.get_forces(), "stress": atoms.get_stress()}
        labels["energy"] = atoms.get_potential_energy()
        atoms.calc = SinglePointCalculator(atoms, **labels)
        found.append(atoms)
    return found


def fresh(readout=None, nu=(1,), max_radial=2):
    basis = ExpansionSpec(cutoff=3.4, max_radial=max_radial, max_angular=2, species=(29, 79))
    spec = DescriptorPotentialSpec(
        descriptor=DensityCorrelationsSpec(nu=nu, expansion=basis),
        readout=readout or LinearSpec(),
        species=(29, 79),
    )
    return DescriptorPotential(spec)


def fitted(folder, structures, n_train, loss, *, spec=None, model=None, **options):
    model, every = model or fresh(), torch.arange(len(structures))[:, None]
    split = Split(every[:n_train], every[n_train:])
    spec = spec or RidgeSpec(penalty="diagonal")
    data = Dataset.from_structures(structures)
    fit(model, data, split, loss, spec, folder, progress=False, **options)
    return model
