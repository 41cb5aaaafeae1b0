"""The run that fills the table: what it writes, what it depends on, what it does not repeat."""

import csv
import json
import shutil

import numpy as np
import pytest
import torch
from labelled_pairs import SMALL, embedding_energy, labelled, write_labelled

from atomplete.checkpoint import load
from atomplete.data import write_structures
from atomplete.errors import InputError
from atomplete.paper.data import LabelledPairs
from atomplete.paper.experiment import reproduce
from atomplete.paper.options import ReproduceOptions
from atomplete.paper.table import ROWS
from atomplete.system import System

N_PAIRS = 32
FIELDS = {
    "row",
    "v1_name",
    "mean_error",
    "difference_error",
    "published_mean_error",
    "published_difference_error",
    "n_train_pairs",
    "n_test_pairs",
    "labels",
    "seeds",
    "mean_error_spread",
    "difference_error_spread",
    "target",
    "seconds",
}
ENERGIES = [name for name, row in ROWS.items() if row.target == "energy"]


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    return write_labelled(tmp_path_factory.mktemp("labels") / "pairs.xyz", N_PAIRS)


@pytest.fixture(scope="module")
def options_of(labels):
    def make(**changes):
        settings = {"labels": str(labels), "pairs": N_PAIRS, "settings": SMALL, "budget": "smoke"}
        return ReproduceOptions(**(settings | changes))

    return make


@pytest.fixture(scope="module")
def finished(options_of, tmp_path_factory):
    """A filled table: options, folder, rows. Tests must not write into the folder."""
    folder, options = tmp_path_factory.mktemp("finished"), options_of()
    return options, folder, reproduce(options, folder, progress=False)


@pytest.fixture
def copied(finished, tmp_path):
    """A copy of the filled table's folder, to be written into."""
    return shutil.copytree(finished[1], tmp_path / "copy")


def table_of(folder):
    return json.loads((folder / "table.json").read_text())


def without_time(table):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in table]


def assert_same_table(found, expected, tolerance=1e-6):
    for a, b in zip(without_time(found), without_time(expected), strict=True):
        assert a.keys() == b.keys()
        for name, value in b.items():
            same = pytest.approx(value, abs=tolerance) if isinstance(value, float) else value
            assert a[name] == same, name


def predictions(folder, row):
    """Reference and predicted energies, (pair, 2) each, and the part that each pair belongs to."""
    with (folder / row / "predictions.csv").open() as file:
        lines = list(csv.DictReader(file))
    numbers = [
        np.array([[float(line[f"{kind}_{sign}"]) for sign in ("plus", "minus")] for line in lines])
        for kind in ("energy", "predicted")
    ]
    return *numbers, np.array([line["part"] for line in lines])


def read(path):
    """A row's model, or the latent of one that predicts features."""
    return load(path)


def files_of(folder):
    return {
        path.relative_to(folder): path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file()
    }


# what is written


def test_table_json(finished, labels):
    _, folder, rows = finished
    table = table_of(folder)
    assert [row["row"] for row in table] == list(ROWS)
    assert table == [row.model_dump(mode="json") for row in rows]
    for row in table:
        assert row.keys() >= FIELDS
        published = ROWS[row["row"]]
        assert row["v1_name"] == published.v1_name
        assert row["published_mean_error"] == published.published_mean_error
        assert row["published_difference_error"] == published.published_difference_error
        assert (row["n_train_pairs"], row["n_validation_pairs"], row["n_test_pairs"]) == (25, 3, 4)
        assert row["labels"] == str(labels)
        assert row["seeds"] == [0]
        assert row["mean_error_spread"] is row["difference_error_spread"] is None
        assert row["target"] == published.target
        assert row["seconds"] >= 0
        assert 0 < row["mean_error"] < 10


