import json
from typing import get_args

import numpy as np
import pytest
from labelled_pairs import write_labelled

from atomplete.descriptors import build
from atomplete.paper.studies.ablation import AblationOptions, Name, ablation
from atomplete.paper.studies.pair_sets import FAMILIES, family_study
from atomplete.system import System

pytestmark = pytest.mark.slow

SMALL = AblationOptions(
    representations=("N1nu1", "N1nu2", "nu3"),
    b8_pairs=24,
    family_pairs=24,
    max_radial=2,
    three_center_components=(40, 20),
    deep_set={"hidden": (16, 8), "head": (8,)},
    train={"epochs": 4, "batch_structures": 16, "learning_rate": 1e-2},
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ablation")
    options = SMALL.model_copy(update={"labels": str(write_labelled(folder / "b8.xyz", 24))})
    rows = {
        seeds: ablation(options.model_copy(update={"seeds": seeds}), folder, progress=False)
        for seeds in ((0,), (1,), (0, 1))
    }
    return folder, rows


def by_name(rows):
    return {(row.representation, row.set): row for row in rows}


@pytest.mark.parametrize("name", get_args(Name))
def test_names_say_how_many_neighbors_are_tagged_and_correlated(name):
    representation = build(SMALL.representation(name, species=5))
    system = System.from_atoms(family_study(17).data.structures[:1], 2.0, centers="info")
    n_tagged = int(name[1]) if name[0] == "N" else 0
    assert representation.rows_per_center(system).item() == 2**n_tagged  # two neighbours
    nu = int(name[-1])
    spec = representation.spec
    assert nu == (1 if name == "N2nu1" else getattr(spec, "nu", getattr(spec, "max_nu", None)))


def test_blind_representations_stay_blind_and_others_see(runs):
    rows = by_name(runs[1][0, 1])
    blind = {
        "N1nu1": {"chiral", "antipodal"},
        "N1nu2": set(),
        "nu3": {"b8", "prl_nu3", "chiral"},
    }
    for (name, which), row in rows.items():
        seen = abs(row.difference_error - 1) > 1e-6
        assert seen == (which not in blind[name]), (name, which, row.difference_error)


def test_spreads_are_those_of_single_seeds(runs):
    first, second, both = (by_name(runs[1][seeds]) for seeds in ((0,), (1,), (0, 1)))
    assert first.keys() == both.keys()
    assert all(row.difference_error_spread is None for row in first.values())
    for key, row in both.items():
        errors = [run[key].mean_error for run in (first, second)]
        assert errors[0] != errors[1]
        assert row.mean_error == pytest.approx(np.mean(errors))
        assert row.mean_error_spread == pytest.approx(np.std(errors, ddof=1))


def test_rows_are_written(runs):
    folder, rows = runs
    written = json.loads((folder / "ablation.json").read_text())
    assert written == [row.model_dump() for row in rows[0, 1]]
    assert set(written[0]) == {
        "representation", "set", "mean_error", "difference_error", "mean_error_spread",
        "difference_error_spread", "seeds",
    }  # fmt: skip
    assert {row["set"] for row in written} == {"b8", *FAMILIES, "union"}


def test_finished_trainings_are_taken_up(runs):
    folder, rows = runs
    logs = sorted(folder.glob("ablation/*/*/seed-*/log.jsonl"))
    assert len(logs) == 2 * 3 * 2  # studies, representations, seeds
    times = [log.stat().st_mtime_ns for log in logs]
    changes = {"labels": str(folder / "b8.xyz"), "seeds": (0, 1), "representations": ("nu3",)}
    again = ablation(SMALL.model_copy(update=changes), folder, progress=False)
    assert again == [row for row in rows[0, 1] if row.representation == "nu3"]
    assert [log.stat().st_mtime_ns for log in logs] == times
