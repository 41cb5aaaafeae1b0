"""Records that an audit writes and a report reads: a list of each in a file of JSON."""

from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, computed_field

from atomplete.audit.subjects.subject import Basis
from atomplete.audit.verdicts.pairs import Pair
from atomplete.audit.verdicts.separation import Response, Separation
from atomplete.audit.verdicts.verdict import Verdict
from atomplete.degenerate.congruence.congruence import Group, Level

#: Ends of a local resolution; see `LocalResolution`.
RankVerdict = Literal["resolved", "truncated", "degenerate", "spurious", "broken"]

#: Continuity along a path.
Continuity = Literal["smooth", "kink", "jump"]


class PairVerdict(BaseModel):
    """Verdict on one subject and one pair: a row of ``audit.json``.

    Attributes
    ----------
    subject, family, level, cutoff
        Names, and the scope of the pair, Å.
    member, pair_id
        Number of the pair in a family, or in the user's file.
    group
        In which the subject was found to be invariant.
    verdict, reason
        What was found, and in words why where the numbers do not say it all.
    separation, noise_floor
        Of the members and of congruent copies, in units of ``typical_difference``. These and what
        follows is None where it is not known or not finite.
    separation_over_noise
        Ratio of the two.
    typical_difference
        Feature distance of random structures, in units of the subject.
    structural_distance
        Of the members, Å, after the best alignment.
    position_precision, imprecision
        Largest error of the coordinates that their digits leave open, Å, and the largest
        separation of structures with the same digits; zero for exact positions.
    congruent
        Whether the members are the same in the group, as far as the precision tells: then *blind*
        is what has to be.
    slope, structural_distances, feature_distances, perturbed_separations
        A `Response`, where the members were displaced; distances of features in units of
        ``typical_difference``.

    Examples
    --------
    >>> PairVerdict(subject="mine", family="b8", member=3, verdict="blind", level="environment",
    ...     cutoff=3.0, group="O3").number
    3
    """

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)
    subject: str
    family: str
    member: int | None = None
    pair_id: int | None = None
    level: Level
    group: Group
    verdict: Verdict
    reason: str = ""
    cutoff: float
    separation: float | None = None
    noise_floor: float | None = None
    separation_over_noise: float | None = None
    typical_difference: float | None = None
    structural_distance: float | None = None
    position_precision: float = 0.0
    imprecision: float | None = None
    congruent: bool = False
    slope: float | None = None
    structural_distances: tuple[float, ...] = ()
    feature_distances: tuple[float, ...] = ()
    perturbed_separations: tuple[float, ...] = ()

    @classmethod
    def of(
        cls,
        subject: str,
        pair: Pair,
        group: Group,
        verdict: Verdict,
        reason: str = "",
        measured: Separation | None = None,
        displaced: Response | None = None,
    ) -> "PairVerdict":
        """Make the record of a pair, with what was measured in units of the typical difference."""
        numbers: dict[str, Any] = {}
        if measured is not None:
            typical = measured.typical
            numbers = {
                "separation": _over(measured.difference, typical),
                "noise_floor": _over(measured.noise, typical),
                "separation_over_noise": _over(measured.difference, measured.noise),
                "typical_difference": _over(typical * measured.unit, 1.0),
                "structural_distance": _over(measured.structural_distance, 1.0),
                "imprecision": _over(measured.imprecision, typical),
                "congruent": measured.congruent,
            }
            if displaced is not None:
                numbers |= {"slope": displaced.slope} | _distances(displaced, typical)
        return cls(
            subject=subject,
            family=pair.family,
            member=None if pair.own else pair.number,
            pair_id=pair.number if pair.own else None,
            level=pair.level,
            group=group,
            verdict=verdict,
            reason=reason,
            cutoff=pair.scope.cutoff,
            position_precision=pair.precision,
            **numbers,
        )

    @property
    def number(self) -> int | None:
        """Number of the pair in its family or file."""
        return self.pair_id if self.member is None else self.member

    @property
    def words(self) -> str:
        """Verdict for people: blindness to congruent members is no fault, they are "equal"."""
        return "equal" if self.congruent and self.verdict == "blind" else self.verdict


class SmallestBasis(BaseModel):
    """The smallest basis in which a subject tells a family apart: a row of ``sweep.json``.

    Attributes
    ----------
    subject, family
        Names.
    smallest
        The first basis of the ladder that separates all members; None if none does.
    separated
        How many of the members each step of the ladder separates.
    n
        Members of the family that were looked at.
    ladder
        Bases that were tried.

    Examples
    --------
    >>> steps = (Basis(1, 0), Basis(1, 1))
    >>> SmallestBasis(subject="mine", family="b8", smallest=Basis(1, 1), separated=(0, 5), n=5,
    ...     ladder=steps).text
    'n=1, l≤1'
    """

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)
    subject: str
    family: str
    smallest: Basis | None = None
    separated: tuple[int, ...]
    n: int
    ladder: tuple[Basis, ...]

    @property
    def text(self) -> str:
        """The smallest basis in words; what single precision or a smeared density lose."""
        if self.smallest is None:
            return "never" if not any(self.separated) else f"{max(self.separated)} of {self.n}"
        lost = [
            f"{'float32' if step.width is None else f'{step.width:g} Å'} {count} of {self.n}"
            for step, count in zip(self.ladder, self.separated, strict=True)
            if count < self.n and (step.width is not None or step.dtype == "float32")
        ]
        return str(self.smallest) + (f" ({'; '.join(lost)})" if lost else "")