def test_run_json(finished):
    options, folder, _ = finished
    run = json.loads((folder / "run.json").read_text())
    assert ReproduceOptions.model_validate(run["options"]) == options
    assert run["versions"]["atomplete"]
    assert run["versions"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert len(run["data_sha256"]) == 64
    assert run["budget"]["train"]["epochs"] == SMALL["train"]["epochs"]
    assert run["budget"]["deep_set"]["hidden"] == SMALL["deep_set"]["hidden"]


def test_no_temporary_file_is_left(finished):
    _, folder, _ = finished
    assert not [path for path in files_of(folder) if ".tmp" in path.name]


@pytest.mark.parametrize("row", ENERGIES)
def test_errors_in_the_table_follow_from_the_predictions(finished, row):
    _, folder, _ = finished
    reference, predicted, part = predictions(folder, row)
    entry = next(entry for entry in table_of(folder) if entry["row"] == row)
    for name, prefix in (("test", ""), ("validation", "validation_")):
        r, p = reference[part == name], predicted[part == name]
        mean = np.sqrt(np.mean((r.mean(1) - p.mean(1)) ** 2)) / np.std(r.mean(1))
        error = (r[:, 0] - r[:, 1]) - (p[:, 0] - p[:, 1])
        difference = np.sqrt(np.mean(error**2)) / np.std(r[:, 0] - r[:, 1])
        assert entry[f"{prefix}mean_error"] == pytest.approx(mean, rel=1e-6)
        assert entry[f"{prefix}difference_error"] == pytest.approx(difference, rel=1e-6)


@pytest.mark.parametrize("row", ENERGIES)
def test_the_saved_model_makes_the_predictions(finished, labels, row):
    _, folder, _ = finished
    data = LabelledPairs.read(labels, 32, seed=0)
    _, predicted, _ = predictions(folder, row)
    energies = load(folder / row / "model.pt").predict(data.structures).energy.numpy()
    # trained features are kept in single precision, the model computes its own in double
    np.testing.assert_allclose(energies.reshape(-1, 2), predicted, rtol=0, atol=2e-5)


# blindness


@pytest.mark.parametrize("row", ["A_L", "B_L", "D_L", "D_NL"])
def test_these_rows_cannot_tell_the_members_of_any_pair_apart(finished, labels, row):
    _, folder, _ = finished
    data = LabelledPairs.read(labels, 32, seed=0)
    energies = (
        load(folder / row / "model.pt").predict(data.structures).energy.numpy().reshape(-1, 2)
    )
    assert np.std(energies.mean(1)) > 0.01  # they see the pairs
    assert np.abs(energies[:, 0] - energies[:, 1]).max() < 1e-6
    _, predicted, _ = predictions(folder, row)
    assert np.abs(predicted[:, 0] - predicted[:, 1]).max() < 1e-5


@pytest.mark.parametrize("row", ["A_NL", "B_NL", "C_L"])
def test_these_rows_can(finished, row):
    _, folder, _ = finished
    _, predicted, _ = predictions(folder, row)
    difference = np.abs(predicted[:, 0] - predicted[:, 1])
    assert np.median(difference) > 1e-4  # the blind rows: below 1e-6


def test_a_linear_latent_is_blind_and_one_of_a_deep_set_is_not(finished, labels):
    _, folder, _ = finished
    structures = LabelledPairs.read(labels, 32, seed=0).structures
    system = System.from_atoms(structures, 2.0, centers="info")
    differences = {
        row: load(folder / row / "model.pt")(system).values.view(32, 2, -1).diff(dim=1).abs()
        for row in ("A_L_rho", "A_NL_rho")
    }
    assert differences["A_L_rho"].max() < 1e-10
    assert differences["A_NL_rho"].amax((1, 2)).median() > 1e-4


@pytest.mark.parametrize("row", ENERGIES)
def test_no_energy_changes_in_a_mirror(finished, labels, row):
    _, folder, _ = finished
    structures = LabelledPairs.read(labels, 32, seed=0).structures
    normal = np.array([0.36, 0.48, 0.8])
    mirrored = [atoms.copy() for atoms in structures]
    for atoms in mirrored:
        atoms.positions -= 2 * np.outer(atoms.positions @ normal, normal)
    model = load(folder / row / "model.pt")
    change = model.predict(mirrored).energy - model.predict(structures).energy
    assert change.abs().max() < 1e-10


# what the numbers depend on


@pytest.mark.slow
def test_the_same_seed_gives_the_same_table_in_another_folder(finished, options_of, tmp_path):
    _, folder, _ = finished
    reproduce(options_of(), tmp_path / "again", progress=False)
    assert_same_table(table_of(tmp_path / "again"), table_of(folder))


@pytest.mark.slow
def test_another_seed_gives_another_table(finished, options_of, tmp_path):
    _, folder, _ = finished
    reproduce(options_of(seeds=(1,)), tmp_path, progress=False)
    for other, row in zip(table_of(tmp_path), table_of(folder), strict=True):
        assert other["seeds"] == [1]
        assert other["validation_mean_error"] != row["validation_mean_error"]


@pytest.mark.slow
def test_several_seeds_make_means_and_spreads(finished, options_of, tmp_path):
    rows = ("A_NL", "D_L")
    first, other = tmp_path / "0, 1", tmp_path / "1"
    table = reproduce(options_of(seeds=(0, 1), rows=rows), first, progress=False)
    alone = reproduce(options_of(seeds=(1,), rows=rows), other, progress=False)
    for row, with_one in zip(table, alone, strict=True):
        with_zero = next(found for found in finished[2] if found.row == row.row)
        assert row.seeds == (0, 1)
        for name in ("mean_error", "difference_error"):
            errors = [getattr(found, name) for found in (with_zero, with_one)]
            assert getattr(row, name) == pytest.approx(np.mean(errors))
            assert getattr(row, f"{name}_spread") == pytest.approx(np.std(errors, ddof=1))
        for found, expected in (
            (first / row.row, finished[1] / row.row),
            (first / row.row / "seed-1", other / row.row),
        ):
            found, expected = (folder / "predictions.csv" for folder in (found, expected))
            assert found.read_text() == expected.read_text()


@pytest.mark.parametrize("seeds", [(), (1, 1), (-1,)])
def test_seeds_that_make_no_sense(options_of, seeds):
    with pytest.raises(ValueError, match="seeds"):
        options_of(seeds=seeds)


@pytest.mark.slow
def test_test_pairs_enter_no_weight(finished, options_of, tmp_path):
    _, folder, _ = finished
    structures = labelled(32)
    data = LabelledPairs.read(finished[0].labels, 32, seed=0)
    for pair in data.split.test:
        for atoms in structures[2 * pair : 2 * pair + 2]:
            atoms.calc.results["energy"] += 100.0 * (1 + atoms.positions[1, 0])
    write_structures(tmp_path / "spoiled.xyz", structures)
    options = options_of(labels=str(tmp_path / "spoiled.xyz"))
    reproduce(options, tmp_path / "run", progress=False)
    for row, spoiled in zip(table_of(folder), table_of(tmp_path / "run"), strict=True):
        changed = spoiled["mean_error"] != row["mean_error"]
        assert changed == (row["target"] == "energy")  # the energies are others
        assert spoiled["validation_mean_error"] == row["validation_mean_error"]
        state = read(folder / row["row"] / "model.pt").state_dict()
        for name, value in read(tmp_path / "run" / row["row"] / "model.pt").state_dict().items():
            assert torch.equal(value, state[name]), f"{row['row']}: {name}"


@pytest.mark.slow
def test_test_structures_enter_no_weight(finished, options_of, tmp_path):
    """Nor do their positions: contractions and scales are fitted on training pairs."""
    _, folder, _ = finished
    structures = labelled(32)
    data = LabelledPairs.read(finished[0].labels, 32, seed=0)
    for pair in data.split.test:
        for atoms in structures[2 * pair : 2 * pair + 2]:
            atoms.positions *= 1.05
    write_structures(tmp_path / "moved.xyz", structures)
    options = options_of(labels=str(tmp_path / "moved.xyz"))
    reproduce(options, tmp_path / "run", progress=False)
    for row in ROWS:
        state = read(folder / row / "model.pt").state_dict()
        for name, value in read(tmp_path / "run" / row / "model.pt").state_dict().items():
            torch.testing.assert_close(value, state[name], rtol=1e-9, atol=1e-9)


# what is not done again


def test_a_second_call_does_nothing_again(finished, copied, options_of, monkeypatch):
    before = files_of(copied)
    for work in ("seed_run.fit", "seed_run.train_on_features", "inputs.build", "best.fit"):
        monkeypatch.setattr(f"atomplete.paper.{work}", lambda *_, **__: pytest.fail("done again"))
    assert reproduce(options_of(), copied, progress=False) == finished[2]  # `seconds` as well
    after = files_of(copied)
    changed = {path.name for path in before if after[path] != before[path]}
    assert changed <= {"table.json", "run.json"}
    assert after.keys() == before.keys()


def test_changed_options_fill_the_row_anew(options_of, tmp_path):
    first = reproduce(options_of(rows=("D_NL",)), tmp_path, progress=False)
    settings = SMALL | {"train": SMALL["train"] | {"epochs": 9}}
    options = options_of(rows=("D_NL",), settings=settings)
    assert reproduce(options, tmp_path, progress=False) != first
    assert len((tmp_path / "D_NL" / "log.jsonl").read_text().splitlines()) == 9
    fresh = reproduce(options, tmp_path / "fresh", progress=False)
    assert_same_table(table_of(tmp_path), [row.model_dump(mode="json") for row in fresh])


@pytest.mark.parametrize("damage", ["missing", "cut", "short", "foreign"])
def test_predictions_that_are_lost_are_made_again(options_of, tmp_path, damage):
    options = options_of(rows=("D_L",))
    table = reproduce(options, tmp_path, progress=False)
    path = tmp_path / "D_L" / "predictions.csv"
    whole = path.read_bytes()
    short = b"".join(whole.splitlines(keepends=True)[:-2])
    damages = {"cut": whole[:-1], "short": short, "foreign": b"to be, or not\nto be\n"}
    path.unlink()
    if damage in damages:
        path.write_bytes(damages[damage])
    assert_same_table(table_of(tmp_path), [row.model_dump(mode="json") for row in table])
    again = reproduce(options, tmp_path, progress=False)
    assert path.read_bytes() == whole
    assert again[0].difference_error == table[0].difference_error


def test_an_unreadable_result_is_computed_again(options_of, tmp_path):
    options = options_of(rows=("D_L",))
    reproduce(options, tmp_path, progress=False)
    expected = table_of(tmp_path)
    for content in ("", "[]", "{}", "[" * 10**5, '{"identity": 3, "result": null}', "null", '"x"'):
        (tmp_path / "D_L" / "result.json").write_text(content)
        reproduce(options, tmp_path, progress=False)
        assert_same_table(table_of(tmp_path), expected)


# options


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (("D_NL", "B_L"), ["B_L", "D_NL"]),
        (("D_L",), ["D_L"]),
        (("D_L", "D_L"), ["D_L"]),
    ],
)
def test_rows_come_in_the_order_of_the_published_table(options_of, tmp_path, rows, expected):
    table = reproduce(options_of(rows=rows), tmp_path, progress=False)
    assert [row.row for row in table] == expected
    folders = sorted(path.name for path in tmp_path.iterdir() if path.is_dir())
    assert folders == sorted(expected)


