"""Products of blocks that make correlations of several factors, and their labels."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from atomplete.descriptors.equivariants import blocks_of, couple, couplings
from atomplete.descriptors.specs import TaggedCorrelationsSpec
from atomplete.o3 import lm_slice

Key = tuple[int, int]


@dataclass(frozen=True)
class Product:
    """Some features of a left block times all channels of one l, of which some are kept."""

    left: Key
    l: int
    features: Int[Tensor, " left"]
    kept: Int[Tensor, " product"]


Step = dict[Key, list[Product]]
Labels = dict[Key, Int[Tensor, "_ _"]]  # (feature, label)


def plan(spec: TaggedCorrelationsSpec, o3_lambda: int) -> tuple[list[Step], Labels]:
    """The products of each step that ends in λ, and the labels of what comes out."""
    basis = spec.expansion
    n_channels, max_angular = basis.n_channels, basis.max_angular
    max_lambda = spec.max_lambda if spec.max_lambda is not None else max_angular
    # vanishing products are found on a random density
    generator = torch.Generator().manual_seed(0)
    lm = (max_angular + 1) ** 2
    random = torch.randn(1, n_channels, lm, generator=generator, dtype=torch.float64)
    blocks = blocks_of(random)
    q = torch.arange(n_channels)
    labels = {
        key: torch.stack([q, torch.full_like(q, key[0]), torch.full_like(q, key[0])], 1)
        for key in blocks
    }
    steps: list[Step] = []
    n_factors = spec.nu + spec.n_tagged
    for factor in range(1, n_factors):
        remaining = n_factors - 1 - factor
        reach = min(max_lambda, o3_lambda + remaining * max_angular)
        lambdas = range(reach + 1) if remaining else (o3_lambda,)
        is_density = factor < spec.nu
        step, labels = _step(labels, n_channels, max_angular, lambdas, ordered=is_density)
        if is_density:
            blocks = apply(step, blocks, random)
            step, labels, blocks = _without_zeros(step, labels, blocks)
        steps.append(step)
    ends = {(o3_lambda, sigma): labels.get((o3_lambda, sigma)) for sigma in (1, -1)}
    return steps, {key: of_key for key, of_key in ends.items() if of_key is not None}


def _step(
    labels: Labels, n_channels: int, max_angular: int, lambdas: range | tuple[int], ordered: bool
) -> tuple[Step, Labels]:
    """All products of the blocks so far with one more factor; of equal factors, one order."""
    step: Step = {}
    joined: Labels = {}
    right = [(l, 1) for l in range(max_angular + 1)]
    q = torch.arange(n_channels)
    for o3_lambda in lambdas:
        for sigma in (1, -1):
            products, new = [], []
            for left, (l, _) in couplings(list(labels), right, o3_lambda, sigma):
                last_q, last_l = labels[left][:, -3], labels[left][:, -2]
                features = (last_l <= l).nonzero()[:, 0] if ordered else torch.arange(len(last_l))
                a, b = (x.flatten() for x in torch.meshgrid(features, q, indexing="ij"))
                in_order = (last_l[a] < l) | (last_q[a] <= b)
                kept = (in_order if ordered else torch.ones_like(in_order)).nonzero()[:, 0]
                added = torch.stack([b, torch.full_like(b, l), torch.full_like(b, o3_lambda)], 1)
                products.append(Product(left, l, features, kept))
                new.append(torch.cat([labels[left][a], added], 1)[kept])
            if products:
                step[o3_lambda, sigma] = products
                joined[o3_lambda, sigma] = torch.cat(new)
    return step, joined


def apply(
    step: Step, left: dict[Key, Tensor], right: Float[Tensor, "row channel lm"]
) -> dict[Key, Tensor]:
    """One more factor: ν → ν + 1, or N → N + 1."""
    return {
        key: torch.cat(
            [
                couple(left[p.left][:, p.features], right[:, :, lm_slice(p.l)], key[0])[:, p.kept]
                for p in products
            ],
            1,
        )
        for key, products in step.items()
    }


def _without_zeros(
    step: Step, labels: Labels, blocks: dict[Key, Tensor]
) -> tuple[Step, Labels, dict[Key, Tensor]]:
    """Leave out products that vanish for every density, such as ρ_a ⊗ ρ_a to an odd order."""
    kept_step: Step = {}
    kept = {key: block.abs().amax((0, 2)) > 1e-10 for key, block in blocks.items()}
    for key, products in step.items():
        sizes = [len(p.kept) for p in products]
        parts = kept[key].split(sizes)
        pairs = zip(products, parts, strict=True)
        left = [Product(p.left, p.l, p.features, p.kept[part]) for p, part in pairs if part.any()]
        if left:
            kept_step[key] = left
    return (
        kept_step,
        {key: labels[key][kept[key]] for key in kept_step},
        {key: blocks[key][:, kept[key]] for key in kept_step},
    )
