"""Folders from elsewhere: names that want to be HTML, paths that lead out, broken files."""

import json
import shutil

import numpy as np
import pytest
from report_folders import N_PAIRS, Page, write_audit, write_json, write_run

from atomplete.data import write_structures
from atomplete.degenerate.families.registry import generate
from atomplete.errors import InputError
from atomplete.paper.report import RUN_PAGE
from atomplete.report import AUDIT_PAGE, FIT_PAGE, write_report

KINDS = (RUN_PAGE, AUDIT_PAGE, FIT_PAGE)
NAMES = (
    "</script><script>alert(1)</script>",
    '"onload="alert(1)" x="',
    "'><img src=x onerror=alert(1)>",
    "<!--<script>",
    "$\\frac{",
    "a $x$ b_{",
    "{{ 7 * 7 }}{% raw %}",
    "${alert(1)}`",
    "&lt;b&gt; &#60;i>",
    "\u2028]]>\u2029",
    "\x00\x1b[31mred\x07",
    "\ud800",
    "%zz#/../x",
)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Verdicts on the pairs of a run take most of the time, and are shown by other tests."""
    monkeypatch.setattr("atomplete.paper.report.run_pairs.SUBJECTS", ())


def hostile_audit(folder, name):
    own = {"level": "environment", "group": "O3", "cutoff": 3.0, "pair_id": 5, "reason": name}
    row = {"subject": name, "family": name, "verdict": "blind", "separation": 0.1} | own
    curve = {"structural_distances": [1e-4, 1e-2], "feature_distances": [2e-5, 2e-3], "slope": 1.0}
    write_json(folder / "audit.json", [row | curve, row | {"family": "b8", "subject": "mine"}])
    spectrum = {"subject": name, "file": name, "formula": name, "level": "environment"}
    spectrum |= {"cutoff": 3.0, "group": "O3", "verdict": "resolved", "rank": 1, "directions": 1}
    spectrum |= {"required_zeros": 0, "best_rank": 1, "noise": 1e-15, "singular_values": [1.0]}
    write_json(folder / "resolution.json", [spectrum])
    basis = {"max_radial": 4, "max_angular": 3, "dtype": name}
    found = {"smallest": basis, "separated": [3], "n": 3, "ladder": [basis]}
    write_json(folder / "sweep.json", [{"subject": name, "family": name, **found}])
    write_json(folder / "run.json", {name: {name: [name]}, "options": {"seed": name}})
    try:
        shutil.copy(folder / "pair.xyz", folder / f"{name}.xyz")
    except (OSError, ValueError):  # no name of a file
        return


def hostile_fit(folder, name):
    errors = {"energy_rmse": 0.1, "forces_rmse": 0.2}
    values = {"reference": [1.0, 2.0], "predicted": [1.0, 2.5]}
    write_json(folder / "metrics.json", {name: errors, "validation": errors})
    write_json(folder / "parity.json", {name: {"forces": values}})
    write_json(folder / "run.json", {name: name})
    epochs = [{"epoch": k, f"{name} loss": 1 / k, "validation_loss": 2 / k} for k in (1, 2)]
    (folder / "log.jsonl").write_text("\n".join(map(json.dumps, epochs)))


def tags(page):
    return [(tag, sorted(attributes)) for tag, attributes in page.tags]


@pytest.fixture(scope="module")
def tame(tmp_path_factory):
    """The same pages with a harmless name."""
    pages = {}
    for fill in (hostile_audit, hostile_fit):
        folder = tmp_path_factory.mktemp("tame")
        write_pair(folder / "pair.xyz")
        fill(folder, "name")
        pages[fill] = Page(write_report(folder, KINDS).read_text())
    return pages


def write_pair(path):
    pair = generate("chiral", 1)
    for atoms in pair:
        atoms.info["pair_id"] = 5
    write_structures(path, pair)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fill", [hostile_audit, hostile_fit])
def test_a_name_is_text_wherever_it_stands(tmp_path, tame, fill, name):
    write_pair(tmp_path / "pair.xyz")
    fill(tmp_path, name)
    page = Page(write_report(tmp_path, KINDS).read_text(encoding="utf-8"))
    expected = tags(tame[fill])
    if (tmp_path / "pair.xyz").is_file() and fill is hostile_audit:
        # what is no name of a file has neither pairs to show nor a link to them
        kinds = {tag for tag, _ in tags(page)}
        assert kinds <= {tag for tag, _ in expected} | {"li"}
    else:
        assert tags(page) == expected
    for _, attributes in page.tags:
        assert not any(key.startswith("on") for key in attributes)
    scripts = page.all("script")
    assert len(scripts) == (2 if fill is hostile_audit else 0)
    if scripts:
        subjects = {
            verdict["subject"]
            for one in page.payload()["sets"]
            for pair in one["pairs"]
            for verdict in pair["verdicts"]
        }
        assert "mine" in subjects
    shown = name.translate(dict.fromkeys((0, 7, 0x1B, 0xD800), "\ufffd"))
    assert any(shown in text for text in page.texts)
    assert "49" not in page.texts


@pytest.mark.parametrize("name", NAMES)
def test_names_in_a_run_are_text(tmp_path, name):
    folder = write_run(tmp_path / "run")
    rows = json.loads((folder / "table.json").read_text())
    for row in rows:
        row |= {"v1_name": name, "budget": name, "labels": name}
    rows.append(rows[1] | {"row": name})
    write_json(folder / "table.json", rows)
    write_json(folder / "run.json", {name: name, "options": [name]})
    predictions = folder / "B_NL" / "predictions.csv"
    if name.isprintable() and '"' not in name:
        predictions.write_text(predictions.read_text().replace("train", f'"{name}"'))
    page = Page(write_report(folder, KINDS).read_text())
    assert page.all("meta", **{"http-equiv": "Content-Security-Policy"})
    assert len(page.all("script")) == 2
    assert not page.all("img")
    for _, attributes in page.tags:
        assert not any(key.startswith("on") for key in attributes)
    page.payload()


def test_paths_in_results_lead_nowhere_else(tmp_path, capsys):
    outside = tmp_path / "outside"
    outside.mkdir()
    write_pair(outside / "own.xyz")
    folder = write_audit(tmp_path / "audit")
    (row, *_) = json.loads((folder / "audit.json").read_text())
    ways = ["../outside/own", str(outside / "own"), "link"]
    (folder / "link.xyz").symlink_to(outside / "own.xyz")
    write_json(folder / "audit.json", [row | {"family": way} for way in ways])
    page = Page(write_report(folder, KINDS).read_text())
    assert page.data == ""
    problems = capsys.readouterr().err.splitlines()
    assert len(problems) == 3
    assert all(line.endswith("it does not lie in the folder") for line in problems)


def test_a_run_shows_no_file_that_its_reader_has_elsewhere(tmp_path):
    folder, outside = write_run(tmp_path / "run"), write_run(tmp_path / "outside")
    structures = folder / f"b8-{N_PAIRS}-xtb.xyz"
    secret = structures.rename(tmp_path / "secret.xyz")
    rows = json.loads((folder / "table.json").read_text())
    write_json(folder / "table.json", [*rows, rows[1] | {"row": "../outside/B_NL"}])
    for labels in (str(secret), "../secret", "xtb/../../secret", "*"):
        options = {"pairs": N_PAIRS, "labels": labels}
        write_json(folder / "run.json", {"options": options, "data_sha256": "ab12"})
        page = Page(write_report(folder, KINDS).read_text())
        assert "run" not in {one["key"] for one in page.payload()["sets"]}
        assert not any("outside" in text and "E⁺" in text for text in page.texts)
    assert (outside / "B_NL" / "predictions.csv").is_file()
    assert any("does not lie in the folder" in text for text in page.texts)


def as_folder(path):
    path.unlink()
    path.mkdir()


DAMAGES = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_text(""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "foreign": lambda path: path.write_text("to be or not to be, 5\n1, 2\n"),
    "another": lambda path: path.write_text('[{"a": 1}, 5, null]\n{"b": [1]}\n'),
    "mapping": lambda path: path.write_text('{"a": {"b": [1, {"c": 5}]}}'),
    "binary": lambda path: path.write_bytes(b"\x00\xff\xfe" * 99),
    "deep": lambda path: path.write_text("[" * 10**5),
    "folder": as_folder,
}


def write_fit(folder):
    folder.mkdir()
    hostile_fit(folder, "train")
    return folder


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A folder of each kind."""
    folder = tmp_path_factory.mktemp("sound")
    for write in (write_run, write_audit, write_fit):
        write(folder / write.__name__)
    return folder