def test_fewer_pairs_than_the_file_holds(options_of, tmp_path):
    table = reproduce(options_of(rows=("D_L",), pairs=20), tmp_path, progress=False)
    parts = table[0].n_train_pairs, table[0].n_validation_pairs, table[0].n_test_pairs
    assert sum(parts) == 20


def test_pairs_that_lack_a_member_are_left_out_and_named(options_of, tmp_path):
    structures = labelled(32)
    del structures[7]
    write_structures(tmp_path / "labels.xyz", structures)
    options = options_of(labels=str(tmp_path / "labels.xyz"), rows=("D_L",))
    table = reproduce(options, tmp_path / "run", progress=False)
    assert table[0].n_train_pairs + table[0].n_validation_pairs + table[0].n_test_pairs == 31
    assert json.loads((tmp_path / "run" / "run.json").read_text())["dropped_pairs"] == [3]


# what is refused, before anything is written


def assert_refused(options, folder, message):
    with pytest.raises(InputError, match=message) as caught:
        reproduce(options, folder, progress=False)
    assert "\n" not in str(caught.value)
    assert not folder.exists()


def test_an_unknown_row(options_of, tmp_path):
    assert_refused(options_of(rows=("B_L", "E_NL")), tmp_path / "run", "unknown row E_NL; known")


