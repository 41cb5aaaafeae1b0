"""Plain-data spec of random Fourier features."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from atomplete.descriptors.base import DescriptorSpec
from atomplete.descriptors.memory import MEMORY
from atomplete.registry import Species
from atomplete.units import Cutoff


class LevelSpec(BaseModel):
    """Size of the features of rows with the same number of tagged neighbours.

    Examples
    --------
    >>> LevelSpec(channels=32, features=100).frequency
    0.08
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    channels: int = Field(ge=0, le=10_000, description="random invariants of each row")
    features: int = Field(ge=0, le=100_000, description="random cosines of them")
    frequency: float = Field(
        default=0.08,
        gt=0,
        allow_inf_nan=False,
        description="standard deviation of a cosine's argument over typical rows, about",
    )

    @model_validator(mode="after")
    def _cosines_of_something(self) -> "LevelSpec":
        if self.features and not self.channels:
            raise ValueError("features: cosines need channels to be functions of")
        return self


class RandomFourierSpec(DescriptorSpec):
    """Random Fourier features of rows with 0, 1 and 2 tagged neighbours.

    Examples
    --------
    >>> RandomFourierSpec(cutoff=5.0, species=(1, 6, 8)).n_features
    1412
    """

    type: Literal["random_fourier"] = "random_fourier"
    cutoff: Cutoff = Field(default=5.0, description="radius of an environment, Å")
    tag_cutoff: Cutoff | None = Field(
        default=None, description="radius of the tagged neighbours, Å; None: the cutoff"
    )
    species: Species = Field(default=(5,), min_length=1, description="atomic numbers of neighbours")
    max_radial: int = Field(default=8, ge=1, le=64, description="number of radial functions")
    max_angular: int = Field(default=3, ge=0, le=8, description="largest l, inclusive")
    center: LevelSpec = LevelSpec(channels=64, features=0)
    neighbor: LevelSpec = LevelSpec(channels=128, features=1000)
    pair: LevelSpec = LevelSpec(channels=20, features=200)
    seed: int = Field(default=0, ge=0, lt=2**63, description="of all that is random")

    @model_validator(mode="after")
    def _tags_within_the_cutoff(self) -> "RandomFourierSpec":
        if self.tag_cutoff is not None and self.tag_cutoff > self.cutoff:
            raise ValueError(f"tag_cutoff: larger than the cutoff {self.cutoff:g}")
        if not self.n_features:
            raise ValueError("no feature would be left")
        return self

    @model_validator(mode="after")
    def _few_enough(self) -> "RandomFourierSpec":
        size = 8 * sum(
            level.features * (level.channels + len(self.species) ** n_tagged)
            for n_tagged, level in enumerate(self.levels)
        )
        if size > MEMORY:
            raise ValueError(f"frequencies and phases take {size / 1e9:.2g} GB: choose fewer")
        return self

    @property
    def levels(self) -> tuple[LevelSpec, LevelSpec, LevelSpec]:
        """Sizes by the number of tagged neighbours."""
        return self.center, self.neighbor, self.pair

    @property
    def n_features(self) -> int:
        """Cosines, and the sums of the channels themselves."""
        return sum(level.channels + level.features for level in self.levels)

    def known_species(self) -> tuple[int, ...]:
        """Atomic numbers of the neighbours that are described."""
        return self.species
