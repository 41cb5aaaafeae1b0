"""What a report reads: lists of records in JSON, checked, with unknown fields left alone.

A report has to read the folders of older and of newer versions, so fields that it can do without
are optional, and fields that it does not know are ignored.
"""

import json
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from atomplete.errors import InputError


class Record(BaseModel):
    """One entry of a list in JSON."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class TableEntry(Record):
    """A row of ``table.json``; errors are relative to standard deviations."""

    row: str
    mean_error: float
    difference_error: float
    v1_name: str | None = None
    target: str = "energy"
    mean_error_spread: float | None = None
    difference_error_spread: float | None = None
    published_mean_error: float | None = None
    published_difference_error: float | None = None
    n_train_pairs: int | None = None
    n_validation_pairs: int | None = None
    n_test_pairs: int | None = None
    labels: str = "?"
    budget: str = "?"
    seed: int | None = None
    seeds: tuple[int, ...] = ()
    seconds: float | None = None

    @property
    def source(self) -> str:
        """Where the labels come from, in a word: a method, a dataset, or the name of a file."""
        return Path(self.labels).name


class LatentEntry(Record):
    """An autoencoder of ``latent_size.json``: errors of the reconstruction."""

    latent: int
    mean_error: float
    difference_error: float


class ObjectiveEntry(Record):
    """An objective of the latent in ``objectives.json``."""

    objective: str
    separation: float | None = None
    jacobian_rank: float | None = None
    full_rank: float | None = None
    mean_error: float | None = None
    difference_error: float | None = None


class AblationEntry(Record):
    """A representation on a set of pairs in ``ablation.json``."""

    representation: str
    set: str
    mean_error: float | None = None
    difference_error: float | None = None
    mean_error_spread: float | None = None
    difference_error_spread: float | None = None


class LearningEntry(Record):
    """A point of ``learning_curve.json``: of one seed, or extrapolated with bounds."""

    row: str
    n_train_pairs: int
    mean_error: float
    difference_error: float
    mean_error_low: float | None = None
    mean_error_high: float | None = None
    difference_error_low: float | None = None
    difference_error_high: float | None = None
    extrapolated: bool = False


class AuditEntry(Record):
    """A verdict of ``audit.json``: what a subject says about one pair of a family."""

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
    def number(self) -> int | None:
        """Which pair of the family it is."""
        return self.member if self.member is not None else self.pair_id


class SweepStep(Record):
    """A basis of the ladder of ``sweep.json``."""

    max_radial: int
    max_angular: int


class SweepEntry(Record):
    """The smallest basis in which a subject separates a family, if any does."""

    subject: str
    family: str
    smallest: SweepStep | None = None


class ResolutionEntry(Record):
    """What a subject resolves around one structure, as ``atomplete resolve`` writes it."""

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
        """Which structure it is."""
        return f"{self.file} {self.structure}: {self.formula}".lstrip()


Entry = TypeVar("Entry", bound=Record)


def read_json(path: Path) -> Any:
    """The content of a file of JSON; one sentence if it is damaged."""
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise InputError(f"{path}: damaged, not JSON ({error})") from error


def read_records(path: Path, entry: type[Entry]) -> list[Entry]:
    """The entries of a list in JSON, none if there is no such file."""
    if not path.is_file():
        return []
    content = read_json(path)
    if not isinstance(content, list):
        raise InputError(f"{path}: a list is expected, not {type(content).__name__}")
    entries = []
    for number, fields in enumerate(content):
        try:
            entries.append(entry.model_validate(fields))
        except ValidationError as error:
            problem = error.errors()[0]
            where = ".".join(map(str, problem["loc"])) or "entry"
            raise InputError(
                f"{path}, entry {number}: {where}: {problem['msg'].lower()}"
            ) from error
    return entries
