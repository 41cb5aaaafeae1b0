"""The command line, verb by verb: what it writes, and how it refuses."""

import json
import re
import signal
import sys
import time
from collections import namedtuple

import h5py
import numpy as np
import pytest
import yaml
from ase import Atoms
from labelled_pairs import SMALL, labelled, write_labelled

from atomplete.checkpoint import load
from atomplete.cli import main
from atomplete.data import read_structures, write_structures
from atomplete.degenerate.families.registry import generate
from atomplete.descriptors import NAMED, Descriptor, ExpansionSpec, ThreeCenterSpec, build
from atomplete.paper.table import ROWS
from atomplete.system import System


def words(text):
    return set(re.findall(r"\w+", text))


@pytest.fixture
def refuses(atomplete, tmp_path):
    """Run a command that must fail with one sentence and leave the folder as it was."""

    def run(*arguments, says):
        before = sorted(tmp_path.rglob("*"))
        outcome = atomplete(*arguments)
        assert outcome.code == 2
        assert outcome.err.startswith("atomplete: ")
        assert outcome.err.count("\n") == 1
        assert outcome.err.endswith("\n")
        assert outcome.out == ""
        for part in says:
            assert part in outcome.err
        assert sorted(tmp_path.rglob("*")) == before

    return run


VERBS = (
    *("generate", "label", "featurize", "train", "evaluate", "suggest", "md", "export", "lammps"),
    *("audit", "resolve", "search", "subsets", "reconstruct"),
    *("reproduce", "study", "report"),
)


@pytest.fixture
def pairs(tmp_path):
    path = tmp_path / "pairs.xyz"
    write_structures(path, generate("b8", 3))
    return path


@pytest.fixture(scope="module")
def table_folder(tmp_path_factory):
    """A folder that ``reproduce`` filled, with a labelled file; not to be written to."""
    folder = tmp_path_factory.mktemp("table")
    write_labelled(folder / "labels.xyz", 24)
    (folder / "run.yaml").write_text(yaml.safe_dump({"budget": "smoke", "settings": SMALL}))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        command = "reproduce --labels labels.xyz --pairs 24 --config run.yaml --quiet -o run"
        patch.setattr(sys, "argv", ["atomplete", *command.split()])
        with pytest.raises(SystemExit) as stop:
            main()
    assert not stop.value.code
    return folder


# every verb does its work


