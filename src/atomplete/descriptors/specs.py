"""Plain-data specs of representations: what a checkpoint, YAML and the command line name."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from atomplete.descriptors.base import DescriptorSpec
from atomplete.descriptors.equivariants import blocks_of_order, couplings
from atomplete.descriptors.expansion import ExpansionSpec
from atomplete.descriptors.memory import MEMORY
from atomplete.descriptors.random_fourier.spec import RandomFourierSpec
from atomplete.errors import InputError
from atomplete.o3 import coupled_triples
from atomplete.units import Cutoff

Count = Annotated[int, Field(ge=0)]

#: Bytes that a spec may ask for to describe features, before any of them is computed.
LARGEST = 2 * MEMORY


def _not_all_zero(counts: tuple[int, int]) -> tuple[int, int]:
    if not any(counts):
        raise ValueError("no feature would be left")
    return counts


class ExpandedSpec(DescriptorSpec):
    """Spec of a descriptor that is made of pair coefficients g_ij.

    Examples
    --------
    >>> ThreeCenterSpec().cutoff
    2.0
    """

    expansion: ExpansionSpec = ExpansionSpec()

    @property
    def cutoff(self) -> float:
        """Radius of an environment, Å."""
        return self.expansion.cutoff

    def known_species(self) -> tuple[int, ...]:
        """Atomic numbers of the neighbours that are described."""
        return self.expansion.species

    def numbers_held(self) -> int:
        """Numbers that are held to describe features and to contract them, about, at the most."""
        return 0

    @model_validator(mode="after")
    def _few_enough(self) -> "ExpandedSpec":
        size = 8 * self.numbers_held()
        if size > LARGEST:
            raise ValueError(
                f"features of {self.expansion.n_channels} channels and l up to "
                f"{self.expansion.max_angular} are too many, {size / 1e9:.2g} GB before any is "
                "computed; name fewer species or radial functions, or contract them first"
            )
        return self


class DensityCorrelationsSpec(ExpandedSpec):
    """Invariants of the neighbour density, of the orders ν named (N = 0).

    Examples
    --------
    >>> DensityCorrelationsSpec(nu=(2,)).expansion.cutoff
    2.0
    """

    type: Literal["density_correlations"] = "density_correlations"
    nu: tuple[Literal[1, 2, 3], ...] = Field(default=(1, 2, 3), min_length=1)

    def numbers_held(self) -> int:
        """Parities, a number for each feature, and the positions of them among all products."""
        n_channels, n_orders = self.expansion.n_channels, self.expansion.max_angular + 1
        triples = coupled_triples(self.expansion.max_angular)
        n_blocks = {1: 1, 2: n_orders, 3: sum(a <= b <= c for a, b, c in triples)}
        return sum(2 * n_blocks[nu] * n_channels**nu for nu in self.nu)


class ThreeCenterSpec(ExpandedSpec):
    """Three-centre descriptors (N = 2, ν = 1), as they are or contracted.

    With ``radial_components`` the radial channels of each l are first contracted to that many;
    with ``components`` the rows are projected on that many scalars and pseudoscalars. With a
    ``tag_cutoff`` only neighbours within it are tagged, while the density keeps them all: their
    pair coefficients end at the tag cutoff instead, as smoothly.

    Examples
    --------
    >>> ThreeCenterSpec(radial_components=4, components=(400, 250)).components
    (400, 250)
    """

    type: Literal["three_center"] = "three_center"
    tag_cutoff: Cutoff | None = Field(
        default=None, description="radius of the tagged neighbours, Å; None: the cutoff"
    )
    radial_components: int | None = Field(default=None, ge=1)
    components: Annotated[tuple[Count, Count], AfterValidator(_not_all_zero)] | None = None

    def numbers_held(self) -> int:
        """Labels and parity, eight for each feature, and the columns of components."""
        n_channels = min(self.expansion.n_channels, self.radial_components or 10**9)
        n_features = n_channels**3 * len(coupled_triples(self.expansion.max_angular))
        columns = 0 if self.components is None else min(max(self.components), n_features)
        return n_features * (8 + columns)


class TaggedCorrelationsSpec(ExpandedSpec):
    """Correlations of N tagged neighbours and ν densities, of any equivariance.

    Examples
    --------
    >>> TaggedCorrelationsSpec(n_tagged=1, nu=2).expansion.max_radial
    6
    """

    type: Literal["tagged_correlations"] = "tagged_correlations"
    n_tagged: Literal[0, 1, 2] = Field(default=1, description="N, tagged neighbours of a row")
    nu: Literal[0, 1, 2, 3] = Field(default=1, description="ν, densities that they correlate with")
    tag_cutoff: Cutoff | None = Field(
        default=None, description="radius of the tagged neighbours, Å; None: the cutoff"
    )
    max_lambda: int | None = Field(
        default=None, ge=0, le=32, description="largest intermediate order; None: max_angular"
    )

    def numbers_held(self) -> int:
        """Labels of all products, three for each factor and one more."""
        n_factors, max_angular = self.n_tagged + self.nu, self.expansion.max_angular
        largest = max_angular if self.max_lambda is None else self.max_lambda
        density = [(l, 1) for l in range(max_angular + 1)]
        ways = dict.fromkeys(density, 1)
        for factor in range(1, n_factors):
            orders = range(largest + 1) if factor < n_factors - 1 else range(1)
            ways = {
                (o3_lambda, sigma): sum(
                    ways[left] for left, _ in couplings(list(ways), density, o3_lambda, sigma)
                )
                for o3_lambda in orders
                for sigma in (1, -1)
            }
        return sum(ways.values()) * self.expansion.n_channels**n_factors * (3 * n_factors + 1)

    @model_validator(mode="after")
    def _has_a_factor(self) -> "TaggedCorrelationsSpec":
        if self.n_tagged + self.nu == 0:
            raise ValueError("n_tagged and nu cannot both be 0: nothing would be described")
        return self


def tag_cutoff_of(spec: ThreeCenterSpec | TaggedCorrelationsSpec) -> float:
    """Radius of the tagged neighbours, Å: at most the cutoff, which it is by default.

    Raises
    ------
    InputError
        If it is larger.

    Examples
    --------
    >>> tag_cutoff_of(ThreeCenterSpec()), tag_cutoff_of(ThreeCenterSpec(tag_cutoff=1.5))
    (2.0, 1.5)
    """
    cutoff = spec.expansion.cutoff
    if spec.tag_cutoff is not None and spec.tag_cutoff > cutoff:
        raise InputError(f"tag_cutoff {spec.tag_cutoff:g} Å is larger than the cutoff {cutoff:g} Å")
    return spec.tag_cutoff or cutoff


#: Components of [N23] for NICE to ν = 7 with l ≤ 3, of each order ν ≥ 2 and each of its blocks.
NICE_COMPONENTS = (
    (25, 25, 40, 25, 15, 20, 22),
    (80, 180, 200, 200, 120, 120, 180, 30),
    (150, 500, 400, 500, 500, 500, 600, 120),
    (200, 700, 700, 700, 600, 600, 700, 150),
    (300, 800, 800, 800, 800, 800, 800, 250),
    (1000, 1000),
)


class NiceSpec(ExpandedSpec):
    """Density correlations of the orders ν = 1..``max_nu``, contracted at each step (N = 0).

    ``components`` are kept of each block: given numbers, for each order ν ≥ 2 and each of its
    ``blocks()``; or as few as hold that fraction of the mean square; or None for no contraction.

    Examples
    --------
    >>> NiceSpec(max_nu=3, components=((25, 25, 40, 25, 15, 20, 22), (80, 30))).blocks()[1]
    [(0, 1), (0, -1)]
    >>> NiceSpec(max_nu=7, components=NICE_COMPONENTS).components[5]
    (1000, 1000)
    """

    type: Literal["nice"] = "nice"
    max_nu: int = Field(default=4, ge=1, le=20, description="largest ν, inclusive")
    max_lambda: int | None = Field(
        default=None, ge=0, le=32, description="largest intermediate order; None: max_angular"
    )
    components: tuple[tuple[Count, ...], ...] | Annotated[float, Field(gt=0, le=1)] | None = (
        1 - 1e-6
    )
    # of the difference of a B8 pair at ν = 7, 1000 leave 8 % less and 1500 leave 3 % less than 2000
    candidates: int | None = Field(
        default=2000, ge=1, description="products formed for a block, the largest; None: all"
    )
    fit_environments: int = Field(
        default=1000, ge=1, description="the fit is to no more than so many, drawn at random"
    )

    def blocks(self) -> list[list[tuple[int, int]]]:
        """The blocks (λ, σ) of each order ν = 2..max_nu, in the order of ``components``.

        σ = +1 with λ = 0, 1, …, then σ = −1 with λ = 1, 2, …, and (0, −1) last; λ is no larger
        than ``max_lambda`` nor than what can come back to 0 at ``max_nu``.
        """
        max_angular = self.expansion.max_angular
        largest = max_angular if self.max_lambda is None else self.max_lambda
        orders = range(2, self.max_nu + 1)
        return [
            [
                key
                for key in blocks_of_order(nu, max_angular, largest)
                if key[0] <= (self.max_nu - nu) * max_angular
            ]
            for nu in orders
        ]

    @model_validator(mode="after")
    def _components_are_of_the_blocks(self) -> "NiceSpec":
        if self.components is None and self.candidates is not None:
            raise ValueError("candidates are chosen among components: both or neither")
        if isinstance(self.components, tuple):
            sizes, expected = (
                [len(order) for order in orders] for orders in (self.components, self.blocks())
            )
            if sizes != expected:
                raise ValueError(
                    f"components of {sizes} blocks for ν = 2..{self.max_nu}, not of {expected}"
                )
        return self


#: Names that a user may give instead of a spec.
NAMED: dict[str, DescriptorSpec] = {
    "radial_spectrum": DensityCorrelationsSpec(nu=(1,)),
    "power_spectrum": DensityCorrelationsSpec(nu=(2,)),
    "bispectrum": DensityCorrelationsSpec(nu=(3,)),
    "density_correlations": DensityCorrelationsSpec(),
    "pair": TaggedCorrelationsSpec(n_tagged=1, nu=1),
    "pair_nu2": TaggedCorrelationsSpec(n_tagged=1, nu=2),
    "three_center": ThreeCenterSpec(),
    "random_fourier": RandomFourierSpec(),
}
