"""Energies and forces by the compiled kernel beside torch: a Markdown table.

    python benchmarks/kernel.py

Milliseconds of processor time an atom, in turns, on one thread; ``float32`` has the products with
frequencies in single precision. Potentials have the sizes of the presets ``tiny`` and ``fast`` and
random coefficients, which cost what fitted ones do. The rate is that of the two matrix products of
rows, channels and cosines, which ``fast`` consists of mostly, over the whole time of the kernel;
that of a large matrix product stands above. ``step`` is a whole call of the calculator of ASE after
atoms have moved, and ``pairs`` the share of it that lists neighbours.
"""

from time import process_time

import ase
import ase.build
import numpy as np
import torch
from side_by_side import machine, matrix_rate, seconds

from atomplete.descriptors import RandomFourierSpec, build
from atomplete.descriptors.random_fourier.spec import LevelSpec
from atomplete.kernel.file import content_of
from atomplete.kernel.library import Kernel
from atomplete.nn import LinearSpec
from atomplete.potentials import DescriptorPotential, DescriptorPotentialSpec

SIZES = {
    "tiny": {
        "max_radial": 6,
        "max_angular": 2,
        "center": LevelSpec(channels=32, features=0),
        "neighbor": LevelSpec(channels=64, features=64, frequency=0.5),
        "pair": LevelSpec(channels=8, features=16, frequency=0.5),
    },
    "fast": {
        "center": LevelSpec(channels=64, features=0),
        "neighbor": LevelSpec(channels=320, features=5036),
        "pair": LevelSpec(channels=16, features=64),
    },
}
#: Radius of the tagged neighbours, Å: that of ``tiny`` falls with their number.
TAG_CUTOFFS = {("tiny", "Si"): 3.82, ("tiny", "Cu"): 3.37}

PROPERTIES = ("energy", "forces")


def structures():
    """Molecules in one batch, and crystals, all displaced."""
    molecules = [ase.build.molecule("CH3CH2OH") for _ in range(100)]
    crystals = {
        "Si": ase.build.bulk("Si", cubic=True) * (4, 4, 4),
        "Cu": ase.build.bulk("Cu", cubic=True) * (5, 5, 5),
    }
    for seed, atoms in enumerate([*molecules, *crystals.values()]):
        atoms.rattle(0.05, seed=seed)
    return {"100 ethanol": molecules, **{name: [atoms] for name, atoms in crystals.items()}}


def potential_of(batch, sizes, tag_cutoff):
    """A potential of random coefficients, its deviations found from some of the structures."""
    species = tuple(sorted({int(z) for atoms in batch for z in atoms.numbers}))
    spec = RandomFourierSpec(species=species, cutoff=5.0, tag_cutoff=tag_cutoff, **sizes)
    potential = DescriptorPotential(
        DescriptorPotentialSpec(
            descriptor=spec, readout=LinearSpec(), species=species, repulsion="zbl"
        ),
        descriptor=build(spec),
    )
    potential.descriptor.fit([potential.system(batch[:10])])
    generator = torch.Generator().manual_seed(0)
    shape = len(species) * spec.n_features
    coefficients = torch.randn(shape, generator=generator, dtype=torch.float64) / spec.n_features
    potential.set_linear(coefficients, torch.zeros(len(species)).double())
    return potential


def operations(potential, system):
    """Floating-point operations of the products with frequencies, there and back."""
    near = torch.linalg.vector_norm(system.r_ij, dim=1) < potential.descriptor.tag_cutoff
    tags = torch.bincount(system.i[near], minlength=len(system.centers))
    rows = (len(tags), int(tags.sum()), int((tags * (tags - 1) // 2).sum()))
    levels = potential.descriptor.spec.levels
    return sum(4 * n * x.channels * x.features for n, x in zip(rows, levels, strict=True))


def stepper(calculator, atoms):
    """Moves atoms a little and computes anew, as dynamics do."""
    generator = np.random.default_rng(0)
    moved = atoms.copy()
    moved.calc = calculator

    def step():
        moved.positions = atoms.positions + 1e-3 * generator.normal(size=(len(atoms), 3))
        moved.get_forces()

    return step


if __name__ == "__main__":
    torch.set_num_threads(1)
    rate = matrix_rate(clock=process_time)
    print(f"{machine()}; a matrix product in float64: {rate / 1e9:.0f} GFLOP/s\n")
    print("| | torch | kernel | ratio | GFLOP/s | float32 | step, torch | step, kernel | pairs |")
    print("|---|---|---|---|---|---|---|---|---|")
    for size, sizes in SIZES.items():
        for name, batch in structures().items():
            potential = potential_of(batch, sizes, TAG_CUTOFFS.get((size, name), 4.0))
            system, content = potential.system(batch), content_of(potential)
            kernel, single = Kernel(content), Kernel(content, dtype=torch.float32)
            by_torch, by_kernel = potential.calculator(kernel=False), potential.calculator()
            best = seconds(
                {
                    "torch": lambda p=potential, s=system: [
                        p(part, PROPERTIES) for part in p.parts(s, PROPERTIES)
                    ],
                    "kernel": lambda k=kernel, s=system: k(s, PROPERTIES),
                    "float32": lambda k=single, s=system: k(s, PROPERTIES),
                    "step, torch": stepper(by_torch, batch[0]),
                    "step, kernel": stepper(by_kernel, batch[0]),
                    "pairs": lambda p=potential, b=batch: p.system(b[0]),
                },
                rounds=4,
                clock=process_time,
            )
            n_atoms = len(system.positions)
            of_one = {x: 1e3 * best[x] / len(batch[0]) for x in ("step, torch", "step, kernel")}
            print(
                f"| {size}, {name} | {1e3 * best['torch'] / n_atoms:.3g} "
                f"| {1e3 * best['kernel'] / n_atoms:.3g} "
                f"| {best['torch'] / best['kernel']:.1f} "
                f"| {operations(potential, system) / best['kernel'] / 1e9:.0f} "
                f"| {1e3 * best['float32'] / n_atoms:.3g} "
                f"| {of_one['step, torch']:.3g} | {of_one['step, kernel']:.3g} "
                f"| {best['pairs'] / best['step, kernel']:.0%} |",
                flush=True,
            )