class LocalResolution(BaseModel):
    """Rank and conditioning of the derivatives at one structure: a row of ``resolution.json``.

    Attributes
    ----------
    subject, level, cutoff
        Whose derivatives they are, and of what, Å.
    file, structure, formula
        Which structure it is.
    group
        The group under which the derivatives are invariant here: "O3", or "SO3" if directions
        that reflections forbid are resolved; "none" where not even rotations are.
    directions
        3n less the rigid motions.
    required_zeros
        Directions that the symmetry of the structure forbids in this group.
    rank
        Directions resolved, of those that are allowed.
    singular_values
        Of the Jacobian over |F| along the allowed directions, 1/Å, decreasing.
    noise
        The same along rigid motions: what rounding, or finite differences, make of zero.
    position_precision, imprecise_zeros
        Largest error of the coordinates, Å, and directions that are not resolved because of it:
        other positions with the same digits change the Jacobian by as much.
    best_rank
        The largest rank in any of the larger bases; `rank` if none was tried.
    resolved_by
        Name of the first larger basis that resolves all allowed directions, if it took one.
    verdict
        "resolved"; "truncated": by a larger basis; "degenerate": by none that was tried;
        "spurious": zeros, with no larger basis to try; "broken": not invariant.
    cutoff_passed, collinear, swap
        Continuity as a neighbour passes the cutoff, a line, or another's distance; None where it
        was not looked at.
    soft_structural_distance, soft_feature_distance
        End of a path along the softest direction: distance from the start, Å, and relative
        distance of the features; None if none was followed.

    Examples
    --------
    >>> from ase import Atoms
    >>> from atomplete.audit.feature_map import FeatureMap
    >>> from atomplete.audit.resolution.resolved_directions import local_resolution
    >>> from atomplete.audit.subjects.named import subject_of
    >>> bent = Atoms("B3", [(0, 0, 0), (0, 1.3, 0.9), (0.2, -1.5, 0.6)])
    >>> local_resolution(FeatureMap(subject_of("radial_spectrum"), bent, "environment", 2.0))
    LocalResolution(B3, 2 of 3 directions, 0 forbidden: spurious)
    """

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)
    subject: str
    file: str = ""
    structure: int = 0
    formula: str
    level: Level
    cutoff: float
    group: Literal["O3", "SO3", "none"]
    verdict: RankVerdict
    rank: int
    directions: int
    required_zeros: int
    best_rank: int
    resolved_by: str | None = None
    noise: float
    position_precision: float = 0.0
    imprecise_zeros: int = 0
    singular_values: tuple[float, ...]
    cutoff_passed: Continuity | None = None
    collinear: Continuity | None = None
    swap: Continuity | None = None
    soft_structural_distance: float | None = None
    soft_feature_distance: float | None = None

    def __repr__(self) -> str:
        return (
            f"LocalResolution({self.formula}, {self.rank} of {self.directions} directions, "
            f"{self.required_zeros} forbidden: {self.verdict})"
        )

    @computed_field  # type: ignore[prop-decorator]
    @property
    def spurious_zeros(self) -> int:
        """Allowed directions that are not resolved."""
        return self.directions - self.required_zeros - self.rank

    @computed_field  # type: ignore[prop-decorator]
    @property
    def truncated_zeros(self) -> int | None:
        """Spurious zeros that a larger basis removes; None if none was tried."""
        return None if self.verdict == "spurious" else self.best_rank - self.rank

    @computed_field  # type: ignore[prop-decorator]
    @property
    def condition(self) -> float | None:
        """Largest over smallest singular value of the allowed directions; None below rank."""
        if self.spurious_zeros or not self.singular_values:
            return None
        return self.singular_values[0] / self.singular_values[-1]

    @property
    def words(self) -> str:
        """Verdict for people: with the basis that resolves, or whether digits are missing."""
        if self.resolved_by:
            return f"{self.verdict}, {self.resolved_by} resolves"
        return self.verdict + (" within precision" if self.imprecise_zeros else "")

    @property
    def title(self) -> str:
        """Name of the structure."""
        return f"{self.file} {self.structure}: {self.formula}".lstrip()


def _over(value: float, unit: float) -> float | None:
    """The value in that unit, where both are numbers to divide by."""
    return value / unit if np.isfinite([value, unit]).all() and unit > 0 else None


def _distances(displaced: Response, typical: float) -> dict[str, tuple[float, ...]]:
    """Distances of displaced members, if all are finite."""
    own, away, apart = (
        displaced.structural_distances,
        displaced.feature_distances,
        displaced.pair_distances,
    )
    if not (np.isfinite([*own, *away, typical]).all() and typical > 0):
        return {}
    return {
        "structural_distances": own,
        "feature_distances": tuple(x / typical for x in away),
        "perturbed_separations": tuple(x / typical for x in apart),
    }