def test_a_setting_that_does_not_exist(options_of, tmp_path):
    for settings, name in (
        ({"colour": 3}, "unknown option colour"),
        ({"three_center": {"expansion": {"cutof": 3}}}, r"three_center.expansion.cutof"),
        ({"train": {"epochs": 0}}, r"train.epochs = 0"),
        ({"deep_set": 3}, r"deep_set = 3"),
    ):
        assert_refused(options_of(settings=settings), tmp_path / "run", name)


def test_labels_that_are_neither_a_method_nor_a_file(options_of, tmp_path):
    assert_refused(
        options_of(labels="xbt"), tmp_path / "run", "labels xbt: neither one of xtb, pbe"
    )


def test_a_file_without_energies(options_of, tmp_path):
    structures = labelled(32)
    structures[5].calc = None
    path = tmp_path / "labels.xyz"
    write_structures(path, structures)
    options = options_of(labels=str(path))
    assert_refused(options, tmp_path / "run", rf"{path}, structure 5")


def test_a_file_without_forces_fills_all_rows_but_best(options_of, tmp_path):
    structures = labelled(32)
    del structures[5].calc.results["forces"]
    path = tmp_path / "labels.xyz"
    write_structures(path, structures)
    options = options_of(labels=str(path), rows=("D_L", "best"))
    assert_refused(options, tmp_path / "run", rf"{path}, pair 2 -: no forces")
    reproduce(options.model_copy(update={"rows": ("D_L",)}), tmp_path / "run", progress=False)


