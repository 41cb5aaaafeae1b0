"""Options of the run that fills the table."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from atomplete.config import checked
from atomplete.paper.table import ROWS
from atomplete.runs.provenance import cores

if TYPE_CHECKING:  # the command line reads this module to start up
    from atomplete.paper.presets import Budget

#: With fewer, the validation or the test part would be a single pair, which has no spread.
MINIMUM_PAIRS = 17


def _each_once(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise ValueError("must be different numbers from 0 on")
    if max(seeds) >= 2**32:
        raise ValueError("must be less than 2**32")
    return seeds


Seeds = Annotated[tuple[int, ...], Field(min_length=1), AfterValidator(_each_once)]


class ReproduceOptions(BaseModel):
    """Options of ``atomplete reproduce``.

    Examples
    --------
    >>> ReproduceOptions(pairs=60, budget="smoke", seeds=(0, 1)).rows[:5]
    ('A_L_rho', 'A_NL_rho', 'A_L', 'A_NL', 'B_L')
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    pairs: int = Field(4000, ge=MINIMUM_PAIRS, description="How many of the paper's pairs")
    labels: str = Field(
        "xtb",
        description="xtb, computed here; pbe, the dataset in the package; or a labelled file "
        "(default: xtb)",
    )
    rows: tuple[str, ...] = Field(
        tuple(ROWS),
        min_length=1,
        description="Rows to fill, such as B_NL,D_NL,best (default: all)",
    )
    budget: Literal["smoke", "standard", "paper"] = Field(
        "standard", description="smoke, standard or paper"
    )
    #: What to change in the specs of the budget.
    settings: dict[str, Any] = Field(default_factory=dict)
    seeds: Seeds = Field(
        (0,), description="Seeds of validation pairs and training, such as 0,1,2 (default: 0)"
    )
    workers: int = Field(
        default_factory=cores,
        ge=1,
        description="Processes for labels (default: one for each core)",
    )

    def resolved_budget(self) -> "Budget":
        """The preset with ``settings`` laid over it."""
        from atomplete.paper.presets import BUDGETS, Budget

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
