"""Power spectrum, with and without gradients, beside featomic and dscribe: one thread.

From a list of ASE atoms to values of all centres; with gradients, to the derivative with respect
to the positions of a scalar, the sum of squares of all values. Each package is called as its
users do: featomic with splines, dscribe with its Gaussian-type orbitals. dscribe has no
derivatives of periodic structures.

    OMP_NUM_THREADS=1 python benchmarks/soap.py
"""

import os

import ase.build
import numpy as np
import torch
from side_by_side import Measurement, machine, seconds

from atomplete.degenerate.families.registry import generate
from atomplete.descriptors import DensityCorrelationsSpec, ExpansionSpec, build
from atomplete.radial import GaussianTypeOrbitals
from atomplete.system import System

CUTOFF, WIDTH, MAX_RADIAL = 5.0, 0.3, 6  # Å, Å
GRADIENTS = "values and gradients"


def diamond():
    atoms = ase.build.bulk("C", "diamond", cubic=True) * (3, 3, 3)
    atoms.rattle(0.05, seed=0)
    return [atoms]


def ours(structures, max_angular):
    spec = ExpansionSpec(
        cutoff=CUTOFF,
        max_radial=MAX_RADIAL,
        max_angular=max_angular,
        species=(int(structures[0].numbers[0]),),
        radial=GaussianTypeOrbitals(density_width=WIDTH),
    )
    descriptor = build(DensityCorrelationsSpec(nu=(2,), expansion=spec))

    def values():
        return descriptor(System.from_atoms(structures, CUTOFF, centers="all")).values

    def gradients():
        system = System.from_atoms(structures, CUTOFF, centers="all")
        positions = system.positions.requires_grad_()
        total = descriptor(system.with_positions(positions)).values.square().sum()
        return torch.autograd.grad(total, positions)[0]

    return {"values": values, GRADIENTS: gradients}


def with_featomic(structures, max_angular):
    os.environ["RAYON_NUM_THREADS"] = "1"
    import featomic

    soap = featomic.SoapPowerSpectrum(
        cutoff={"radius": CUTOFF, "smoothing": {"type": "ShiftedCosine", "width": 0.1}},
        density={"type": "Gaussian", "width": WIDTH, "center_atom_weight": 0.0},
        basis={
            "type": "TensorProduct",
            "max_angular": max_angular,
            "radial": {"type": "Gto", "max_radial": MAX_RADIAL - 1},
        },
    )

    def values():
        return np.asarray(soap.compute(structures).block(0).values)

    def gradients():
        block = soap.compute(structures, gradients=["positions"]).block(0)
        slopes = 2.0 * np.asarray(block.values)
        by_positions = block.gradient("positions")
        samples = by_positions.samples.values  # row of the value, structure, atom
        terms = np.einsum("gxf,gf->gx", by_positions.values, slopes[samples[:, 0]])
        sizes = np.array([len(atoms) for atoms in structures])
        total = np.zeros((sizes.sum(), 3))
        np.add.at(total, (sizes.cumsum() - sizes)[samples[:, 1]] + samples[:, 2], terms)
        return total

    return {"values": values, GRADIENTS: gradients}


def with_dscribe(structures, max_angular):
    from dscribe.descriptors import SOAP

    periodic = bool(structures[0].pbc.any())
    soap = SOAP(
        species=sorted(set(structures[0].symbols)),
        r_cut=CUTOFF,
        n_max=MAX_RADIAL,
        l_max=max_angular,
        sigma=WIDTH,
        rbf="gto",
        periodic=periodic,
    )

    def values():
        return soap.create(structures, n_jobs=1)

    def gradients():
        found = zip(*soap.derivatives(structures, return_descriptor=True, n_jobs=1), strict=True)
        return [np.einsum("iaxf,if->ax", slopes, 2.0 * rows) for slopes, rows in found]

    return {"values": values} if periodic else {"values": values, GRADIENTS: gradients}


def measure() -> list[Measurement]:
    """Time of an atom in each package; the reference is the faster of the other two."""
    lines = []
    for name, structures in {"200 B8": generate("b8", 100), "diamond 216": diamond()}.items():
        atoms = sum(map(len, structures))
        for max_angular in (3, 6):
            packages = {
                "ours": ours(structures, max_angular),
                "featomic": with_featomic(structures, max_angular),
                "dscribe": with_dscribe(structures, max_angular),
            }
            for task in ("values", GRADIENTS):
                functions = {key: made[task] for key, made in packages.items() if task in made}
                times = {key: 1e6 * t / atoms for key, t in seconds(functions).items()}
                own = times.pop("ours")
                best = min(times, key=times.__getitem__)
                what = f"power spectrum, {name}, n = {MAX_RADIAL}, l = {max_angular}: {task}"
                ratio = times[best] / own
                lines.append(Measurement(what, own, times[best], "µs/atom", best, ratio, 1.0))
    return lines


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(machine())
    for line in measure():
        print(
            f"{line.what:62} {line.ours:8.1f} {line.reference_name} {line.reference:8.1f} "
            f"{line.unit}  ratio {line.ratio:.2f}"
        )
