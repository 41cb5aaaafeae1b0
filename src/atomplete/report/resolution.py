"""What representations say about a pair: how far apart its members are in their features.

A representation maps an environment to a set of rows: one row of density correlations (N = 0), or
a row for each pair of tagged neighbours (N = 2); a structure, to the rows of all its atoms. Two
sets are as far apart as the best matching of their rows leaves them, which is zero exactly if the
sets are the same. Pseudoscalars change sign under inversion, so under O(3) the better of both
signs counts.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from ase import Atoms
from jaxtyping import Bool, Float
from scipy.optimize import linear_sum_assignment
from scipy.spatial.transform import Rotation

from atomplete.degenerate.congruence.congruence import Group
from atomplete.descriptors import (
    DensityCorrelationsSpec,
    ExpansionSpec,
    Representation,
    RepresentationSpec,
    ThreeCenterSpec,
    build,
    concatenate,
    stream,
)
from atomplete.radial import LaplacianEigenstates, PolynomialCutoff
from atomplete.runs.progress import progress_of
from atomplete.system import System

Pair = tuple[Atoms, Atoms]
Rows = Float[np.ndarray, "row feature"]

#: What is asked, in the order of the page.
NAMES = ("nu1", "nu2", "nu3", "three_center")
#: Radial functions for the rows of three centres: enough to tell atoms apart, and quick.
THREE_CENTER_RADIAL = 2
_BLOCK = 200  # pairs whose rows are held at once
_SAMPLE = 24  # pairs on which noise and typical distances are measured


@dataclass(frozen=True)
class PairDistances:
    """Relative distances between the members of pairs, for each of ``NAMES``.

    Attributes
    ----------
    values
        (name, pair): distance of the two members over the norm of their features.
    noise
        (name,): the same between turned, reflected and permuted copies of one environment.
    typical
        (name,): median between environments of different pairs; NaN for a single pair.
    """

    values: Float[np.ndarray, "name pair"]
    noise: Float[np.ndarray, " name"]
    typical: Float[np.ndarray, " name"]


def pair_distances(
    pairs: Sequence[Pair],
    expansion: ExpansionSpec,
    group: Group,
    *,
    progress: bool = False,
) -> PairDistances:
    """Measure pairs with density correlations ν = 1, 2, 3 and with three centres.

    Parameters
    ----------
    pairs
        Environments, each with ``info["center"]``; or structures without, all of whose atoms are
        centres.
    expansion
        The basis; three centres have ``THREE_CENTER_RADIAL`` radial functions of its kind.
    group
        "O3", or "SO3" for pairs of enantiomers.
    progress
        Whether to show how far it is.
    """
    rng = np.random.default_rng(0)
    sample = [pairs[k][0] for k in rng.permutation(len(pairs))[:_SAMPLE]]
    copies = [(atoms, _congruent_copy(atoms, group, rng)) for atoms in sample]
    others = list(pairwise(sample))
    few = expansion.model_copy(
        update={"max_radial": min(THREE_CENTER_RADIAL, expansion.max_radial)}
    )
    specs: list[RepresentationSpec] = [
        DensityCorrelationsSpec(nu=(1,), expansion=expansion),
        DensityCorrelationsSpec(nu=(2,), expansion=expansion),
        DensityCorrelationsSpec(nu=(3,), expansion=expansion),
        ThreeCenterSpec(expansion=few),
    ]
    values, noise, typical = [], [], []
    with progress_of("distances of pairs", len(NAMES) * len(pairs), progress) as step:
        for spec in specs:
            representation = build(spec)
            odd = representation.parity.numpy() < 0
            found = []
            for a, b in _row_sets(representation, pairs):
                found.append(_set_distance(a, b, odd, group))
                step()
            values.append(found)
            noise.append(
                max(_set_distance(a, b, odd, group) for a, b in _row_sets(representation, copies))
            )
            apart = [_set_distance(a, b, odd, group) for a, b in _row_sets(representation, others)]
            typical.append(np.median(apart) if apart else np.nan)
    return PairDistances(np.array(values), np.array(noise), np.array(typical))


def enclosing_expansion(plus: Atoms, minus: Atoms) -> ExpansionSpec:
    """A basis that holds the whole of both members, away from the cutoff.

    Where ``info["cutoff"]`` says for which radius a pair has been made, that is the cutoff.
    """
    species = set(plus.numbers.tolist()) | set(minus.numbers.tolist())
    width = 0.3
    radius = max(_radius(plus), _radius(minus))
    return ExpansionSpec(
        # whole, so that few bases differ
        cutoff=float(plus.info.get("cutoff", np.ceil(1.15 * radius + width))),
        # several species multiply the channels: less is needed to tell atoms apart
        max_radial={1: 6, 2: 4}.get(len(species), 3),
        max_angular=3,
        species=tuple(sorted(species)),
        radial=LaplacianEigenstates(),
        cutoff_function=PolynomialCutoff(width=width),
    )


def _radius(atoms: Atoms) -> float:
    """Largest distance from the centre, or without one, between any two atoms."""
    center = atoms.info.get("center")
    from_atoms = atoms.positions if center is None else atoms.positions[[center]]
    return float(np.linalg.norm(atoms.positions[None] - from_atoms[:, None], axis=-1).max())


def _row_sets(representation: Representation, pairs: Sequence[Pair]) -> Iterator[tuple[Rows, Rows]]:
    """Rows of both members of each pair."""
    cutoff = representation.spec.expansion.cutoff
    for start in range(0, len(pairs), _BLOCK):
        members = [atoms for pair in pairs[start : start + _BLOCK] for atoms in pair]
        system = System.from_atoms(members, cutoff)
        with torch.no_grad():
            features = concatenate(list(stream(representation, system)))
        of_structure = features.center_structure[features.center_of_row]
        ends = torch.bincount(of_structure, minlength=len(members)).cumsum(0)
        rows = np.split(features.values.numpy(), ends[:-1].numpy())
        yield from zip(rows[::2], rows[1::2], strict=True)


def _set_distance(a: Rows, b: Rows, odd: Bool[np.ndarray, " feature"], group: Group) -> float:
    """Relative distance of two sets of rows in their best matching."""
    longer = max(len(a), len(b))
    a, b = (np.pad(rows, ((0, longer - len(rows)), (0, 0))) for rows in (a, b))
    signs = (1.0, -1.0) if group == "O3" and odd.any() else (1.0,)
    apart = np.inf
    for sign in signs:
        signed = b * np.where(odd, sign, 1.0)
        # rows keep their norms in any matching: the nearest one has the largest scalar products
        matched = linear_sum_assignment(a @ signed.T, maximize=True)[1]
        apart = min(apart, float(np.linalg.norm(a - signed[matched])))
    norm = max(np.linalg.norm(a), np.linalg.norm(b))
    return apart / float(norm) if norm > 0 else 0.0


def _congruent_copy(atoms: Atoms, group: Group, rng: np.random.Generator) -> Atoms:
    """The same environment, turned (under O(3) also inverted), its atoms in another order."""
    order = rng.permutation(len(atoms))
    copy = atoms[order]
    if "center" in atoms.info:
        copy.info["center"] = int(np.flatnonzero(order == atoms.info["center"])[0])
    sign = -1.0 if group == "O3" else 1.0
    turn = sign * Rotation.random(rng=rng).as_matrix().T
    copy.set_cell(copy.cell.array @ turn)
    copy.positions = copy.positions @ turn
    return copy
