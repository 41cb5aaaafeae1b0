import json

import numpy as np
import pytest
from labelled_pairs import SMALL, labelled

from atomplete.data import read_structures, write_structures
from atomplete.errors import InputError
from atomplete.paper.options import ReproduceOptions
from atomplete.paper.studies.learning_curve import CurvePoint, extrapolate, learning_curve

pytestmark = pytest.mark.slow

SEEDS, SIZES = (0, 1), (20, 40)


def points(sizes, error, noise=0.0, row="X"):
    rng = np.random.default_rng(0)
    return [
        CurvePoint(
            row=row,
            n_train_pairs=n,
            mean_error=error(n) * np.exp(noise * rng.normal()),
            difference_error=error(n) * np.exp(noise * rng.normal()),
            seed=seed,
        )
        for seed in range(3)
        for n in sizes
    ]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("curve")
    structures = labelled(44)
    for atoms in structures[80:]:
        atoms.info["pair_id"] += 3500 - 40
    write_structures(folder / "labelled.xyz", structures)
    options = ReproduceOptions(
        labels=str(folder / "labelled.xyz"), rows=("B_L", "D_L"), seeds=SEEDS, settings=SMALL
    )
    return folder, options, learning_curve(options, folder, SIZES, progress=False)


def law(n0, alpha):
    return lambda n: 1 / (1 + (n / n0) ** alpha)


def test_the_law_is_continued_exactly():
    error = law(n0=90, alpha=1.2)
    found = extrapolate(points((40, 80, 160, 320), error), 3500)
    assert found.n_train_pairs == 3500
    for name in ("mean_error", "difference_error"):
        for suffix in ("", "_low", "_high"):
            assert getattr(found, name + suffix) == pytest.approx(error(3500), rel=1e-4)


def test_far_below_one_a_power_law_is_continued():
    found = extrapolate(points((40, 80, 160, 320), lambda n: 0.3 * n**-0.6), 3500)
    assert found.mean_error == pytest.approx(0.3 * 3500**-0.6, rel=0.05)


def test_a_blind_row_stays_at_one():
    found = extrapolate(points((40, 80, 160), lambda n: 1.0002), 3500)
    bounds = found.difference_error_low, found.difference_error, found.difference_error_high
    assert bounds == pytest.approx((1, 1, 1), abs=1e-3)


def test_noise_is_averaged_and_bounded():
    error = law(n0=90, alpha=1.2)
    widths = []
    for noise in (0.1, 0.01):
        found = extrapolate(points((40, 80, 160, 320), error, noise), 3500)
        assert found.mean_error_low < error(3500) < found.mean_error_high
        assert found.mean_error_low <= found.mean_error <= found.mean_error_high
        widths.append(found.mean_error_high - found.mean_error_low)
    assert widths[1] < widths[0] / 3


def test_one_size_is_no_curve():
    with pytest.raises(InputError, match="row X: one size"):
        extrapolate(points((40,), lambda n: 1 / n), 3500)


def ids(path):
    return {atoms.info["pair_id"] for atoms in read_structures(path)}


def test_subsets_are_nested_and_test_pairs_fixed(run):
    folder, _, _ = run
    test = {3500, 3501, 3502, 3503}
    small, large = (
        [ids(folder / f"{size}-pairs-seed-{seed}" / "pairs.xyz") for seed in SEEDS]
        for size in SIZES
    )
    for few, many in zip(small, large, strict=True):
        assert test < few < many
        assert (len(few), len(many)) == (24, 44)
    assert small[0] != small[1]


def test_points_come_from_the_table_of_each_run(run):
    folder, _, found = run
    measured = [point for point in found if isinstance(point, CurvePoint)]
    assert [(p.row, p.n_train_pairs, p.seed) for p in measured] == [
        (row, n, seed) for seed in SEEDS for n in (18, 36) for row in ("B_L", "D_L")
    ]
    table = json.loads((folder / "40-pairs-seed-1" / "table.json").read_text())
    assert measured[-1].mean_error == table[1]["mean_error"]
    assert table[1]["n_test_pairs"] == 4


def test_the_file_holds_points_and_extrapolations(run):
    folder, _, found = run
    written = json.loads((folder / "learning_curve.json").read_text())
    assert written == [point.model_dump() for point in found]
    ends = [entry for entry in written if entry.get("extrapolated")]
    assert [(end["row"], end["n_train_pairs"]) for end in ends] == [("B_L", 3500), ("D_L", 3500)]
    for end in ends:
        assert end["mean_error_low"] <= end["mean_error"] <= end["mean_error_high"]


def test_finished_runs_are_not_done_again(run):
    folder, options, found = run
    times = [path.stat().st_mtime_ns for path in sorted(folder.glob("*/*/result.json"))]
    assert len(times) == 8
    assert learning_curve(options, folder, SIZES, progress=False) == found
    assert times == [path.stat().st_mtime_ns for path in sorted(folder.glob("*/*/result.json"))]


@pytest.mark.parametrize("size", [16, 41])
def test_sizes_that_cannot_be_taken_are_refused(run, size):
    folder, options, _ = run
    with pytest.raises(InputError, match=f"{size} pairs asked for; 17 to 40"):
        learning_curve(options, folder, [size], progress=False)


def test_a_file_without_test_pairs_is_refused(run, tmp_path):
    _, options, _ = run
    write_structures(tmp_path / "few.xyz", labelled(20))
    options = options.model_copy(update={"labels": str(tmp_path / "few.xyz")})
    with pytest.raises(InputError, match=r"few\.xyz: no two pairs with pair_id 3500"):
        learning_curve(options, tmp_path, progress=False)
