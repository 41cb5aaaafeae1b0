"""Largest numbers of products and components of the blocks of NICE, and memory of a fit."""

from dataclasses import dataclass

from atomplete.descriptors.equivariants import couplings
from atomplete.descriptors.memory import CHUNK_BYTES, OVERHEAD
from atomplete.descriptors.nice.block import FIT_BYTES, Key
from atomplete.descriptors.specs import NiceSpec


@dataclass(frozen=True)
class BlockSizes:
    """The largest numbers that a spec allows for one block.

    Attributes
    ----------
    pairs
        The couplings of a block of the order before with one of the density.
    n_products, n_candidates, n_kept
        Products, those that are formed, and components of them.
    """

    pairs: list[tuple[Key, Key]]
    n_products: int
    n_candidates: int
    n_kept: int


def block_sizes(spec: NiceSpec, n_centers: int | None = None) -> list[dict[Key, BlockSizes]]:
    """Sizes of the blocks of each order ν ≥ 2.

    There are no more components than rows that they are fitted to, if that number is given.

    Examples
    --------
    >>> spec = NiceSpec(max_nu=2, components=0.99)
    >>> [block_sizes(spec, n)[0][0, 1].n_kept for n in (None, 20)]
    [144, 20]
    """
    n_channels = spec.expansion.n_channels
    density = [(l, 1) for l in range(spec.expansion.max_angular + 1)]
    left, orders = dict.fromkeys(density, n_channels), []
    for order, keys in enumerate(spec.blocks()):
        sizes = {}
        for position, key in enumerate(keys):
            pairs = couplings(list(left), density, *key)
            n_products = sum(left[a] for a, _ in pairs) * n_channels
            n_kept = n_candidates = min(n_products, spec.candidates or n_products)
            if spec.components is not None and n_centers is not None:
                n_kept = min(n_kept, n_centers * (2 * key[0] + 1))
            if isinstance(spec.components, tuple):
                n_kept = min(n_kept, spec.components[order][position])
            sizes[key] = BlockSizes(pairs, n_products, n_candidates, n_kept)
        orders.append(sizes)
        left = {key: size.n_kept for key, size in sizes.items()}
    return orders


def density_numbers(spec: NiceSpec) -> int:
    """Numbers in the density of one environment."""
    return spec.expansion.n_channels * (spec.expansion.max_angular + 1) ** 2


def fit_bytes(spec: NiceSpec, n_centers: int) -> int:
    """Bytes that a fit to so many environments holds, at the most.

    Examples
    --------
    >>> fit_bytes(NiceSpec(), n_centers=100) / 1e9 < fit_bytes(NiceSpec(), n_centers=1000) / 1e9
    True
    """
    density = before = largest = density_numbers(spec)
    need = CHUNK_BYTES  # while densities of the environments are computed
    for blocks in block_sizes(spec, n_centers):
        sizes = [(2 * key[0] + 1) * block.n_kept for key, block in blocks.items()]
        held = 8 * n_centers * (3 * density + before + sum(sizes))
        for (o3_lambda, _), block in blocks.items():
            n_mu = 2 * o3_lambda + 1
            of_one = 8 * n_mu * block.n_candidates
            # products and what they are made of; the block, in parts and joined
            fitting = 3 * max(of_one, min(FIT_BYTES, n_centers * of_one))
            fitting += 2 * 8 * n_centers * n_mu * block.n_kept
            # squares of a block, and scores of products with their order
            fitting += 2 * 8 * n_centers * largest + 6 * 8 * block.n_products
            if spec.components is not None:  # a second moment, eigenvectors and work space
                fitting += 5 * 8 * block.n_candidates**2
            need = max(need, held + fitting)
        before, largest = sum(sizes), max(sizes)
    return OVERHEAD + need
