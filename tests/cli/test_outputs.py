"""Nothing is written over inputs, over what somebody else wrote, or over devices and links."""

import os

import pytest
from ase import Atoms

from atomplete.cli import app
from atomplete.data import write_structures
from atomplete.degenerate.families.registry import generate

WATER = Atoms("OH2", [(0, 0, 0), (0, 0.7, 0.6), (0, -0.8, 0.5)])
SOURCE = "def make(atoms):\n    return [1.0]\n"

# {} is the output; files that commands read lie in the folder
COMMANDS = {
    "generate": "generate b8 -n 1 --config o.yaml -o {}",
    "label": "label in.xyz --method ase:emt --workers 1 --merge labelled.xyz --config o.yaml -o {}",
    "evaluate": "evaluate model.pt in.xyz -o {}",
    "suggest": "suggest model.pt in.xyz --config o.yaml -o {}",
    "export": "export model.pt --to lammps -o {}",
    "md": "md in.xyz --model model.pt --config o.yaml -o {}",
    "lammps": "lammps model.pt --build {}",
    "resolve": "resolve mine.py:make in.xyz --sweep 0 -o {}",
    "search": "search mine.py:make in.xyz --starts 1 -o {}",
    "subsets": "subsets ring:5 3 --config o.yaml -o {}",
    "reconstruct": "reconstruct mine.py:make in.xyz --seconds 1 -o {}",
    "featurize": "featurize in.xyz --config o.yaml -o {}",
    "train": "train in.xyz --validation other.xyz -o {}",
    "audit": "audit model.pt mine.py:make spec.yaml?group=O3 --pairs in.xyz -o {}",
    "reproduce": "reproduce --labels in.xyz -o {}",
    "study": "study objectives --labels in.xyz -o {}",
}
RESOLVE = "resolve radial_spectrum in.xyz --sweep 0"
FILES = ("generate", "label", "evaluate", "suggest", "export", "search", "subsets", "reconstruct")
FOLDERS = ("featurize", "train", "md", "lammps", "audit", "reproduce", "study")


@pytest.fixture
def folder(tmp_path):
    for name in ("in.xyz", "other.xyz", "labelled.xyz"):
        write_structures(tmp_path / name, [WATER])
    (tmp_path / "mine.py").write_text(SOURCE)
    (tmp_path / "o.yaml").write_text("{}\n")
    (tmp_path / "spec.yaml").write_text("type: radial_spectrum\n")
    (tmp_path / "model.pt").write_bytes(b"")
    return tmp_path


@pytest.fixture
def refuses(atomplete, folder):
    """Run a command that must fail before its work, and leave every file as it was."""

    def run(verb, output, says):
        before = {path: path.lstat() for path in folder.rglob("*")}
        outcome = atomplete(*COMMANDS[verb].format(output).split())
        assert outcome.code == 2
        assert says in outcome.err
        assert outcome.err.count("\n") == 1
        after = {path: path.lstat() for path in folder.rglob("*")}
        assert before.keys() == after.keys()
        for path, status in before.items():
            other = after[path]
            assert (status.st_ino, status.st_size) == (other.st_ino, other.st_size)
            assert path.is_dir() or status.st_mtime_ns == other.st_mtime_ns

    return run


def test_every_verb_that_writes_is_here():
    writing = [
        command.callback.__name__
        for command in app.registered_commands
        if "output" in command.callback.__wrapped__.__annotations__
    ]
    assert sorted(writing) == sorted(COMMANDS)


@pytest.mark.parametrize("verb", [*FILES, "resolve"])
def test_no_input_is_written_over(refuses, folder, verb):
    (folder / "sub").mkdir()
    (folder / "hard.xyz").hardlink_to(folder / "in.xyz")
    inputs = [word for word in COMMANDS[verb].split() if word.endswith((".xyz", ".yaml", ".pt"))]
    assert inputs
    for name in inputs:
        if verb != "resolve":  # by a name that the verb could take
            (folder / f"{name}.xyz").hardlink_to(folder / name)
            name = f"{name}.xyz"
        for output in (name, f"sub/../{name}", folder / name):
            refuses(verb, output, "it is an input, which would be written over")