def test_without_arguments_help_is_shown(atomplete):
    for arguments in ((), ("--help",)):
        outcome = atomplete(*arguments)
        assert outcome.code == 0
        assert all(verb in outcome.out for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_an_example_in_its_help(atomplete, verb):
    outcome = atomplete(verb, "--help")
    assert outcome.code == 0
    assert f"atomplete {verb}" in " ".join(outcome.out.split())


def test_help_names_every_representation(atomplete):
    """Written out there: to derive it would load torch."""
    help_of_featurize = atomplete("featurize", "--help").out
    assert {*NAMED, "nice"} <= words(help_of_featurize)


def test_generate(atomplete, tmp_path):
    outcome = atomplete("generate", "b8", "-n", 4, "-o", "new/b8.xyz")
    assert outcome == (0, "4 pairs of family b8 in new/b8.xyz\n", "")
    found = read_structures(tmp_path / "new" / "b8.xyz")
    for atoms, expected in zip(found, generate("b8", 4), strict=True):
        np.testing.assert_array_equal(atoms.positions, expected.positions)
        assert atoms.info["pair_id"] == expected.info["pair_id"]


def test_generate_with_a_seed(atomplete, tmp_path):
    atomplete("generate", "antipodal", "-n", 3, "--seed", 7, "-o", "a.xyz")
    found = read_structures(tmp_path / "a.xyz")
    for atoms, expected in zip(found, generate("antipodal", 3, 7), strict=True):
        np.testing.assert_array_equal(atoms.positions, expected.positions)


def test_label(atomplete, pairs, tmp_path):
    pytest.importorskip("tblite")
    command = ("label", pairs, "-o", "out/labelled.xyz", "--workers", 1, "--quiet")
    outcome = atomplete(*command)
    assert outcome.code == 0
    assert "6 structures labelled in out/labelled.xyz (0 from the journal)" in outcome.out
    found = read_structures(tmp_path / "out" / "labelled.xyz")
    assert all(np.isfinite(atoms.get_potential_energy()) for atoms in found)
    assert "(6 from the journal)" in atomplete(*command).out


def test_evaluate(atomplete, table_folder, tmp_path):
    model = table_folder / "run" / "B_NL" / "model.pt"
    outcome = atomplete("evaluate", model, table_folder / "labels.xyz", "-o", "predicted.xyz")
    assert outcome.code == 0
    structures = read_structures(table_folder / "labels.xyz")
    expected = load(model).predict(structures).energy.numpy()
    found = read_structures(tmp_path / "predicted.xyz")
    np.testing.assert_array_equal([a.info["predicted_energy"] for a in found], expected)
    reference = np.array([atoms.get_potential_energy() for atoms in structures])
    errors = json.loads((tmp_path / "predicted.xyz.metrics.json").read_text())
    assert errors["energy_rmse"] == pytest.approx(np.sqrt(np.mean((expected - reference) ** 2)))
    assert f"root mean square error {errors['energy_rmse']:.4g} eV a structure" in outcome.out
    # energies that were in the file are still there
    np.testing.assert_array_equal([a.get_potential_energy() for a in found], reference)


def test_evaluate_without_labels(atomplete, table_folder, pairs):
    outcome = atomplete("evaluate", table_folder / "run" / "D_L" / "model.pt", pairs, "-o", "p.xyz")
    said = "predictions for 6 structures in p.xyz\nno labels to compare with\n"
    assert outcome == (0, said, "")


def test_reproduce(table_folder):
    run = table_folder / "run"
    table = json.loads((run / "table.json").read_text())
    assert [row["row"] for row in table] == list(ROWS)
    assert sum(table[0][f"n_{part}_pairs"] for part in ("train", "validation", "test")) == 24
    for name in ("parity.png", "difference.png", "run.json"):
        assert (run / name).stat().st_size > 0
    page = (run / "report.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert all(f"<b>{name}</b>" in page for name in ROWS)
    assert not list(run.rglob("*.tmp*"))


def test_reproduce_prints_the_table(atomplete, table_folder, monkeypatch):
    monkeypatch.setattr(
        "atomplete.report.write_report", lambda folder, kinds, progress: folder / "page"
    )
    command = f"reproduce --labels {table_folder}/labels.xyz --rows D_L,B_L --seeds 3,4 --pairs 24"
    outcome = atomplete(
        *command.split(), "--config", table_folder / "run.yaml", "-o", "run", "--quiet"
    )
    assert outcome.code == 0
    assert outcome.err == ""
    lines = outcome.out.splitlines()
    assert "seeds 3, 4" in lines[0]
    assert [line.split()[:2] for line in lines[5:7]] == [["B_L", "TEL"], ["D_L", "-"]]
    assert lines[-2] == "table.json, parity.png, difference.png and run.json in run"
    assert lines[-1] == "report in run/page"


def test_study_of_latent_sizes(atomplete, table_folder):
    command = f"study latent-size --labels {table_folder}/labels.xyz --pairs 24 --quiet -o run"
    outcome = atomplete(*command.split(), "--config", table_folder / "run.yaml")
    assert outcome.code == 0
    assert outcome.err == ""
    lines = outcome.out.splitlines()
    assert [line.split()[0] for line in lines[1:8]] == ["8", "16", "32", "64", "128", "256", "512"]
    assert lines[-1] == "latent_size.json in run"


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
@pytest.mark.slow
def test_study_of_objectives(atomplete, table_folder):
    command = f"study objectives --labels {table_folder}/labels.xyz --pairs 24 --quiet -o run"
    outcome = atomplete(*command.split(), "--config", table_folder / "run.yaml")
    assert (outcome.code, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["features", "distances", "jacobian"]
    assert lines[-1] == "objectives.json in run"


def test_study_of_tags_and_correlations(atomplete, table_folder, tmp_path):
    options = {
        "family_pairs": 17,
        "representations": ["N1nu1", "nu3"],
        "max_radial": 2,
        "deep_set": {"hidden": [8], "head": []},
        "train": {"epochs": 1},
    }
    (tmp_path / "ablation.yaml").write_text(yaml.safe_dump(options))
    command = f"study ablation --labels {table_folder}/labels.xyz --pairs 24 --seeds 3,4 --quiet"
    outcome = atomplete(*command.split(), "--config", "ablation.yaml", "-o", "run")
    assert (outcome.code, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    rows = json.loads((tmp_path / "run" / "ablation.json").read_text())
    assert [line.split()[:2] for line in lines[1:-2]] == [
        [row["representation"], row["set"]] for row in rows
    ]
    assert {row["seeds"] for row in rows} == {2}
    blind = next(line for line in lines if line.split()[:2] == ["nu3", "b8"])
    assert blind.split()[3:] == ["1.0000", "±", "0.0000"]
    assert lines[-1] == "ablation.json in run"


@pytest.mark.slow
def test_study_of_learning_curves(atomplete, table_folder, tmp_path):
    structures = labelled(139)
    for atoms in structures[-6:]:
        atoms.info["pair_id"] += 3500
    write_structures(tmp_path / "labels.xyz", structures)
    command = "study learning-curve --labels labels.xyz --rows D_L --seeds 0 --quiet -o run"
    outcome = atomplete(*command.split(), "--config", table_folder / "run.yaml")
    assert (outcome.code, outcome.err) == (0, "")
    points = [line.split() for line in outcome.out.splitlines()[1:6]]
    assert [point[:2] for point in points] == [
        ["D_L", n] for n in ("15", "31", "61", "122", "3500")
    ]
    assert points[-1][-1] == "extrapolated"
    assert outcome.out.splitlines()[-1] == "learning_curve.json in run"


# featurize


def features_of(path):
    with h5py.File(path) as file:
        return {name: file[name][()] for name in file}, dict(file.attrs)


@pytest.mark.parametrize("name", NAMED)
def test_features_are_those_of_the_library(atomplete, pairs, tmp_path, name):
    (tmp_path / "o.yaml").write_text("memory: 110 MB\n")  # many chunks
    outcome = atomplete("featurize", pairs, "--descriptor", name, "-o", "f", "--config", "o.yaml")
    assert outcome.code == 0, outcome.err
    columns, attributes = features_of(tmp_path / "f" / "features.h5")
    descriptor = build(NAMED[name])
    system = System.from_atoms(generate("b8", 3), descriptor.cutoff, centers="info")
    expected = descriptor.fit([system])(system)
    np.testing.assert_allclose(columns["values"], expected.values, rtol=1e-12, atol=1e-14)
    assert columns["values"].dtype == np.float64
    for label, column in expected.rows.items():
        np.testing.assert_array_equal(columns[label], column)
    np.testing.assert_array_equal(columns["weight"], expected.weight)
    np.testing.assert_array_equal(columns["parity"], expected.parity)
    assert json.loads(attributes["descriptor"])["type"] == descriptor.spec.type
    described = getattr(descriptor, "labels", None)  # products of densities have none
    assert ("labels" in columns) == (described is not None)
    if described is not None:
        np.testing.assert_array_equal(columns["labels"], described)


def test_components_are_projections_on_fitted_axes(atomplete, pairs, tmp_path):
    basis = {"max_radial": 2, "max_angular": 2}
    content = {"descriptor": {"type": "three_center", "expansion": basis}}
    (tmp_path / "o.yaml").write_text(yaml.safe_dump(content))
    atomplete("featurize", pairs, "--components", 12, 5, "--config", "o.yaml", "-o", "f")
    columns, _ = features_of(tmp_path / "f" / "features.h5")
    spec = ThreeCenterSpec(expansion=ExpansionSpec(**basis), components=(12, 5))
    system = System.from_atoms(generate("b8", 3), 2.0, centers="info")
    descriptor = build(spec)
    descriptor.fit([system])
    expected = descriptor(system)
    np.testing.assert_allclose(columns["values"], expected.values, rtol=0, atol=1e-9)
    assert columns["parity"].tolist() == [1] * 12 + [-1] * 5
    assert "labels" not in columns
    # the same axes, for later structures
    kept = load(tmp_path / "f" / "descriptor.pt", Descriptor)
    np.testing.assert_allclose(columns["values"], kept(system).values, rtol=0, atol=1e-12)


def test_single_precision(atomplete, pairs, tmp_path):
    for dtype in ("float32", "float64"):
        atomplete("featurize", pairs, "--dtype", dtype, "-o", dtype, "--quiet")
    single, _ = features_of(tmp_path / "float32" / "features.h5")
    double, _ = features_of(tmp_path / "float64" / "features.h5")
    assert single["values"].dtype == single["weight"].dtype == np.float32
    largest = np.abs(double["values"]).max()
    assert 0 < np.abs(single["values"] - double["values"]).max() < 1e-5 * largest


def test_cutoff_and_centers(atomplete, pairs, tmp_path):
    atomplete("featurize", pairs, "--cutoff", 1.7, "--centers", "all", "-o", "f", "--quiet")
    columns, attributes = features_of(tmp_path / "f" / "features.h5")
    assert json.loads(attributes["descriptor"])["expansion"]["cutoff"] == 1.7
    assert set(columns["center"]) == set(range(8))
    counts = System.from_atoms(generate("b8", 3), 1.7, centers="all").neighbor_counts
    assert len(columns["values"]) == int((counts**2).sum())


def test_tag_cutoff(atomplete, pairs, tmp_path):
    """From the command line and from YAML; the density keeps its cutoff."""
    (tmp_path / "o.yaml").write_text("tag_cutoff: 1.7\n")
    atomplete("featurize", pairs, "--tag-cutoff", 1.7, "-o", "f", "--quiet")
    atomplete("featurize", pairs, "--config", "o.yaml", "-o", "g", "--quiet")
    for folder in ("f", "g"):
        columns, attributes = features_of(tmp_path / folder / "features.h5")
        spec = ThreeCenterSpec.model_validate_json(attributes["descriptor"])
        assert (spec.tag_cutoff, spec.expansion.cutoff) == (1.7, 2.0)
        system = System.from_atoms(generate("b8", 3), 2.0, centers="info")
        assert len(columns["values"]) == int((system.within(1.7).neighbor_counts ** 2).sum())
        np.testing.assert_allclose(columns["values"], build(spec)(system).values, atol=1e-12)


def test_size_and_what_was_kept_are_said(atomplete, pairs, tmp_path):
    basis = {"max_radial": 3, "max_angular": 2}
    spec = {"type": "three_center", "expansion": basis, "radial_components": 2}
    (tmp_path / "o.yaml").write_text(yaml.safe_dump({"descriptor": spec}))
    command = ("featurize", pairs, "--config", "o.yaml", "--components", 12, 5, "-o", "f")
    outcome = atomplete(*command)
    assert outcome.err.splitlines()[0].startswith("294 rows × 17 features: 0.04 MB on disk")
    lines = outcome.out.splitlines()
    assert [line.split(" kept, ")[0].split() for line in lines[:5]] == [
        *([*f"radial channels, l = {l}".split(), "2", "of", "3"] for l in range(3)),
        ["even", "rows", "12", "of", "88"],
        ["odd", "rows", "5", "of", "32"],
    ]
    assert len({line.index(" kept, ") for line in lines[:5]}) == 1
    _, attributes = features_of(tmp_path / "f" / "features.h5")
    kept = json.loads(attributes["kept"])
    assert [f"{line['lost']:.1e} of the mean square lost (exact)" for line in kept] == [
        line.split(" kept, ")[1] for line in lines[:5]
    ]
    quiet = atomplete(*command, "--quiet")
    assert (quiet.err, len(quiet.out.splitlines())) == ("", 1)


@pytest.mark.parametrize("memory", ["120MB", "0.12", "114.5 MiB"])
def test_memory_in_units(atomplete, pairs, memory):
    outcome = atomplete("featurize", pairs, "--memory", memory, "-o", "f")
    assert outcome.code == 0
    assert outcome.err.splitlines()[0].endswith("at most 120 MB in memory")


def test_nice_keeps_to_the_memory_and_says_what_it_has_kept(atomplete, refuses, pairs, tmp_path):
    basis = {"max_radial": 2, "max_angular": 1}
    spec = {"type": "nice", "expansion": basis, "max_nu": 3, "candidates": 20}
    (tmp_path / "o.yaml").write_text(yaml.safe_dump({"descriptor": spec}))
    command = ("featurize", pairs, "--config", "o.yaml", "-o", "f")
    refuses(*command, "--memory", "150MB", says=["NICE to 6 environments", "0.15 GB allowed"])
    outcome = atomplete(*command, "--memory", "200MB")
    assert outcome.code == 0, outcome.err
    kept, attributes = outcome.out.splitlines()[:-1], features_of(tmp_path / "f" / "features.h5")[1]
    assert [line.split(":")[0] for line in kept] == [
        "ν=2 λ=0 σ=+1", "ν=2 λ=1 σ=+1", "ν=2 λ=1 σ=-1", "ν=3 λ=0 σ=+1", "ν=3 λ=0 σ=-1"
    ]  # fmt: skip
    for line, stored in zip(kept, json.loads(attributes["kept"]), strict=True):
        assert f"{stored['lost']:.1e} lost" in line
        assert f"{stored['kept']:4d} kept" in line


@pytest.mark.parametrize("options", [(), ("--descriptor", "power_spectrum")])
def test_nothing_is_said_of_what_was_kept_where_all_was(atomplete, pairs, options):
    outcome = atomplete("featurize", pairs, *options, "-o", "f")
    assert outcome.out == "features of 6 structures in f/features.h5\n"


def test_isolated_atoms_have_no_rows(atomplete, tmp_path):
    write_structures("lonely.xyz", [Atoms("B"), Atoms("BB", [(0, 0, 0), (0, 0, 9)])])
    small = {"type": "three_center", "expansion": {"max_radial": 2, "max_angular": 1}}
    small |= {"radial_components": 1, "components": [4, 1]}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump({"descriptor": small}))
    for options, n_features in (((), 7344), (("--config", "small.yaml"), 5)):
        outcome = atomplete("featurize", "lonely.xyz", *options, "-o", "f", "--quiet")
        assert outcome.code == 0, outcome.err
        columns, _ = features_of(tmp_path / "f" / "features.h5")
        assert columns["values"].shape == (0, n_features)
        for name in ("structure", "center", "neighbor_1", "neighbor_2", "weight"):
            assert columns[name].shape == (0,), name


def test_isolated_atoms_among_others(atomplete, tmp_path):
    far = Atoms("BBB", [(0, 0, 0), (0, 0, 1.6), (0, 0, 9)])
    write_structures("some.xyz", [Atoms("B"), far])
    atomplete("featurize", "some.xyz", "-o", "f", "--quiet")
    columns, _ = features_of(tmp_path / "f" / "features.h5")
    assert columns["structure"].tolist() == [1, 1]
    assert columns["center"].tolist() == [0, 1]
    atomplete("featurize", "some.xyz", "--descriptor", "power_spectrum", "-o", "p", "--quiet")
    columns, _ = features_of(tmp_path / "p" / "features.h5")
    assert columns["center"].tolist() == [0, 0, 1, 2]
    assert (columns["values"][[0, 3]] == 0).all()


def test_species_are_those_of_the_file(atomplete, tmp_path):
    write_structures("co.xyz", [Atoms("CO", [(0, 0, 0), (0, 0, 1.1)])])
    atomplete("featurize", "co.xyz", "--descriptor", "power_spectrum", "-o", "f", "--quiet")
    _, attributes = features_of(tmp_path / "f" / "features.h5")
    assert json.loads(attributes["descriptor"])["expansion"]["species"] == [6, 8]


def test_a_disk_without_room(refuses, pairs, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(10**9, 10**9 - 1000, 1000))
    says = "f/features.h5", "rows of 7344 features", "keep fewer components"
    refuses("featurize", pairs, "-o", "f", says=says)


# options from YAML


def test_the_command_line_wins_over_the_file(atomplete, tmp_path):
    (tmp_path / "o.yaml").write_text("n: 2\nseed: 5\n")
    assert atomplete("generate", "chiral", "--config", "o.yaml", "-o", "a.xyz").code == 0
    assert len(read_structures(tmp_path / "a.xyz")) == 4
    atomplete("generate", "chiral", "--config", "o.yaml", "-n", 3, "-o", "b.xyz")
    found = read_structures(tmp_path / "b.xyz")
    expected = generate("chiral", 3, 5)
    np.testing.assert_array_equal(found[5].positions, expected[5].positions)


def test_a_whole_spec_in_the_file(atomplete, pairs, tmp_path):
    spec = {"type": "three_center", "expansion": {"max_radial": 2, "max_angular": 1}}
    (tmp_path / "o.yaml").write_text(yaml.safe_dump({"descriptor": spec, "dtype": "float32"}))
    command = ("featurize", pairs, "--config", "o.yaml", "--quiet")
    assert atomplete(*command, "-o", "f").code == 0
    columns, attributes = features_of(tmp_path / "f" / "features.h5")
    written = ThreeCenterSpec.model_validate_json(attributes["descriptor"])
    assert written.expansion == ExpansionSpec(max_radial=2, max_angular=1)
    assert columns["values"].dtype == np.float32
    atomplete(*command, "--cutoff", 1.75, "--components", 3, 0, "-o", "g")
    columns, attributes = features_of(tmp_path / "g" / "features.h5")
    written = ThreeCenterSpec.model_validate_json(attributes["descriptor"])
    assert (written.expansion.cutoff, written.components) == (1.75, (3, 0))


# refusals: files of structures

BAD_FILES = {
    "missing": (None, ["there is no such file"]),
    "empty": ("", ["holds no structures"]),
    "truncated": ("3\n\nB 0 0 0\nB 0 0 1.6\n", ["structure 0", "announces 3 atoms but has 2"]),
    "second truncated": ("1\n\nB 0 0 0\n2\n\nB 0 0 0\n", ["structure 1", "announces 2"]),
    "nan": ("2\n\nB 0 0 0\nB 0 nan 1.6\n", ["structure 0", "y coordinate of atom 1 is nan"]),
    "infinite": ("1\n\nB inf 0 0\n", ["structure 0", "x coordinate of atom 0 is inf"]),
    "coinciding": ("2\n\nB 0 0 1\nB 0 0 1\n", ["structure 0", "atoms 0 and 1 are 0 Å apart"]),
    "words": ("these are words\n", ["structure 0", "number of atoms", "these are words"]),
    "element": ("1\n\nXq 0 0 0\n", ["structure 0", "Xq"]),
}


@pytest.mark.parametrize(
    ("verb", "kind"),
    [
        *(("featurize", kind) for kind in BAD_FILES),
        *(
            (verb, kind)
            for verb in ("label", "evaluate", "reproduce")
            for kind in ("missing", "second truncated")
        ),
    ],
)
def test_bad_structures(refuses, table_folder, tmp_path, verb, kind):
    content, says = BAD_FILES[kind]
    bad = tmp_path / "bad.xyz"
    if content is not None:
        bad.write_text(content)
    if verb == "reproduce" and content is None:
        says = ["neither", "nor a file"]
    model = table_folder / "run" / "D_L" / "model.pt"
    command = {
        "label": ("label", bad, "-o", "new/out.xyz"),
        "featurize": ("featurize", bad, "-o", "out"),
        "evaluate": ("evaluate", model, bad, "-o", "out.xyz"),
        "reproduce": ("reproduce", "--labels", bad, "-o", "out"),
    }[verb]
    refuses(*command, says=["bad.xyz", *says])


def test_binary_noise(refuses, tmp_path):
    (tmp_path / "bad.xyz").write_bytes(bytes(range(256)))
    refuses(
        "featurize",
        "bad.xyz",
        "-o",
        "out",
        says=["bad.xyz, structure 0", "must hold the number of atoms"],
    )


def test_a_species_that_the_model_does_not_know(refuses, table_folder, tmp_path):
    model = table_folder / "run" / "B_NL" / "model.pt"
    write_structures("known.xyz", [Atoms(z, info={"center": 0}) for z in "BC"])
    says = ["known.xyz, structure 1", "atomic number 6", "knows 5"]
    refuses("evaluate", model, "known.xyz", "-o", "out.xyz", says=says)
    neighbor = Atoms("BC", [(0, 0, 0), (0, 0, 1.5)], info={"center": 0})
    write_structures("known.xyz", [neighbor])
    says = ["known.xyz, structure 0", "atomic number 6", "knows 5"]
    refuses("evaluate", model, "known.xyz", "-o", "out.xyz", says=says)


def test_a_center_that_does_not_exist(refuses, tmp_path):
    write_structures("bad.xyz", [Atoms("B"), Atoms("B", info={"center": 4})])
    command = ("featurize", "bad.xyz", "--centers", "info", "-o", "out")
    refuses(*command, says=["bad.xyz, structure 0", "no 'center'"])
    write_structures("bad.xyz", [Atoms("B", info={"center": 4})])
    refuses(*command, says=["bad.xyz, structure 0", "center 4 of 1 atoms"])


def test_labels_without_energies(refuses, tmp_path):
    structures = labelled(24)
    structures[7].calc = None
    write_structures("labels.xyz", structures)
    command = ("reproduce", "--labels", "labels.xyz", "--budget", "smoke", "-o", "out")
    refuses(*command, says=["labels.xyz, structure 7", "energy"])


def test_labels_that_are_not_finite(refuses, tmp_path):
    structures = labelled(24)
    structures[5].calc.results["energy"] = np.nan
    write_structures("labels.xyz", structures)
    command = ("reproduce", "--labels", "labels.xyz", "--budget", "smoke", "-o", "out")
    refuses(*command, says=["labels.xyz, structure 5", "nan"])


# refusals: checkpoints


@pytest.mark.parametrize("content", [b"", b"no model", b"PK\x03\x04"], ids=["empty", "text", "zip"])
def test_a_checkpoint_that_is_none(refuses, pairs, tmp_path, content):
    (tmp_path / "model.pt").write_bytes(content)
    refuses("evaluate", "model.pt", pairs, "-o", "out.xyz", says=["model.pt", "not a checkpoint"])


def test_a_missing_checkpoint(refuses, pairs):
    refuses("evaluate", "model.pt", pairs, "-o", "out.xyz", says=["model.pt: no such file"])


def test_a_training_state_is_not_a_model(refuses, table_folder, pairs):
    path = table_folder / "run" / "B_NL" / "training.pt"
    refuses(
        "evaluate",
        path,
        pairs,
        "-o",
        "out.xyz",
        says=["training.pt", "not an atomplete checkpoint"],
    )


# refusals: options


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["generate", "b9", "-o", "x.xyz"], ["family 'b9' is unknown"]),
        (["generate", "b8", "-o", "x.txt"], ["x.txt", ".xyz"]),
        (["generate", "b8", "-n", "0", "-o", "x.xyz"], ["atomplete: option n = 0 should be"]),
        (["generate", "b8", "-n", "many", "-o", "x.xyz"], ["-n", "integer"]),
        (["generate", "b8", "--seed", "-1", "-o", "x.xyz"], ["option seed = -1"]),
        (["generate", "b8"], ["--output"]),
        (["generate", "-o", "x.xyz"], ["family"]),
        (["generate", "b8", "-o", "x.xyz", "--colour", "red"], ["--colour"]),
        (["paint"], ["paint"]),
        (["label", "pairs.xyz", "-o", "x.xyz", "--method", "mp2"], ["mp2", "xtb, pbe"]),
        (["label", "pairs.xyz", "-o", "x.xyz", "--workers", "0"], ["option workers = 0"]),
        (["label", "pairs.xyz", "-o", "x.txt"], ["x.txt", ".xyz"]),
        (
            ["featurize", "pairs.xyz", "-o", "f", "--descriptor", "soap"],
            ["soap", "three_center"],
        ),
        (["featurize", "pairs.xyz", "-o", "f", "--dtype", "int8"], ["dtype", "int8"]),
        (["featurize", "pairs.xyz", "-o", "f", "--cutoff", "-1"], ["cutoff", "-1"]),
        (
            ["featurize", "pairs.xyz", "-o", "f", "--cutoff", "inf"],
            ["cutoff inf Å is not a length"],
        ),
        (
            ["featurize", "pairs.xyz", "-o", "f", "--components", "-1", "0"],
            ["three_center: option components.0 = -1"],
        ),
        (
            ["featurize", "pairs.xyz", "-o", "f", "--components", "0", "0"],
            ["components = (0, 0): no feature would be left"],
        ),
        (["featurize", "pairs.xyz", "-o", "f", "--memory", "0"], ["memory = '0'"]),
        (["featurize", "pairs.xyz", "-o", "f", "--memory", "4 GBit"], ["'4 GBit'", "like 4GB"]),
        (["featurize", "pairs.xyz", "-o", "f", "--memory", "90MB"], ["pairs.xyz, structure 0"]),
        (["featurize", "pairs.xyz", "-o", "f", "--tag-cutoff", "3"], ["tag_cutoff 3 Å", "2 Å"]),
        (["featurize", "pairs.xyz", "-o", "f", "--centers", "some"], ["centers", "some"]),
        (["featurize", "pairs.xyz", "-o", "f", "--components", "3"], ["components"]),
        (
            [
                "featurize",
                "pairs.xyz",
                "-o",
                "f",
                "--descriptor",
                "bispectrum",
                "--components",
                "3",
                "2",
            ],
            ["bispectrum", "components"],
        ),
        (["featurize", "pairs.xyz", "-o", "pairs.xyz"], ["pairs.xyz: a file, not a folder"]),
        (["featurize", "pairs.xyz", "-o", "pairs.xyz/f"], ["pairs.xyz"]),
        (["generate", "b8", "-o", "pairs.xyz/x.xyz"], ["pairs.xyz"]),
        (
            ["reproduce", "-o", "run", "--rows", "E_NL"],
            ["row E_NL", "B_L, B_NL, C_L, C_NL, D_L, D_NL"],
        ),
        (["reproduce", "-o", "run", "--seeds", "1,1"], ["seeds"]),
        (["reproduce", "-o", "run", "--seeds", "one"], ["seeds"]),
        (["study", "colours", "-o", "run"], ["colours"]),
        (["study", "ablation", "--rows", "B_NL", "-o", "run"], ["neither rows nor a budget"]),
        (["study", "ablation", "--labels", "mp2", "-o", "run"], ["labels mp2"]),
        (["study", "learning-curve", "--rows", "E_NL", "-o", "run"], ["unknown row E_NL"]),
        (["reproduce", "-o", "run", "--rows", ""], ["unknown row"]),
        (["reproduce", "-o", "run", "--pairs", "3"], ["pairs = 3"]),
        (["reproduce", "-o", "run", "--budget", "huge"], ["budget", "huge"]),
        (["reproduce", "-o", "run", "--labels", "mp2"], ["labels mp2"]),
        (["reproduce", "-o", "run", "--config", "absent.yaml"], ["absent.yaml"]),
        (["reproduce", "-o", "run", "--config", "."], ["cannot be read"]),
    ],
    ids=lambda value: " ".join(value[:8]) if value[0].islower() else "",
)
def test_bad_options(refuses, pairs, arguments, says):
    refuses(*arguments, says=says)


