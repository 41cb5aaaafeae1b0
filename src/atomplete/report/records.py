"""Rows of ``audit.json``, ``sweep.json`` and ``resolution.json``, as a page reads them."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from atomplete.degenerate.families.registry import FAMILIES


class Record(BaseModel):
    """One entry of a list in JSON; fields that a page does not show are left alone."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class AuditEntry(Record):
    """Verdict of ``audit.json`` on one subject and one pair of a family."""

    subject: str
    family: str
    verdict: Literal["separates", "blind", "undecided", "broken"]
    member: int | None = None
    pair_id: int | None = None
    level: str | None = None
    group: str | None = None
    reason: str = ""
    congruent: bool | None = None
    separation: float | None = None
    noise_floor: float | None = None
    slope: float | None = None
    structural_distances: tuple[float, ...] = ()
    feature_distances: tuple[float, ...] = ()

    @property
    def number(self) -> int:
        """Number of the pair in its family."""
        return next((n for n in (self.member, self.pair_id) if n is not None), 0)

    @property
    def rightly_blind(self) -> bool:
        """Whether nothing may tell the members apart, and the subject does not."""
        congruent = self.congruent
        if congruent is None:
            congruent = self.family in FAMILIES and FAMILIES[self.family].congruent
        return congruent and self.verdict == "blind"

    @property
    def style(self) -> str:
        """Colour of the verdict by name: being blind to controls is right."""
        return "separates" if self.rightly_blind else self.verdict

    @property
    def words(self) -> str:
        """Verdict for people."""
        return "equal" if self.rightly_blind else self.verdict


class SweepStep(Record):
    """A basis of the ladder of ``sweep.json``."""

    max_radial: int
    max_angular: int


class SweepEntry(Record):
    """Smallest basis in which a subject separates a family, if any does."""

    subject: str
    family: str
    smallest: SweepStep | None = None


class ResolutionEntry(Record):
    """Motions that a subject resolves around one structure, from ``atomplete resolve``."""

    subject: str
    structure: int
    formula: str
    verdict: str
    rank: int
    directions: int
    required_zeros: int
    singular_values: tuple[float, ...]
    file: str = ""
    noise: float | None = None
    resolved_by: str | None = None
    cutoff_passed: str | None = None
    collinear: str | None = None
    swap: str | None = None

    @property
    def title(self) -> str:
        """Name of the structure."""
        return f"{self.file} {self.structure}: {self.formula}".lstrip()
