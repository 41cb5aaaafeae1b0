"""Cutoff functions f_c(r): 1 inside, 0 from the cutoff on, smooth in a shell between."""

from typing import Annotated, ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor


class ShiftedCosine(BaseModel):
    """f_c = (1 + cos(π x)) / 2 with x = (r − cutoff + width) / width, the paper's choice.

    Value and first derivative vanish at the cutoff, the second jumps.

    Examples
    --------
    >>> ShiftedCosine(width=0.1)(torch.tensor([1.0, 1.95, 2.0]), 2.0)
    tensor([1.0000, 0.5000, 0.0000])
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    type: Literal["shifted_cosine"] = "shifted_cosine"
    #: Derivatives that are continuous at the cutoff.
    smoothness: ClassVar[int] = 1
    width: float = Field(default=0.1, gt=0, description="width of the smooth shell, Å")

    def __call__(self, r: Float[Tensor, "*shape"], cutoff: float) -> Float[Tensor, "*shape"]:
        """f_c at the distances ``r``, in their dtype."""
        x = ((r - cutoff + self.width) / self.width).clamp(0.0, 1.0)
        return 0.5 * (1.0 + torch.cos(torch.pi * x))


class PolynomialCutoff(BaseModel):
    """f_c = 1 − 10x³ + 15x⁴ − 6x⁵: value, first and second derivative vanish at both ends.

    Examples
    --------
    >>> PolynomialCutoff(width=0.1)(torch.tensor([1.0, 1.95, 2.0]), 2.0)
    tensor([1.0000, 0.5000, 0.0000])
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    type: Literal["polynomial"] = "polynomial"
    smoothness: ClassVar[int] = 2
    width: float = Field(default=0.1, gt=0, description="width of the smooth shell, Å")

    def __call__(self, r: Float[Tensor, "*shape"], cutoff: float) -> Float[Tensor, "*shape"]:
        """f_c at the distances ``r``, in their dtype."""
        # counted from the cutoff inwards, so that f_c → 0 is not a difference of large terms
        x = ((cutoff - r) / self.width).clamp(0.0, 1.0)
        return x**3 * (10.0 + x * (6.0 * x - 15.0))


CutoffFunction = Annotated[ShiftedCosine | PolynomialCutoff, Field(discriminator="type")]
