"""Permutation symmetry of three-centre rows: exchange of the two tagged neighbours.

Row (i, i2, i1) holds the numbers of row (i, i1, i2) in another order, up to the sign of their
parity: in place of (q1, l1, q2, l2, q3, l3) stands (q2, l2, q1, l1, q3, l3). A second moment of
all rows is therefore block diagonal in the sums and the differences of exchanged features, and
the rows i1 ≤ i2 are enough to find it.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from atomplete.o3 import coupled_triples


@dataclass(frozen=True)
class Exchange:
    """Features of one parity, in order, and the pairs that an exchange swaps.

    Attributes
    ----------
    features
        Where they are among the features of both parities.
    fixed, first, second
        Positions in ``features``: those that are exchanged for themselves, and one and the other
        of those that are exchanged for each other.

    Examples
    --------
    >>> from atomplete.descriptors.tagged.rows import three_center_labels
    >>> even, odd = exchanges(three_center_labels(6, 3))
    >>> even.sizes, odd.sizes
    ((2610, 2358), (1278, 1098))
    """

    features: Int[Tensor, " feature"]
    fixed: Int[Tensor, " fixed"]
    first: Int[Tensor, " exchanged"]
    second: Int[Tensor, " exchanged"]

    @property
    def sizes(self) -> tuple[int, int]:
        """Numbers of sums (with the fixed features) and of differences."""
        return len(self.fixed) + len(self.first), len(self.first)

    def fold(self, values: Float[Tensor, "row all"]) -> list[Float[Tensor, "row half"]]:
        """Sums and differences of the features, an orthogonal change of basis, in float64."""
        fixed, first, second = (
            values[:, self.features[part]] for part in (self.fixed, self.first, self.second)
        )
        sums = torch.cat([fixed, (first + second).mul_(0.5**0.5)], 1)
        return [sums.double(), first.sub_(second).mul_(0.5**0.5).double()]

    def unfold(
        self, sums: Float[Tensor, "sum k"], differences: Float[Tensor, "difference l"]
    ) -> Float[Tensor, "feature k_and_l"]:
        """Columns over sums, then columns over differences, as columns over the features."""
        n_fixed, n_sums = len(self.fixed), sums.shape[1]
        columns = sums.new_zeros(len(self.features), n_sums + differences.shape[1])
        columns[self.fixed, :n_sums] = sums[:n_fixed]
        columns[self.first, :n_sums] = columns[self.second, :n_sums] = 0.5**0.5 * sums[n_fixed:]
        columns[self.first, n_sums:] = 0.5**0.5 * differences
        columns[self.second, n_sums:] = -(0.5**0.5) * differences
        return columns


def exchanged_sizes(n_channels: int, max_angular: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Sizes of the exchange of even and of odd features, without their labels.

    Examples
    --------
    >>> exchanged_sizes(6, 3)
    ((2610, 2358), (1278, 1098))
    """
    sizes = []
    for parity in (0, 1):
        orders = [triple for triple in coupled_triples(max_angular) if sum(triple) % 2 == parity]
        # exchanged for itself is what has q1 = q2 and l1 = l2
        fixed = sum(l1 == l2 for l1, l2, _ in orders) * n_channels**2
        differences = (len(orders) * n_channels**3 - fixed) // 2
        sizes.append((fixed + differences, differences))
    return sizes[0], sizes[1]


def exchanges(labels: Int[Tensor, "feature 6"]) -> tuple[Exchange, Exchange]:
    """The exchange of even and of odd features with such labels (q1, l1, q2, l2, q3, l3)."""
    keys = _keys(labels)
    order = keys.argsort()
    exchanged = order[torch.searchsorted(keys[order], _keys(labels[:, [2, 3, 0, 1, 4, 5]]))]
    odd = labels[:, 1::2].sum(1) % 2
    return _exchange(exchanged, odd == 0), _exchange(exchanged, odd == 1)


def _exchange(exchanged: Int[Tensor, " all"], chosen: Tensor) -> Exchange:
    features = chosen.nonzero()[:, 0]
    place = chosen.cumsum(0) - 1
    here, there = place[features], place[exchanged[features]]
    first = here[here < there]
    return Exchange(features, here[here == there], first, there[first])


def _keys(labels: Int[Tensor, "feature 6"]) -> Int[Tensor, " feature"]:
    """One number for each label, larger the later it comes."""
    base = int(labels.max()) + 1 if len(labels) else 1
    return (labels * base ** torch.arange(5, -1, -1)).sum(1)
