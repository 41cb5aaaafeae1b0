"""Environments in tables with a slot for each neighbour, and random mixtures of what they hold."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from atomplete.descriptors.derivatives.pair_derivatives import Linearised
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

    def at(self, run: slice | Tensor) -> "Environments":
        """Some of the environments."""
        return Environments(
            self.center[run], self.pair[run], self.r[run], self.species[run], self.n_tags
        )

    def split(self, n_slots: int) -> "Iterator[Environments]":
        """Runs of environments with at most so many slots together, but for single ones."""
        size = max(1, n_slots // self.pair.shape[1])
        return (self.at(slice(k, k + size)) for k in range(0, len(self.center), size))


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


class Expansion(NamedTuple):
    """Radial functions R_n, apart for each species, and spherical harmonics of all neighbours.

    R_n = sin(π n x) f_c(r), where x = (1 − exp(−r/a)) / (1 − exp(−cutoff/a)) makes them narrow
    near the centre and wide far from it.
    """

    radial: Float[Tensor, "environment slot species_n"]
    harmonics: Float[Tensor, "environment slot lm"]


def expansion(
    table: Environments, n_species: int, max_radial: int, max_angular: int, cutoff: float
) -> Expansion:
    """Radial functions and harmonics of a table."""
    radial = _radial(torch.linalg.vector_norm(table.r, dim=-1), max_radial, cutoff)
    return Expansion(
        _by_species(radial, table.species, n_species), _harmonics(table.r, max_angular + 1)
    )


def of_tags(
    found: Expansion, n_tags: int, weights: Float[Tensor, "species n factor channel l"]
) -> Float[Tensor, "environment tag_slot channel lm"]:
    """Mixtures Σ_n weight R_n(r) Y_lm of each of the first neighbours, for the first factor."""
    mixed = _mixed(found.radial[:, :n_tags], weights[:, :, :1])[0]
    return mixed * found.harmonics[:, :n_tags, None]


def of_densities(
    found: Expansion, weights: Float[Tensor, "species n factor channel l"]
) -> Float[Tensor, "factor environment channel lm"]:
    """Sums of such mixtures over all neighbours, for each factor: summed first, mixed then."""
    density = found.radial.mT @ found.harmonics
    repeated = _repeated(weights, density).permute(4, 0, 1, 2, 3).flatten(1, 2)
    mixed = density.permute(2, 0, 1) @ repeated.flatten(2)
    return mixed.unflatten(-1, weights.shape[2:4]).permute(2, 1, 3, 0)


def slopes_of_mixtures(
    r: Float[Tensor, "environment slot xyz"],
    species: Int[Tensor, "environment slot"],
    weights: Float[Tensor, "species n factor channel l"],
    cutoff: float,
) -> Float[Tensor, "xyz factor environment slot channel lm"]:
    """Derivatives of the mixtures of each neighbour in its vector, for all factors."""
    n_species = len(weights)
    distance = torch.linalg.vector_norm(r, dim=-1)
    radial = _by_species(_radial(distance, weights.shape[1], cutoff), species, n_species)
    (steep,) = slopes(lambda x: _radial(x, weights.shape[1], cutoff), distance[..., None])
    harmonics = _harmonics(r, weights.shape[-1])
    turned = slopes(lambda x: _harmonics(x, weights.shape[-1]), r)
    unit = (r / distance[..., None]).movedim(-1, 0)
    along = _mixed(_by_species(steep, species, n_species), weights) * harmonics[:, :, None]
    across = _mixed(radial, weights)
    return torch.stack(
        [
            torch.addcmul(along * unit[x][..., None, None], across, turned[x][:, :, None])
            for x in range(3)
        ]
    )


@torch.enable_grad()
def slopes(
    function: Callable[[Tensor], Tensor], vectors: Float[Tensor, "environment slot axis"]
) -> Float[Tensor, "axis environment slot ..."]:
    """Derivatives of a function of vectors, each of its own, along their axes."""
    vectors = vectors.detach().requires_grad_()
    n_axes = vectors.shape[-1]
    axes = torch.eye(n_axes).to(vectors)[:, None, None].expand(n_axes, *vectors.shape)
    return Linearised(function(vectors), [vectors])([axes])


def _radial(
    distance: Float[Tensor, "environment slot *one"], max_radial: int, cutoff: float
) -> Float[Tensor, "environment slot n"]:
    distance = distance.view(*distance.shape[:2], 1)
    n = torch.arange(1, max_radial + 1).to(distance)
    reach = -torch.expm1(distance.new_tensor(-cutoff / DECAY_LENGTH))
    x = -torch.expm1(-distance / DECAY_LENGTH) / reach
    return torch.sin(torch.pi * n * x) * PolynomialCutoff(width=cutoff)(distance, cutoff)


def _harmonics(
    r: Float[Tensor, "environment slot xyz"], n_l: int
) -> Float[Tensor, "environment slot lm"]:
    unit = r / torch.linalg.vector_norm(r, dim=-1, keepdim=True)
    return spherical_harmonics(unit.flatten(0, 1), n_l - 1).unflatten(0, r.shape[:2])


def _by_species(
    radial: Float[Tensor, "environment slot n"],
    species: Int[Tensor, "environment slot"],
    n_species: int,
) -> Float[Tensor, "environment slot species_n"]:
    """Radial functions in the place of the species of each neighbour, zero in others."""
    one_hot = torch.nn.functional.one_hot(species, n_species).to(radial)
    return (one_hot[..., None] * radial[..., None, :]).flatten(2)


def _repeated(
    weights: Float[Tensor, "species n factor channel l"], like: Tensor
) -> Float[Tensor, "species n factor channel lm"]:
    """Weights repeated for the components of each l."""
    orders = torch.tensor([l for l in range(weights.shape[-1]) for _ in range(2 * l + 1)])
    return weights.to(like).index_select(-1, orders.to(like.device))


def _mixed(
    radial: Float[Tensor, "environment slot species_n"],
    weights: Float[Tensor, "species n factor channel l"],
) -> Float[Tensor, "factor environment slot channel lm"]:
    """Mixtures of radial functions, repeated for the components of each l."""
    repeated = _repeated(weights, radial)
    mixed = radial @ repeated.permute(2, 0, 1, 3, 4).flatten(3).flatten(1, 2)[:, None]
    return mixed.unflatten(-1, repeated.shape[3:])


def tag_weights(
    r: Float[Tensor, "environment slot xyz"], tag_cutoff: float
) -> Float[Tensor, "environment slot"]:
    """Weight of each neighbour as a tagged one: 1 at the centre, 0 from the tag cutoff on."""
    distance = torch.linalg.vector_norm(r, dim=-1)
    return PolynomialCutoff(width=tag_cutoff)(distance, tag_cutoff)