@pytest.fixture(params=["write_run", "write_audit", "write_fit"])
def results(request, sound, tmp_path):
    """A copy of one of them."""
    return shutil.copytree(sound / request.param, tmp_path / "results")


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_rest_is_shown_and_what_is_damaged_is_named(results, damage, capsys):
    folder = results
    marks = {"table.json", "audit.json", "metrics.json"}
    broken = [path for path in folder.rglob("*") if path.is_file() and path.name not in marks]
    for path in broken:
        DAMAGES[damage](path)
    page = Page(write_report(folder, KINDS).read_text())
    assert {"table", "verdicts", "errors"} & {one["id"] for one in page.all("section")}
    said = " ".join(page.texts) + capsys.readouterr().err
    if damage in ("cut", "foreign", "binary", "deep"):
        for path in broken:
            # the last line of a log may well be half written
            last = path.name == "log.jsonl" and damage in ("cut", "deep")
            assert last or path.name in said, path


@pytest.mark.parametrize("damage", [name for name in DAMAGES if name != "mapping"])
def test_where_nothing_is_left_one_sentence_says_so(results, atomplete, damage):
    folder = results
    for mark in ("table.json", "audit.json", "metrics.json"):
        if (folder / mark).is_file():
            DAMAGES[damage](folder / mark)
    outcome = atomplete("report", "results", "--quiet")
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert outcome.err.startswith("atomplete: results")
    assert not (folder / "report.html").exists()


def test_one_bad_verdict_does_not_hide_the_others(tmp_path, capsys):
    folder = write_audit(tmp_path / "audit")
    rows = json.loads((folder / "audit.json").read_text())
    rows[0]["separation"], rows[1]["verdict"], rows[2]["member"] = np.nan, "maybe", "first"
    write_json(folder / "audit.json", rows)
    page = Page(write_report(folder, KINDS).read_text())
    assert any(f"{len(rows) - 3} verdicts" in text for text in page.texts)
    assert "audit.json, entry 0: separation: input should be a finite number (and 2 more)" in (
        capsys.readouterr().err
    )


def test_a_sound_page_is_written_where_another_is_damaged(tmp_path):
    folder = write_fit(tmp_path / "both")
    (folder / "table.json").write_text("[")
    assert "A fitted potential" in Page(write_report(folder, KINDS).read_text()).texts
    (folder / "metrics.json").write_text("")
    with pytest.raises(InputError, match=r"table\.json: damaged"):
        write_report(folder, KINDS)
