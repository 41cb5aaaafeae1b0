"""Random weights that make invariants of an environment: of radial functions, and of couplings.

A channel is a trilinear form in three vectors over (l, m), each with a constant 1 at its end, so
that products of one, two and three factors are cases of one formula.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from atomplete.o3 import clebsch_gordan, coupled_triples, lm_slice

#: Weights of radial functions fall with their number: smooth functions come first.
DECAY = 1.75

#: Weight of hydrogen atoms beside that of other elements.
HYDROGEN = 0.5

#: Shares of the channels with one factor and with two; the others have three. By the number of
#: tagged neighbours.
SHARES = ((1 / 8, 1 / 4), (1 / 8, 1 / 2), (0.0, 1 / 4))

#: Share of the channels with two tagged neighbours that are squares of pseudoscalars.
ODD = 1 / 4


def radial_weights(
    species: tuple[int, ...],
    shape: tuple[int, int, int, int],
    generator: torch.Generator,
) -> Float[Tensor, "species n factor channel l"]:
    """Random mixtures of species and radial functions, for each factor, channel and l."""
    weights = torch.randn(len(species), *shape, generator=generator, dtype=torch.float64)
    of_species = torch.tensor([HYDROGEN if z == 1 else 1.0 for z in species]).double()
    of_radial = torch.arange(1, shape[0] + 1).double() ** -DECAY
    return weights * (of_species[:, None] * of_radial)[..., None, None, None]


def couplings(
    n_tagged: int, channels: int, max_angular: int, generator: torch.Generator
) -> tuple[Float[Tensor, "channel lm lm lm"], int]:
    """Trilinear forms of all channels, and how many of them, the last ones, are pseudoscalars.

    Each is a random sum over all couplings of one, two or three (l, m) to an invariant. With two
    tagged neighbours it is symmetric in them, or antisymmetric for a pseudoscalar.
    """
    one, two = (round(share * channels) for share in SHARES[n_tagged])
    odd = round(ODD * channels) if n_tagged == 2 else 0
    size = (max_angular + 1) ** 2
    forms = torch.zeros(channels, size + 1, size + 1, size + 1, dtype=torch.float64)
    triples = coupled_triples(max_angular)
    draw = torch.randn(channels, len(triples), generator=generator, dtype=torch.float64)
    forms[:one, 0, size, size] = 1.0
    for l in range(max_angular + 1):
        for lm in range(size)[lm_slice(l)]:
            forms[one : one + two, lm, lm, size] = draw[one : one + two, l] / (2 * l + 1)
    even, pseudo = slice(one + two, channels - odd), slice(channels - odd, channels)
    for path, (l1, l2, l3) in enumerate(triples):
        chosen = even if (l1 + l2 + l3) % 2 == 0 else pseudo
        block = clebsch_gordan(l1, l2, l3) / (2 * l3 + 1) ** 0.5
        forms[chosen, lm_slice(l1), lm_slice(l2), lm_slice(l3)] += (
            draw[chosen, path, None, None, None] * block
        )
    if n_tagged == 2:
        exchanged = forms.transpose(1, 2).clone()
        exchanged[pseudo] *= -1
        forms = forms + exchanged
    return forms, odd
