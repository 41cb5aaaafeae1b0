"""One block of one NICE iteration: the largest products with the density, contracted.

Blocks are held here as (center, mu, feature), so that a contraction is one matrix product.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from atomplete.descriptors.contraction.contraction import principal_components
from atomplete.o3 import clebsch_gordan

Key = tuple[int, int]
Blocks = Mapping[Key, Float[Tensor, "center _ _"]]

#: Bound on the products that are held at once while a block is fitted, bytes.
FIT_BYTES = 64 * 2**20

#: Columns of a second moment that are computed at once.
STRIP = 256


@dataclass(frozen=True)
class BlockReport:
    """Components and variance that one block of one order has kept on the training environments.

    Attributes
    ----------
    nu, o3_lambda, o3_sigma
        Order and block.
    products, candidates, kept
        Number of all products of the order before with the density, of those that were formed,
        and of their components.
    mean_square
        Of all products together, for each environment.
    not_formed, lost
        Fraction of the mean square in products that were not formed; the same with what the
        contraction has left out.

    Examples
    --------
    >>> kept = BlockReport(2, 0, 1, 144, 144, 20, 1.7, not_formed=0.0, lost=2.1e-9)
    >>> str(kept).split(";")[0]
    'ν=2 λ=0 σ=+1:    144 products,   144 formed,   20 kept'
    """

    nu: int
    o3_lambda: int
    o3_sigma: int
    products: int
    candidates: int
    kept: int
    mean_square: float
    not_formed: float
    lost: float

    def __str__(self) -> str:
        return (
            f"ν={self.nu} λ={self.o3_lambda} σ={self.o3_sigma:+d}: {self.products:6d} products, "
            f"{self.candidates:5d} formed, {self.kept:4d} kept; of the mean square "
            f"{self.mean_square:.1e} {self.not_formed:.1e} not formed, {self.lost:.1e} lost"
        )


class NiceBlock(nn.Module):
    """Part (λ, σ) of the product of blocks of order ν with the density: order ν + 1.

    Features of a factor are sorted by their root mean square, so that of each channel of the
    density the largest products are those with the first features of the other factor: how
    many is all there is to know of the choice. The state dict holds those numbers, the
    contraction and the mean squares; its shapes are those found by the fit.

    Parameters
    ----------
    pairs
        The couplings of a block of order ν with one of the density.
    o3_lambda
        Order of the block.
    n_channels
        Channels of the density.
    n_candidates, n_kept
        Largest number of products and of their components.
    contracted
        Whether components are taken at all.
    """

    n_left: Tensor
    contraction: Tensor | None
    statistics: Tensor

    def __init__(
        self,
        pairs: list[tuple[Key, Key]],
        o3_lambda: int,
        n_channels: int,
        *,
        n_candidates: int,
        n_kept: int,
        contracted: bool,
    ) -> None:
        super().__init__()
        self.pairs = pairs
        self.o3_lambda = o3_lambda
        self.n_candidates, self.n_kept, self._most = n_candidates, n_kept, n_kept
        #: Features of the left factor that are multiplied: for each coupling and channel.
        self.register_buffer("n_left", torch.zeros(len(pairs), n_channels, dtype=torch.long))
        empty = torch.zeros(n_candidates, 0, dtype=torch.float64)
        self.register_buffer("contraction", empty if contracted else None)
        #: Number of all products; mean square of all, of the candidates, and of what is kept.
        self.register_buffer("statistics", torch.zeros(4, dtype=torch.float64))

    def forward(self, left: Blocks, density: Blocks) -> Float[Tensor, "center mu feature"]:
        """The block of order ν + 1."""
        products = self.products(left, density)
        return products if self.contraction is None else products @ self.contraction.to(products)

    def products(self, left: Blocks, density: Blocks) -> Float[Tensor, "center mu candidate"]:
        """Σ C[λ1 μ1; λ2 μ2 | λ μ] left_μ1 density_μ2 of the chosen features."""
        parts = []
        for (a, b), n_left in zip(self.pairs, self.n_left.tolist(), strict=True):
            block = self._coupling(a, b, left[a])
            coupled = torch.einsum("xyz,iyq->iqzx", block, density[b])
            parts += [
                coupled[:, q] @ left[a][:, :, :number] for q, number in enumerate(n_left) if number
            ]
        n_centers = len(density[0, 1])
        empty = density[0, 1].new_zeros(n_centers, 2 * self.o3_lambda + 1, 0)
        return torch.cat(parts, 2) if parts else empty

    def fit(
        self, left: Blocks, density: Blocks, *, limit: int | None, retained: float | None
    ) -> Float[Tensor, "center mu feature"]:
        """Choose products and components from training environments; returns their block.

        With ``retained`` as few components are kept as hold that fraction of the mean square.
        """
        n_products = self._choose(left, density, limit)
        n_centers = max(1, len(density[0, 1]))
        whole = sum(self._mean_square(a, b, left[a], density[b]) for a, b in self.pairs)
        products = _in_parts(self.products, left, density, self.n_candidates)
        if self.contraction is None:
            block = torch.cat(list(products))
            formed = kept = block.square().sum() / n_centers
        else:
            moment = _second_moment(products, self.n_candidates)
            self.contraction, squares = leading_components(moment, self._most, retained)
            self.n_kept = len(squares)
            formed, kept = moment.trace() / n_centers, squares.sum() / n_centers
            block = torch.cat(list(_in_parts(self, left, density, self.n_candidates)))
        self.statistics = torch.tensor([n_products, whole, formed, kept], dtype=torch.float64)
        return block

    def report(self, nu: int, o3_sigma: int) -> BlockReport:
        """Components and variance that the fit has kept."""
        n_products, whole, formed, kept = self.statistics.tolist()
        return BlockReport(
            nu,
            self.o3_lambda,
            o3_sigma,
            products=int(n_products),
            candidates=self.n_candidates,
            kept=self.n_kept,
            mean_square=whole,
            not_formed=max(0.0, 1 - formed / whole) if whole else 0.0,
            lost=max(0.0, 1 - kept / whole) if whole else 0.0,
        )

    def _choose(self, left: Blocks, density: Blocks, limit: int | None) -> int:
        """Take the products whose factors have the largest root mean squares; count them all."""
        scores = [
            torch.outer(_root_mean_square(density[b]), _root_mean_square(left[a]))
            for a, b in self.pairs
        ]
        flat = torch.cat([score.flatten() for score in scores])
        chosen = torch.zeros_like(flat, dtype=torch.bool)
        chosen[flat.argsort(descending=True, stable=True)[:limit]] = True
        parts = chosen.split([score.numel() for score in scores])
        self.n_left = torch.stack(
            [part.reshape(score.shape).sum(1) for part, score in zip(parts, scores, strict=True)]
        )
        self.n_candidates = int(self.n_left.sum())
        return len(flat)

    def _coupling(self, a: Key, b: Key, like: Tensor) -> Float[Tensor, "mu1 mu2 mu"]:
        return clebsch_gordan(a[0], b[0], self.o3_lambda, dtype=like.dtype, device=like.device)

    def _mean_square(self, a: Key, b: Key, left: Tensor, right: Tensor) -> Tensor:
        """Mean square of products of two blocks without forming them: Σ C C (Σ_f l l) (Σ_q r r)."""
        block = self._coupling(a, b, left)
        projector = torch.einsum("xyz,pqz->xpyq", block, block)
        first, second = (factor @ factor.transpose(1, 2) for factor in (left, right))
        return torch.einsum("xpyq,ixp,iyq->", projector, first, second) / max(1, len(left))

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        """Take the shapes of the state: they are those that a fit has found."""
        for name, buffer in self._buffers.items():
            if buffer is not None and prefix + name in state_dict:
                setattr(self, name, buffer.new_empty(state_dict[prefix + name].shape))
        super()._load_from_state_dict(state_dict, prefix, *rest)
        self.n_candidates = int(self.n_left.sum())
        self.n_kept = self.n_candidates if self.contraction is None else self.contraction.shape[1]


def _second_moment(
    parts: Iterator[Float[Tensor, "_ mu candidate"]], n_candidates: int
) -> Float[Tensor, "candidate candidate"]:
    """Σ products products over all centres and μ."""
    moment = torch.zeros(n_candidates, n_candidates, dtype=torch.float64)
    for part in parts:
        rows = part.flatten(0, 1)
        # strip by strip, so that little of what symmetry gives is computed
        for start in range(0, n_candidates, STRIP):
            strip = rows[:, start : start + STRIP]
            moment[start:, start : start + STRIP].addmm_(rows[:, start:].T, strip)
    return moment.tril() + moment.tril(-1).T


def leading_components(
    moment: Float[Tensor, "feature feature"], n_kept: int, retained: float | None
) -> tuple[Float[Tensor, "feature kept"], Float[Tensor, " kept"]]:
    """Principal components about zero with their squares, no more than the moment's rank."""
    components = principal_components(moment, n_kept)
    squares = ((moment @ components) * components).sum(0)
    significant = squares > squares[:1] * len(moment) * torch.finfo(moment.dtype).eps
    number = int(significant.sum())
    if retained is not None:
        rest = moment.trace() - squares.cumsum(0)
        # the first number of components after which no more than 1 − retained is left
        number = min(number, 1 + int((rest > (1 - retained) * moment.trace()).sum()))
    return components[:, :number].contiguous(), squares[:number]


def _root_mean_square(block: Float[Tensor, "center mu feature"]) -> Float[Tensor, " feature"]:
    return block.square().mean((0, 1)).sqrt()


def _in_parts(
    function: Any, left: Blocks, density: Blocks, n_candidates: int
) -> Iterator[Float[Tensor, "center mu feature"]]:
    """Values of a function of blocks for some centres at a time."""
    n_mu = max(block.shape[1] for block in left.values())
    size = max(1, FIT_BYTES // (8 * n_mu * max(1, n_candidates)))
    for start in range(0, len(density[0, 1]), size):
        part = slice(start, start + size)
        yield function(
            {key: block[part] for key, block in left.items()},
            {key: block[part] for key, block in density.items()},
        )