def test_what_best_spends_fills_no_other_row_anew(copied, options_of):
    before = files_of(copied)
    best = SMALL["best"] | {"fit": {"iterations": 2}}
    options = options_of(rows=("D_L", "best"), settings=SMALL | {"best": best})
    reproduce(options, copied, progress=False)
    changed = {path.parts[0] for path, time in files_of(copied).items() if before[path] != time}
    assert changed == {"best", "table.json", "run.json"}


def test_other_forces_fill_best_anew(finished, copied, options_of, tmp_path):
    structures = labelled(32)
    for atoms in structures:
        atoms.calc.results["forces"] *= 1.1
    path = tmp_path / "labels.xyz"
    write_structures(path, structures)
    again = reproduce(options_of(labels=str(path), rows=("best",)), copied, progress=False)
    (first,) = (row for row in finished[2] if row.row == "best")
    assert again[0].mean_error != first.mean_error


def test_a_file_without_pairs(options_of, tmp_path):
    structures = labelled(32)
    del structures[4].info["pair_id"]
    path = tmp_path / "labels.xyz"
    write_structures(path, structures)
    assert_refused(
        options_of(labels=str(path)), tmp_path / "run", rf"{path}, structure 4: .*pair_id"
    )


def test_a_species_that_the_representation_does_not_know(options_of, tmp_path):
    structures = labelled(32)
    structures[9].numbers[3] = 6
    path = tmp_path / "labels.xyz"
    write_structures(path, structures)
    options = options_of(labels=str(path))
    assert_refused(options, tmp_path / "run", rf"{path}, pair 4 -: .*number 6, but .* knows 5$")


def test_too_few_pairs(options_of, tmp_path):
    path = write_labelled(tmp_path / "labels.xyz", 12)
    assert_refused(options_of(labels=str(path)), tmp_path / "run", "12 pairs are too few")
    with pytest.raises(ValueError, match="pairs"):
        options_of(pairs=12)


def test_energies_all_alike(options_of, tmp_path):
    path = write_labelled(tmp_path / "labels.xyz", 32, energy=lambda _: -100.0)
    with pytest.raises(InputError, match="no spread"):
        reproduce(options_of(labels=str(path), rows=("D_L",)), tmp_path / "run", progress=False)


def test_the_energy_of_these_tests_differs_within_pairs():
    structures = labelled(4)
    energies = np.array([embedding_energy(atoms) for atoms in structures]).reshape(-1, 2)
    assert np.abs(energies[:, 0] - energies[:, 1]).min() > 1e-5