BAD_YAML = {
    "syntax": ("n: [1\n", ["not YAML"]),
    "list": ("- n\n- 3\n", ["not a list of options"]),
    "word": ("n", ["not a list of options"]),
    "tab": ("n:\t- 3\n\t4", ["not YAML"]),
    "unknown": ("sede: 3\n", ["unknown option sede"]),
    "value": ("n: many\n", ["option n = 'many'"]),
    "number": ("3: 4\n", ["3"]),
    "code": ("n: !!python/object/apply:os.mkdir [executed]\n", ["not YAML"]),
}


@pytest.mark.parametrize("kind", BAD_YAML)
def test_bad_yaml(refuses, tmp_path, kind):
    content, says = BAD_YAML[kind]
    (tmp_path / "o.yaml").write_text(content)
    command = ("generate", "b8", "-o", "x.xyz", "--config", "o.yaml")
    refuses(*command, says=["o.yaml", *says])


def test_yaml_that_is_not_text(refuses, tmp_path):
    (tmp_path / "o.yaml").write_bytes(bytes(range(128, 256)))
    command = ("generate", "b8", "-o", "x.xyz", "--config", "o.yaml")
    refuses(*command, says=["o.yaml: cannot be read"])


@pytest.mark.parametrize(
    ("verb", "content", "says"),
    [
        ("reproduce", {"settings": {"colour": 1}}, ["unknown option colour"]),
        ("reproduce", {"settings": {"train": {"epoch": 1}}}, ["unknown option train.epoch"]),
        ("reproduce", {"settings": {"three_center": {"expansion": {"rcut": 1}}}}, ["rcut"]),
        ("reproduce", {"settings": {"deep_set": {"group": "U1"}}}, ["deep_set.group = 'U1'"]),
        ("reproduce", {"settings": 3}, ["settings = 3"]),
        ("reproduce", {"rows": []}, ["rows"]),
        ("reproduce", {"rows": "B_NL"}, ["rows"]),
        ("featurize", {"descriptor": {"type": "soap"}}, ["soap"]),
        ("featurize", {"descriptor": {"nu": [2]}}, ["type"]),
        (
            "featurize",
            {"descriptor": {"type": "three_center", "nu": 2}},
            ["atomplete: o.yaml: descriptor: unknown option nu"],
        ),
        ("featurize", {"descriptor": {"type": "three_center", "expansion": 3}}, ["expansion"]),
        (
            "featurize",
            {"descriptor": {"type": "three_center", "expansion": [3]}},
            ["expansion"],
        ),
        ("featurize", {"descriptor": 3}, ["descriptor"]),
        ("label", {"settings": {"colour": 1}}, ["colour"]),
        ("label", {"method": "pbe", "settings": {"recipe": "soup"}}, ["soup"]),
        ("label", {"settings": {"max_iterations": "many"}}, ["max_iterations", "many"]),
    ],
)
def test_bad_nested_options(refuses, pairs, tmp_path, verb, content, says):
    (tmp_path / "o.yaml").write_text(yaml.safe_dump(content))
    command = {
        "reproduce": ("reproduce", "-o", "run"),
        "featurize": ("featurize", pairs, "-o", "f"),
        "label": ("label", pairs, "-o", "x.xyz", "--workers", "1"),
    }[verb]
    refuses(*command, "--config", "o.yaml", says=says)