@pytest.mark.parametrize(
    ("verb", "beside"),
    [("label", "card.yaml"), ("label", "journal.jsonl"), ("evaluate", "metrics.json")],
)
def test_no_input_is_written_over_beside_the_output(refuses, folder, verb, beside):
    (folder / f"out.xyz.{beside}").hardlink_to(folder / "in.xyz")
    refuses(verb, "out.xyz", f"out.xyz.{beside}: it is an input")


@pytest.mark.parametrize("name", ["mine.py", "in.xyz"])
def test_code_is_an_input(refuses, name):
    refuses("resolve", name, f"{name}: it is an input")


@pytest.mark.parametrize("verb", [*FILES, "resolve"])
def test_files_of_others_are_kept(refuses, folder, verb):
    (folder / "notes.xyz").write_text("my notes\n")
    refuses(verb, "notes.xyz", "notes.xyz: it is there already, and not from an earlier `atomp")
    write_structures(folder / "mine.xyz", [WATER])
    refuses(verb, "mine.xyz", "there already")


def test_labels_are_not_replaced_by_pairs(refuses, folder):
    structures = generate("b8", 1)
    for atoms in structures:
        atoms.info["label_method"] = "pbe"
    write_structures(folder / "labelled_pairs.xyz", structures)
    refuses("generate", "labelled_pairs.xyz", "there already")


def test_own_files_and_empty_ones_are_replaced(atomplete, folder):
    (folder / "b8.xyz").touch()
    for _ in range(2):
        assert atomplete("generate", "b8", "-n", 1, "-o", "b8.xyz").code == 0
        assert atomplete("subsets", "ring:8", 4, "--nu", 1, "-o", "s.xyz").code == 0
        assert atomplete(*RESOLVE.split(), "-o", "r.json").code == 0


@pytest.mark.parametrize("verb", [*FILES, "resolve"])
def test_only_files_are_replaced(refuses, folder, verb):
    (folder / "a.xyz").mkdir()
    refuses(verb, "a.xyz", "a.xyz: it is a folder, not a file")
    os.mkfifo(folder / "pipe.xyz")
    (folder / "link.xyz").symlink_to("absent.xyz")
    for name in ("pipe.xyz", "link.xyz"):
        refuses(verb, name, f"{name}: it is a link, a device or a pipe, not a file")
    if verb == "resolve":
        refuses(verb, "/dev/null", "/dev/null: it is a link, a device or a pipe, not a file")
        refuses(verb, "/dev/stdout", "it is a")
    refuses(verb, "in.xyz/a.xyz", "is a file, not a folder")


@pytest.mark.parametrize("verb", FOLDERS)
def test_a_file_is_no_folder(refuses, verb):
    refuses(verb, "other.xyz", "other.xyz: a file, not a folder")
    refuses(verb, "/dev/null", "/dev/null: a file, not a folder")


@pytest.mark.parametrize("verb", FOLDERS)
def test_files_in_the_way_are_seen_before_the_work(refuses, folder, verb):
    (folder / "out").mkdir()
    name = {
        "featurize": "features.h5",
        "train": "log.jsonl",
        "lammps": "atompleteplugin.so",
        "study": "objectives.json",
    }.get(verb, "run.json")
    (folder / "out" / name).write_text("mine")
    refuses(verb, "out", f"out/{name}: it is there already, and not from an earlier `atomplete")


def test_a_page_of_somebody_else_is_kept(atomplete, folder):
    (folder / "metrics.json").write_text('{"validation": {"energy_mae": 0.1}}')
    (folder / "report.html").write_text("mine")
    outcome = atomplete("report", ".")
    assert (outcome.code, "report.html: it is there already" in outcome.err) == (2, True)
    (folder / "report.html").unlink()
    for _ in range(2):
        assert atomplete("report", ".").code == 0


@pytest.mark.parametrize("subject", ["mace:a.model", "metatomic:a.pt?output=energy"])
@pytest.mark.parametrize("verb", ["audit", "resolve", "search"])
def test_models_that_may_run_code_are_asked_for(atomplete, folder, verb, subject):
    """And none of their bytes is read before: the package need not even be installed."""
    arguments = [verb, subject, *(["in.xyz", "-o", "o.xyz"] if verb != "audit" else [])]
    outcome = atomplete(*arguments)
    assert outcome.code == 2
    assert f"{subject}: the loader of {subject.split(':')[0]} runs code" in outcome.err
    assert "--trust" not in atomplete(*arguments, "--trust").err
