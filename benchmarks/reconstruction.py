"""Reconstruction of environments from features: success, error and time.

python benchmarks/reconstruction.py rows --environments 1000   # closed form
python benchmarks/reconstruction.py families --members 20      # both members of each pair
"""

import argparse
import time

import numpy as np
import torch

from atomplete.audit import Scope, subject_of
from atomplete.audit.search.starts import Limits
from atomplete.degenerate.congruence.congruence import congruence_distance
from atomplete.degenerate.families.registry import FAMILIES
from atomplete.degenerate.random_structures import random_environment
from atomplete.descriptors import ExpansionSpec, ThreeCenter, ThreeCenterSpec
from atomplete.reconstruction import Effort, RowSums, from_features, from_rows
from atomplete.system import System

CUTOFF = 4.0

#: Radial functions by the number of species; l ≤ 2 in all.
RADIAL = {1: 4, 2: 3, 3: 2}
SPECIES = (1, 6, 8)


def three_center(species, cutoff=CUTOFF, max_angular=2):
    """Rows of few radial functions and orders."""
    expansion = ExpansionSpec(
        cutoff=cutoff,
        species=species,
        max_radial=RADIAL[len(species)],
        max_angular=max_angular,
        radial={"type": "laplacian"},
        cutoff_function={"type": "polynomial", "width": 0.3},
    )
    return ThreeCenter(ThreeCenterSpec(expansion=expansion))


def rows_of(described, atoms):
    """Rows of the centre."""
    return described(System.from_atoms(atoms, described.cutoff, centers=[0])).values


def rows(options):
    """Random environments from their rows, in a random order."""
    for n_species in options.species:
        species = SPECIES[:n_species]
        described = three_center(species)
        for n in options.neighbors:
            errors, seconds, lost = [], 0.0, []
            for seed in range(options.environments):
                rng = np.random.default_rng(seed)
                atoms = random_environment((6, *rng.choice(species, n).tolist()), 3.95, rng)
                values = rows_of(described, atoms)
                values = values[torch.from_numpy(rng.permutation(len(values)))]
                start = time.perf_counter()
                found = from_rows(described, values, center_species=6)
                seconds += time.perf_counter() - start
                if found.verdict == "determined":
                    error = congruence_distance(atoms, found.structures[0], group="SO3")
                    errors.append(error)
                else:
                    lost.append((seed, str(found)))
            good = sum(error < 1e-6 for error in errors)
            print(
                f"{n_species} species, {n} neighbours: {good} of {options.environments}, largest "
                f"error {max(errors):.1e} Å, {1000 * seconds / options.environments:.0f} ms each",
                *lost,
                flush=True,
            )


def families(options):
    """Each member of degenerate pairs from its rows."""
    for name in ("prl_nu2", "prl_nu3", "chiral", "antipodal", "b8"):
        members = [atoms for pair in FAMILIES[name].pairs(options.members) for atoms in pair]
        found, largest = 0, 0.0
        for atoms in members:
            radius = float(np.linalg.norm(atoms.positions - atoms.positions[0], axis=1).max())
            species = tuple(sorted(set(atoms.numbers[1:].tolist())))
            described = three_center(species, 1.2 * radius)
            result = from_rows(
                described, rows_of(described, atoms), center_species=int(atoms.numbers[0])
            )
            if result.verdict == "determined":
                error = congruence_distance(atoms, result.structures[0], group="SO3")
                largest, found = max(largest, error), found + (error < 1e-6)
        print(f"{name}: {found} of {len(members)} members alone, largest error {largest:.1e} Å")


def fits(options):
    """Random environments from one row each: sums of cosines of rows, and a power spectrum."""
    for n in options.neighbors:
        numbers = (6,) * (n + 1)
        size = 128 if n <= 8 else 256 if n <= 16 else 512
        expansion = three_center((6,)).spec.expansion.model_copy(update={"max_radial": 3})
        subjects = {
            f"{size} sums of cosines": RowSums(expansion, size),
            "power spectrum, n=6, l≤6": subject_of("power_spectrum?max_radial=6,max_angular=6"),
        }
        for name, subject in subjects.items():
            good, spurious, seconds = 0, 0, []
            for seed in range(options.environments):
                atoms = random_environment(numbers, 3.6, np.random.default_rng(seed))
                scope = Scope("environment", CUTOFF, (6,))
                (rows,) = subject.describe([atoms], scope)
                effort = Effort(populations=1, size=4, rounds=20, trials=40, seconds=1e6)
                start = time.process_time()
                found = from_features(subject, rows, [numbers], Limits(0.8, CUTOFF), effort=effort)
                seconds.append(time.process_time() - start)
                group = found.group
                away = [congruence_distance(atoms, x, group=group) for x in found.structures]
                good += min(away, default=1.0) < 1e-4
                spurious += sum(distance > 1e-3 for distance in away)
            print(
                f"{name}, {n} neighbours: {good} of {options.environments}, {spurious} other "
                f"structures, {np.median(seconds):.1f} s each (median)",
                flush=True,
            )


def noise(options):
    """Error of environments of eight neighbours from rows with noise, of bases of several sizes."""
    rng = np.random.default_rng(0)
    for max_angular in (1, 2, 4):
        described = three_center((6,), max_angular=max_angular)
        for relative in (1e-10, 1e-8, 1e-6):
            errors = []
            for seed in range(10):
                atoms = random_environment((6,) * 9, 3.5, np.random.default_rng(seed))
                values = rows_of(described, atoms)
                size = values.norm(dim=1, keepdim=True) / values.shape[1] ** 0.5
                values = values + relative * size * torch.from_numpy(rng.normal(size=values.shape))
                found = from_rows(described, values, center_species=6, tolerance=100 * relative)
                if found.verdict == "determined":
                    error = congruence_distance(atoms, found.structures[0], group="SO3")
                    errors.append(error)
            print(
                f"l ≤ {max_angular}, noise {relative:.0e} of each row: {len(errors)} of 10, error "
                f"{np.median(errors) if errors else np.nan:.1e} Å (median)",
                flush=True,
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("topic", choices=("rows", "families", "fits", "noise"))
    parser.add_argument("--environments", type=int, default=1000)
    parser.add_argument("--members", type=int, default=20)
    parser.add_argument("--neighbors", type=int, nargs="+", default=[4, 8, 16, 29, 40])
    parser.add_argument("--species", type=int, nargs="+", default=[1, 2, 3])
    options = parser.parse_args()
    torch.set_num_threads(1)
    topics = {"rows": rows, "families": families, "fits": fits, "noise": noise}
    topics[options.topic](options)


if __name__ == "__main__":
    main()
