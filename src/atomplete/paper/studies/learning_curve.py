"""Test errors against the number of labelled pairs, and the law that continues them."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from ase import Atoms
from pydantic import BaseModel, ConfigDict
from scipy.optimize import curve_fit

from atomplete.data import pair_structures, read_structures, write_structures
from atomplete.data.pairs import FIRST_TEST_PAIR
from atomplete.degenerate.congruence.alignment import Floats
from atomplete.errors import InputError
from atomplete.paper.data import labelled_file
from atomplete.paper.experiment import reproduce, rows_of
from atomplete.paper.options import MINIMUM_PAIRS, ReproduceOptions
from atomplete.runs.files import write_json
from atomplete.runs.folder import in_run_folder
from atomplete.runs.progress import progress_of

Pair = tuple[Atoms, Atoms]

#: Training pairs of the published table, to which curves are extrapolated.
PUBLISHED_PAIRS = 3500

#: Number of resampled fits, and the percentiles of them that bound an extrapolation.
RESAMPLES = 200
PERCENTILES = (5.0, 95.0)

#: Of α and ln n0: errors do not grow with the number of pairs, and a blind row stays at 1.
_BOUNDS = ([0.01, -5.0], [4.0, 30.0])


class CurvePoint(BaseModel):
    """Errors of a row on the test pairs, trained on so many pairs with one seed.

    Examples
    --------
    >>> CurvePoint(row="B_NL", n_train_pairs=40, mean_error=0.6, difference_error=0.9, seed=0)
    CurvePoint(row='B_NL', n_train_pairs=40, mean_error=0.6, difference_error=0.9, seed=0)
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    row: str
    extrapolated: ClassVar[bool] = False
    n_train_pairs: int
    mean_error: float
    difference_error: float
    seed: int

    def cells(self) -> tuple[str, str]:
        """Errors of pair means and differences, for people."""
        return f"{self.mean_error:.4f}", f"{self.difference_error:.4f}"


