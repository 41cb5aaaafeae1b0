"""Options of the run that fills the table."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from atomplete.config import checked
from atomplete.paper.presets import BUDGETS, Budget
from atomplete.paper.table import ROWS

#: With fewer, the validation or the test part would be a single pair, which has no spread.
MINIMUM_PAIRS = 17


def _each_once(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise ValueError("must be different numbers from 0 on")
    return seeds


Seeds = Annotated[tuple[int, ...], Field(min_length=1), AfterValidator(_each_once)]


class ReproduceOptions(BaseModel):
    """Options of ``atomplete reproduce``.

    Examples
    --------
    >>> ReproduceOptions(pairs=60, budget="smoke", seeds=(0, 1)).rows[:5]
    ('A_L_rho', 'A_NL_rho', 'A_L', 'A_NL', 'B_L')
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    pairs: int = Field(default=4000, ge=MINIMUM_PAIRS, description="how many of the paper's pairs")
    labels: str = Field(
        default="xtb", description="xtb, pbe (the dataset in the package), or a labelled file"
    )
    rows: tuple[str, ...] = Field(
        default=tuple(ROWS), min_length=1, description="rows of the table to fill"
    )
    budget: Literal["smoke", "standard", "paper"] = "standard"
    settings: dict[str, Any] = Field(
        default_factory=dict, description="what to change in the budget's specs"
    )
    seeds: Seeds = Field(
        default=(0,),
        description="each fills all rows anew: of the validation pairs, weights and batches",
    )
    workers: int = Field(default=1, ge=1, description="processes for labelling")

    def resolved_budget(self) -> Budget:
        """The preset with ``settings`` laid over it."""
        preset = BUDGETS[self.budget].model_dump()
        return checked(Budget, _overlay(preset, self.settings), "settings")


def _overlay(preset: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Nested options laid over a preset; another ``type`` of option starts from nothing."""
    merged = dict(preset)
    for name, value in changes.items():
        old = preset.get(name)
        if isinstance(old, dict) and isinstance(value, dict):
            same_type = value.get("type", old.get("type")) == old.get("type")
            merged[name] = _overlay(old, value) if same_type else value
        else:
            merged[name] = value
    return merged
