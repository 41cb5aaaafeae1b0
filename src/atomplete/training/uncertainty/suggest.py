"""Structures whose labels would teach a potential most: uncertain ones, unlike each other."""

from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from ase import Atoms
from jaxtyping import Float
from torch import Tensor

from atomplete.descriptors.memory import CHUNK_BYTES
from atomplete.errors import InputError
from atomplete.potentials.base import Potential
from atomplete.potentials.spread import changes, committee_of
from atomplete.runs.progress import progress_of

#: Variance of the noise of labels over the largest variance in the pool.
NOISE = 0.01

#: Cosine from which on two structures would teach the same.
SAME = 1 - 1e-6


def suggest(
    potential: Potential,
    pool: Sequence[Atoms],
    n: int,
    by: Literal["forces", "energy"] = "forces",
    *,
    memory: int = CHUNK_BYTES,
    progress: bool = False,
) -> list[Atoms]:
    """Choose structures of a pool, the one that would teach most first.

    Each choice is the structure of the largest variance that the labels of those chosen before
    would leave, see ``choose``. Structures that would teach the same, such as turned copies, are
    not chosen both.

    Parameters
    ----------
    potential
        One that was fitted in closed form.
    pool
        Structures, labelled or not; labels play no part.
    n
        How many to choose.
    by
        Variance of the components of forces, or of energies per atom, which is quicker.
    memory
        Bound on what is held beside structures, pairs and 4 kB for each structure, bytes.
    progress
        Whether to show how far it is.

    Returns
    -------
    list of Atoms
        Copies without labels, whose ``info`` has ``suggested_index``, the position in the pool,
        and ``suggested_uncertainty``, the root mean square standard deviation of the forces, eV/Å,
        or that of the energy per atom, eV.

    Raises
    ------
    InputError
        For a potential without uncertainties, a structure that it does not understand, and fewer
        structures than are asked for, or fewer that differ.
    """
    if n > len(pool):
        raise InputError(f"only {len(pool)} structures to choose {n} of")
    factor = committee_of(potential).calibration[1 if by == "forces" else 0]
    found = []
    with progress_of("uncertainties", len(pool), progress) as step:
        for vector in _vectors(potential, pool, by, memory):
            found.append(vector)
            step()
    vectors = factor * torch.stack(found)
    chosen = choose(vectors, n)
    if len(chosen) < n:
        raise InputError(
            f"only {len(chosen)} of {len(pool)} structures are uncertain and differ from each "
            f"other, and {n} are to be chosen"
        )
    return [_marked(pool[index], index, vectors[index]) for index in chosen]


def _marked(atoms: Atoms, index: int, vector: Float[Tensor, " direction"]) -> Atoms:
    copy = atoms.copy()
    copy.info["suggested_index"] = index
    copy.info["suggested_uncertainty"] = vector.norm().item()
    return copy


def choose(vectors: Float[Tensor, "structure direction"], n: int) -> list[int]:
    """Choose the longest vectors in turn, after what the noisy knowledge of others has left.

    That is the variance of a normal distribution whose covariance is the product of the vectors,
    as in a pivoted Cholesky decomposition. Fewer are chosen if no others have a direction of their
    own.

    Examples
    --------
    >>> choose(torch.tensor([[3.0, 0], [2.9, 0.1], [0, 1], [6, 0]]).double(), 3)
    [3, 2, 1]
    """
    length = vectors.norm(dim=1)
    direction = vectors / length.clamp_min(torch.finfo(vectors.dtype).tiny)[:, None]
    noise, left = NOISE * length.max() ** 2, vectors.clone()
    free, chosen = length > 0, list[int]()
    while len(chosen) < n and free.any():
        best = int(left.square().sum(1).masked_fill(~free, -1.0).argmax())
        chosen.append(best)
        free &= direction @ direction[best] < SAME
        free[best] = False
        variance = left[best].square().sum()
        axis = left[best] / variance.sqrt()
        kept = (noise / (noise + variance)).sqrt()
        left -= (1 - kept) * (left @ axis)[:, None] * axis
    return chosen


def _vectors(
    potential: Potential, pool: Sequence[Atoms], by: str, memory: int
) -> Iterator[Float[Tensor, " direction"]]:
    """Vectors of structures: their square is the variance, and cosines those of what is taught.

    The cosine of two structures is the sum over all their labels of squared covariances, which
    members give but for noise, whatever the order of atoms and the orientation; normalised. With
    the changes u of all members of one label it is the product of sums of u uᵀ, less what chance
    adds to it.
    """
    system = potential.system(pool)
    sizes = torch.bincount(system.structure, minlength=len(pool))
    kinds, done = (("forces",) if by == "forces" else ()), 0
    for run in changes(potential, system, kinds, memory):
        here = sizes[done : done + len(run.energy)]
        rows = (
            run.energy / here[:, None].clamp_min(1)
            if run.forces is None
            else run.forces.flatten(0, 1)
        )
        counts = here.clone().fill_(1) if run.forces is None else 3 * here
        done += len(here)
        yield from map(_vector, rows.split(counts.tolist()))


def _vector(rows: Float[Tensor, "label member"]) -> Float[Tensor, " direction"]:
    n = rows.shape[1]
    product = rows.T @ rows
    variance = product.trace() / max(rows.numel(), 1)
    product.diagonal().sub_(product.trace() / n)
    weight = torch.full((n, n), 2.0**0.5, dtype=rows.dtype).fill_diagonal_(1.0)
    above = torch.triu_indices(n, n)
    direction = (weight * product)[above[0], above[1]]
    return direction * (variance.sqrt() / direction.norm().clamp_min(1e-300))