class Extrapolation(BaseModel):
    """Errors that the power law of a row gives for more pairs, with bounds.

    Examples
    --------
    >>> Extrapolation.model_fields["extrapolated"].default
    True
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    row: str
    n_train_pairs: int
    mean_error: float
    mean_error_low: float
    mean_error_high: float
    difference_error: float
    difference_error_low: float
    difference_error_high: float
    extrapolated: Literal[True] = True

    def cells(self) -> tuple[str, str]:
        """Errors of pair means and differences with their bounds, for people."""
        return (
            f"{self.mean_error:.4f} ({self.mean_error_low:.3f} to {self.mean_error_high:.3f})",
            f"{self.difference_error:.4f} ({self.difference_error_low:.3f} to "
            f"{self.difference_error_high:.3f}), extrapolated",
        )


@in_run_folder("reproduce")
def learning_curve(
    options: ReproduceOptions,
    folder: Path,
    sizes: Sequence[int] | None = None,
    *,
    progress: bool = True,
) -> list[CurvePoint | Extrapolation]:
    """Fill rows of the table with fewer and fewer pairs; write ``learning_curve.json``.

    For each seed the pairs below the test set are shuffled once, and the first so many are
    taken: smaller sets are parts of larger ones. A tenth of each set is for validation, and the
    test pairs are always the same. All that is fitted, contractions included, is fitted to the
    training pairs at hand. What an earlier run finished is not done again.

    Parameters
    ----------
    options
        Rows, labels, seeds and budget, as of ``reproduce``.
    folder
        Holds a file of pairs and a table for each size and seed.
    sizes
        Labelled pairs beside the test set; by default all that there are, and halves of them
        down to an eighth.
    progress
        Whether to show how far it is.

    Returns
    -------
    list of CurvePoint and Extrapolation
        All points, then each row at the published number of training pairs.

    Raises
    ------
    InputError
        For an unknown row, and if the file has no pairs of the test set (3500 and above), or
        fewer others than asked for.

    Examples
    --------
    >>> learning_curve(ReproduceOptions(labels="absent.xyz", rows=("B_NL",)), Path("runs"))
    Traceback (most recent call last):
    atomplete.errors.InputError: labels absent.xyz: neither one of xtb, pbe nor a file
    """
    rows_of(options)  # unknown ones are refused before anything is labelled
    path = labelled_file(
        options.labels, options.pairs, folder, workers=options.workers, progress=progress
    )
    training, test = _pairs(path)
    sizes = sizes or [len(training) // 2**k for k in (3, 2, 1, 0)]
    for size in sizes:
        if not MINIMUM_PAIRS <= size <= len(training):
            raise InputError(f"{path}: {size} pairs asked for; {MINIMUM_PAIRS} to {len(training)}")
    points: list[CurvePoint] = []
    with progress_of("learning curve", len(sizes) * len(options.seeds), progress) as step:
        for seed in options.seeds:
            order = np.random.default_rng(seed).permutation(len(training))
            for size in sizes:
                run = folder / f"{size}-pairs-seed-{seed}"
                chosen = [training[k] for k in sorted(order[:size])]
                points += _points(options, run, chosen + test, seed)
                step()
    ends = [extrapolate(of_row, PUBLISHED_PAIRS) for of_row in _by_row(points)]
    found: list[CurvePoint | Extrapolation] = [*points, *ends]
    write_json(folder / "learning_curve.json", [point.model_dump() for point in found])
    return found


def extrapolate(points: Sequence[CurvePoint], n_train_pairs: int) -> Extrapolation:
    """Continue the errors of one row by error = 1 / (1 + (n / n0)^α), fitted to logarithms.

    One is the error of a model that knows nothing but the average; far beyond n0 the law is a
    power law. The bounds are percentiles (5 and 95) of the same fit to points that are drawn from
    all sizes and seeds with replacement. They hold what seeds and subsets do to the fit, not that
    the law itself might be another.

    Parameters
    ----------
    points
        Of one row, at two sizes at least.
    n_train_pairs
        Training pairs to go to.

    Raises
    ------
    InputError
        If all points are of one size.

    Examples
    --------
    >>> points = [
    ...     CurvePoint(row="X", n_train_pairs=n, mean_error=5 / (5 + n), difference_error=1, seed=0)
    ...     for n in (10, 20, 40)
    ... ]
    >>> found = extrapolate(points, 95)
    >>> round(found.mean_error, 4), round(found.difference_error, 4)
    (0.05, 1.0)
    """
    log_n = np.log([point.n_train_pairs for point in points])
    if np.ptp(log_n) == 0:
        raise InputError(f"row {points[0].row}: one size alone does not make a learning curve")
    rng = np.random.default_rng(0)
    draws = rng.integers(len(points), size=(RESAMPLES, len(points)))
    draws = draws[np.ptp(log_n[draws], axis=1) > 0]
    found: dict[str, str | float] = {"row": points[0].row, "n_train_pairs": n_train_pairs}
    for name in ("mean_error", "difference_error"):
        log_errors = np.log([getattr(point, name) for point in points])
        resampled = [_continued(log_n[d], log_errors[d], n_train_pairs) for d in draws]
        found[name] = _continued(log_n, log_errors, n_train_pairs)
        found[f"{name}_low"], found[f"{name}_high"] = np.percentile(resampled, PERCENTILES)
    return Extrapolation.model_validate(found)


def _continued(log_n: Floats, log_errors: Floats, n_train_pairs: int) -> float:
    """The law through the points, at so many pairs."""
    odds = 1 / np.exp(log_errors.clip(max=-0.01)) - 1  # (n / n0)^α
    slope, offset = np.polyfit(log_n, np.log(odds), 1)
    guess = np.clip([slope, -offset / max(slope, 0.1)], *_BOUNDS)
    (alpha, log_n0), _ = curve_fit(_log_error, log_n, log_errors, guess, bounds=_BOUNDS)
    return float(np.exp(_log_error(np.log(n_train_pairs), alpha, log_n0)))


def _log_error(log_n: Floats, alpha: float, log_n0: float) -> Floats:
    return -np.logaddexp(0.0, alpha * (log_n - log_n0))


def _pairs(path: Path) -> tuple[list[Pair], list[Pair]]:
    """Pairs below the test set, and those of it, with their labels."""
    structures = read_structures(path)
    pairs = pair_structures(structures, path)
    below, test = (
        [(structures[plus], structures[minus]) for plus, minus in pairs.indices[chosen]]
        for chosen in (pairs.ids < FIRST_TEST_PAIR, pairs.ids >= FIRST_TEST_PAIR)
    )
    if len(test) < 2:
        raise InputError(f"{path}: no two pairs with pair_id {FIRST_TEST_PAIR} or above to test on")
    return below, test


def _points(
    options: ReproduceOptions, folder: Path, pairs: list[Pair], seed: int
) -> Iterator[CurvePoint]:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "pairs.xyz"
    write_structures(file, [atoms for pair in pairs for atoms in pair])
    update = {"labels": str(file), "seeds": (seed,), "pairs": len(pairs)}
    for row in reproduce(options.model_copy(update=update), folder, progress=False):
        yield CurvePoint(
            row=row.row,
            n_train_pairs=row.n_train_pairs,
            mean_error=row.mean_error,
            difference_error=row.difference_error,
            seed=seed,
        )


def _by_row(points: Sequence[CurvePoint]) -> list[list[CurvePoint]]:
    of_row: dict[str, list[CurvePoint]] = defaultdict(list)
    for point in points:
        of_row[point.row].append(point)
    return list(of_row.values())
