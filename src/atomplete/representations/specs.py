"""Plain-data specs of representations: what a checkpoint, YAML and the command line name."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from atomplete.representations.expansion import ExpansionSpec


class DensityCorrelationsSpec(BaseModel):
    """Invariants of the neighbour density, of the orders ν named (N = 0).

    Examples
    --------
    >>> DensityCorrelationsSpec(nu=(2,)).expansion.cutoff
    2.0
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    type: Literal["density_correlations"] = "density_correlations"
    nu: tuple[Literal[1, 2, 3], ...] = Field(default=(1, 2, 3), min_length=1)
    expansion: ExpansionSpec = ExpansionSpec()


class ThreeCenterSpec(BaseModel):
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

    model_config = ConfigDict(extra="forbid", frozen=True)
    type: Literal["three_center"] = "three_center"
    expansion: ExpansionSpec = ExpansionSpec()
    tag_cutoff: float | None = Field(
        default=None, gt=0, description="radius of the tagged neighbours, Å; None: the cutoff"
    )
    radial_components: int | None = Field(default=None, ge=1)
    components: tuple[int, int] | None = None


class TaggedCorrelationsSpec(BaseModel):
    """Correlations of N tagged neighbours and ν densities, of any equivariance.

    Examples
    --------
    >>> TaggedCorrelationsSpec(n_tagged=1, nu=2).expansion.max_radial
    6
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    type: Literal["tagged_correlations"] = "tagged_correlations"
    n_tagged: Literal[0, 1, 2] = Field(default=1, description="N, tagged neighbours of a row")
    nu: Literal[0, 1, 2, 3] = Field(default=1, description="ν, densities that they correlate with")
    expansion: ExpansionSpec = ExpansionSpec()
    tag_cutoff: float | None = Field(
        default=None, gt=0, description="radius of the tagged neighbours, Å; None: the cutoff"
    )
    max_lambda: int | None = Field(
        default=None, ge=0, description="largest intermediate order; None: max_angular"
    )

    @model_validator(mode="after")
    def _has_a_factor(self) -> "TaggedCorrelationsSpec":
        if self.n_tagged + self.nu == 0:
            raise ValueError("n_tagged and nu cannot both be 0: nothing would be described")
        return self


RepresentationSpec = Annotated[
    DensityCorrelationsSpec | ThreeCenterSpec | TaggedCorrelationsSpec, Field(discriminator="type")
]


class RepresentationOptions(BaseModel):
    """A spec of any kind as an option.

    Examples
    --------
    >>> content = {"spec": {"type": "density_correlations", "nu": [2]}}
    >>> RepresentationOptions.model_validate(content).spec.nu
    (2,)
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    spec: RepresentationSpec


#: Names that a user may give instead of a spec.
NAMED: dict[str, DensityCorrelationsSpec | ThreeCenterSpec | TaggedCorrelationsSpec] = {
    "radial_spectrum": DensityCorrelationsSpec(nu=(1,)),
    "power_spectrum": DensityCorrelationsSpec(nu=(2,)),
    "bispectrum": DensityCorrelationsSpec(nu=(3,)),
    "density_correlations": DensityCorrelationsSpec(),
    "pair": TaggedCorrelationsSpec(n_tagged=1, nu=1),
    "pair_nu2": TaggedCorrelationsSpec(n_tagged=1, nu=2),
    "three_center": ThreeCenterSpec(),
}
