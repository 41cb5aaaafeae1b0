"""Plain-data specs of representations: what a checkpoint, YAML and the command line name."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

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


RepresentationSpec = Annotated[
    DensityCorrelationsSpec | ThreeCenterSpec, Field(discriminator="type")
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
NAMED: dict[str, DensityCorrelationsSpec | ThreeCenterSpec] = {
    "radial_spectrum": DensityCorrelationsSpec(nu=(1,)),
    "power_spectrum": DensityCorrelationsSpec(nu=(2,)),
    "bispectrum": DensityCorrelationsSpec(nu=(3,)),
    "density_correlations": DensityCorrelationsSpec(),
    "three_center": ThreeCenterSpec(),
}
