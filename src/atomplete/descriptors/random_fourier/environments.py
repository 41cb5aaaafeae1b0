"""Environments in tables with a slot for each neighbour, and random mixtures of what they hold."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from atomplete.descriptors.slots import slots_of_groups
from atomplete.o3 import spherical_harmonics
from atomplete.radial import PolynomialCutoff
from atomplete.system import System

#: Length on which radial functions become wider with distance, Å.
DECAY_LENGTH = 2.0


class Environments(NamedTuple):
    """Environments in a table: a slot for each neighbour, the nearest first.

    Empty slots hold one at the cutoff, where nothing is seen of it.
    """

    center: Int[Tensor, " environment"]
    pair: Int[Tensor, "environment slot"]
    r: Float[Tensor, "environment slot xyz"]
    species: Int[Tensor, "environment slot"]
    n_tags: int


def environments(
    system: System, species: Int[Tensor, " pair"], cutoff: float, tag_cutoff: float
) -> Iterator[Environments]:
    """Environments of all centres that have neighbours, in tables of similar size.

    Parameters
    ----------
    system
        Atoms and pairs.
    species
        Number of the species of each neighbour.
    cutoff, tag_cutoff
        Radius of an environment, and of the neighbours that may be tagged, Å.
    """
    r_ij = system.r_ij
    outside = r_ij.new_tensor([[0.0, 0.0, cutoff]])
    vectors = torch.cat([r_ij, outside])
    species = torch.nn.functional.pad(species, (0, 1))
    groups, tables = slots_of_groups(system.i, len(system.centers))
    start = 0
    for table in tables:
        distance = torch.linalg.vector_norm(vectors.detach()[table], dim=-1)
        nearest_first = table.gather(1, distance.argsort(dim=1, stable=True))
        yield Environments(
            center=groups[start : start + len(table)],
            pair=nearest_first,
            r=vectors[nearest_first],
            species=species[nearest_first],
            n_tags=int((distance < tag_cutoff).sum(1).max()),
        )
        start += len(table)


def mixtures(
    r: Float[Tensor, "environment slot xyz"],
    species: Int[Tensor, "environment slot"],
    weights: Float[Tensor, "species n factor channel l"],
    cutoff: float,
) -> Float[Tensor, "factor environment slot channel lm"]:
    """Mixtures Σ_n weight R_n(r) Y_lm of each neighbour, for each factor, channel and (l, m).

    R_n = sin(π n x) f_c(r), where x = (1 − exp(−r/a)) / (1 − exp(−cutoff/a)) makes them narrow
    near the centre and wide far from it.
    """
    n_species, max_radial, _, _, n_l = weights.shape
    distance = torch.linalg.vector_norm(r, dim=-1)
    n = torch.arange(1, max_radial + 1, device=r.device)
    reach = -torch.expm1(distance.new_tensor(-cutoff / DECAY_LENGTH))
    x = -torch.expm1(-distance / DECAY_LENGTH) / reach
    inside = PolynomialCutoff(width=cutoff)(distance, cutoff)
    radial = torch.sin(torch.pi * n * x[..., None]) * inside[..., None]
    one_hot = torch.nn.functional.one_hot(species, n_species).to(r)
    of_species = (one_hot[..., None] * radial[..., None, :]).flatten(2)
    mixed = of_species @ weights.to(r).flatten(0, 1).flatten(1)
    mixed = mixed.unflatten(2, weights.shape[2:])
    orders = torch.tensor([l for l in range(n_l) for _ in range(2 * l + 1)], device=r.device)
    unit = (r / distance[..., None]).flatten(0, 1)
    harmonics = spherical_harmonics(unit, n_l - 1).unflatten(0, r.shape[:2])
    mixed = mixed.index_select(-1, orders) * harmonics[:, :, None, None]
    return mixed.permute(2, 0, 1, 3, 4)


def tag_weights(
    r: Float[Tensor, "environment slot xyz"], tag_cutoff: float
) -> Float[Tensor, "environment slot"]:
    """Weight of each neighbour as a tagged one: 1 at the centre, 0 from the tag cutoff on."""
    distance = torch.linalg.vector_norm(r, dim=-1)
    return PolynomialCutoff(width=tag_cutoff)(distance, tag_cutoff)