# refusals that are nobody's fault


def test_interruption_is_not_a_traceback(atomplete, pairs, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("atomplete.degenerate.families.registry.generate", interrupt)
    outcome = atomplete("generate", "b8", "-o", "x.xyz")
    assert outcome.code == 130
    assert outcome.err.splitlines() == [
        "atomplete: interrupted; give the same command again to finish"
    ]


def test_no_interruption_is_lost(atomplete, monkeypatch):
    """Not even one that comes where Python may only print it."""

    class Interrupted:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    def generate_pairs(*_):
        Interrupted()
        for _ in range(100):
            time.sleep(0.1)

    monkeypatch.setattr("atomplete.degenerate.families.registry.generate", generate_pairs)
    hook = sys.unraisablehook
    # shells start what runs in the background with interrupts ignored
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert atomplete("generate", "b8", "-o", "x.xyz").code == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert sys.unraisablehook is hook


def test_a_missing_extra_is_named(refuses, pairs, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "tblite"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tblite", None)
    says = ["tblite is not installed", "atomplete[dft]"]
    refuses("label", pairs, "-o", "out/x.xyz", "--workers", 1, says=says)


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("can't allocate memory: 9 GB")])
def test_too_little_memory(refuses, monkeypatch, error):
    def greedy(*_):
        raise error

    monkeypatch.setattr("atomplete.degenerate.families.registry.generate", greedy)
    refuses("generate", "b8", "-o", "x.xyz", says=["out of memory"])


def test_a_full_disk(refuses, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device", "x.xyz")

    monkeypatch.setattr("atomplete.data.write_structures", full)
    refuses("generate", "b8", "-o", "x.xyz", says=["x.xyz: No space left on device"])
