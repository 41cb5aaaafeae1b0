"""Malformed and strange input to all verbs: a result or one sentence, never a traceback.

``ATOMPLETE_FUZZ=2000`` makes it two thousand commands; by default they are few.
"""

import contextlib
import io
import os
import random
import resource
import shutil
import signal
import sys
import traceback
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import typer
import yaml
from ase import Atoms
from ase.build import bulk
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from labelled_pairs import SMALL, write_labelled
from mutations import OPTIONS, spoil

from atomplete.cli import app, main
from atomplete.data import write_structures
from atomplete.degenerate.families.registry import generate

pytestmark = pytest.mark.slow

EXAMPLES = int(os.environ.get("ATOMPLETE_FUZZ", "60"))

#: Seconds after which a command that is still at work counts as one that was accepted.
PATIENCE = 15

#: Bound on memory that commands state, and the most of it that one may take, bytes.
STATED, SLACK = 2 * 10**9, 2

FAST = {"expansion": {"max_radial": 2, "max_angular": 1}}
CONFIGS = {
    "generate": {"n": 2, "seed": 1},
    "subsets": {"nu": 1, "symbols": ["C", "H"], "spacing": 1.5},
    "featurize": {"descriptor": {"type": "three_center", **FAST}, "cutoff": 2.0, "memory": "1GB"},
    "train": {"descriptor": {"type": "density_correlations", **FAST}, "cutoff": 2.5, "seed": 1},
    "suggest": {"n": 2, "by": "forces"},
    "md": {"ensemble": "nvt", "time": 0.01, "timestep": 0.5, "every": 10, "seed": 1},
    "label": {"method": "ase:lj", "settings": {"epsilon": 0.1}, "workers": 1, "slice": ":"},
    "audit": {"families": ["distances"], "n": 1, "options": {}},
    "resolve": {"sweep": 0, "level": "environment", "cutoff": 2.5},
    "search": {"starts": 1, "seconds": 1.0, "index": 0},
    "reconstruct": {"seconds": 1.0, "composition": "H2", "most": 3},
    "reproduce": {"pairs": 24, "labels": "labels.xyz", "rows": ["D_L"], "settings": SMALL},
    "spec": {"type": "density_correlations", "nu": [1, 2], **FAST},
}
# command, what it reads, and how often it is drawn
COMMANDS = (
    ("generate distances --config generate.yaml -o out.xyz", "generate.yaml", 2),
    ("subsets ring:8 4 --config subsets.yaml -o out.xyz", "subsets.yaml", 1),
    ("featurize in.xyz --config featurize.yaml -o out", "in.xyz featurize.yaml", 6),
    ("featurize cell.xyz --config featurize.yaml -o out", "cell.xyz", 3),
    ("featurize in.xyz.gz --descriptor radial_spectrum -o out", "in.xyz.gz", 1),
    ("featurize poscar.vasp --descriptor radial_spectrum -o out", "poscar.vasp", 1),
    ("featurize in.xyz --descriptor features/descriptor.pt -o out", "features/descriptor.pt", 1),
    ("train dimers.xyz --config train.yaml -o out", "dimers.xyz train.yaml", 5),
    ("train dimers.xyz --config train.yaml -o fit", "fit/*", 4),
    ("evaluate fit/model.pt dimers.xyz -o out.xyz", "dimers.xyz fit/model.pt", 6),
    ("suggest fit/model.pt dimers.xyz --config suggest.yaml -o out.xyz", "dimers.xyz *st.yaml", 3),
    ("suggest fit/model.pt dimers.xyz -n 2 -o out.xyz", "fit/model.pt", 2),
    ("md dimers.xyz --model fit/model.pt --config md.yaml -o out", "dimers.xyz md.yaml", 3),
    ("md dimers.xyz --model fit/model.pt --config md.yaml -o dynamics", "dynamics/*", 2),
    ("label in.xyz --config label.yaml -o out.xyz", "in.xyz label.yaml", 2),
    ("label in.xyz --config label.yaml -o done.xyz", "done.xyz*", 2),
    ("label in.xyz --merge done.xyz --config label.yaml -o out.xyz", "done.xyz", 1),
    ("label in.xyz --merge done.xyz.journal.jsonl --config label.yaml -o out.xyz", "done*l", 1),
    ("audit spec.yaml --config audit.yaml -o out", "spec.yaml audit.yaml", 2),
    ("audit spec.yaml --pairs pairs.xyz -o out", "pairs.xyz", 3),
    ("audit fit/model.pt --pairs pairs.xyz -o out", "fit/model.pt", 1),
    ("audit mine.py:make --pairs pairs.xyz -o out", "mine.py", 1),
    ("audit spec.yaml --config audit.yaml -o audits", "audits/*", 1),
    ("resolve spec.yaml in.xyz --config resolve.yaml -o out.json", "*c.yaml in.xyz *e.yaml", 4),
    ("search spec.yaml in.xyz --config search.yaml -o out.xyz", "in.xyz search.yaml", 1),
    ("reconstruct spec.yaml in.xyz --config reconstruct.yaml -o out.xyz", "in.xyz *uct.yaml", 1),
    ("reconstruct features -o out.xyz", "features/*", 2),
    ("reproduce --config reproduce.yaml -o table", "table/* table/*/* *uce.yaml labels.xyz", 2),
    ("study latent-size --config reproduce.yaml -o out", "reproduce.yaml", 1),
    ("report table", "table/* table/*/*", 2),
    ("report audits", "audits/*", 3),
    ("report fit", "fit/*", 3),
)  # fmt: skip

MINE = """
def make(atoms):
    return atoms.get_all_distances().sum(1)
"""

#: Options that reach out of the machine, or only say how long to work.
LEFT_OUT = {"scheduler", "slurm", "workers", "config", "help", "quiet", "output", "nice"}


class Patience(BaseException):
    """A command has worked for long enough."""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Small files of all kinds, and folders that verbs have filled."""
    folder = tmp_path_factory.mktemp("files")
    water = Atoms("OH2", [(0, 0, 0), (0, 0.7, 0.6), (0, -0.8, 0.5)], info={"center": 0})
    write_structures(folder / "in.xyz", [water, Atoms("HCl", [(0, 0, 0), (0, 0.9, 0.9)])])
    (folder / "in.xyz.gz").write_bytes(
        __import__("gzip").compress((folder / "in.xyz").read_bytes())
    )
    cell = bulk("Cu", cubic=True)
    cell.rattle(0.02)
    write_structures(folder / "cell.xyz", [cell])
    cell.write(folder / "poscar.vasp")
    dimers = [
        Atoms("B2", [(0, 0, 0), (0, 0, r)], info={"energy": (r - 1.6) ** 2})
        for r in (1.4, 1.5, 1.6, 1.7, 1.8, 1.9)
    ]
    for atoms in dimers:
        r = atoms.positions[1, 2]
        atoms.arrays["forces"] = np.array([(0, 0, 2 * r - 3.2), (0, 0, 3.2 - 2 * r)])
    write_structures(folder / "dimers.xyz", dimers)
    write_structures(folder / "pairs.xyz", generate("distances", 2))
    write_labelled(folder / "labels.xyz", 24)
    (folder / "mine.py").write_text(MINE)
    for name, content in CONFIGS.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content))
    before = Path.cwd()
    os.chdir(folder)
    try:
        for line in (
            "train dimers.xyz --config train.yaml -o fit",
            "md dimers.xyz --model fit/model.pt --config md.yaml -o dynamics",
            "featurize in.xyz --config featurize.yaml -o features",
            "label in.xyz --config label.yaml -o done.xyz",
            "audit spec.yaml --config audit.yaml -o audits",
            "reproduce --config reproduce.yaml -o table",
        ):
            code, said = run([*line.split(), "--quiet"], 300)
            assert code == 0, said
    finally:
        os.chdir(before)
    return folder


def run(arguments, patience=PATIENCE):
    """Exit code of a command, None if it was still at work; and what it said."""
    said = io.StringIO()
    argv = sys.argv
    sys.argv = ["atomplete", *arguments]

    def end(*_):
        raise Patience

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(patience)
    try:
        with (
            warnings.catch_warnings(action="ignore"),
            contextlib.redirect_stdout(said),
            contextlib.redirect_stderr(said),
        ):
            main()
    except Patience:
        return None, said.getvalue()
    except SystemExit as stop:
        return stop.code or 0, said.getvalue()
    except BaseException:
        return "traceback", traceback.format_exc()
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        sys.argv = argv
    raise AssertionError("main() returned")


def memory(field):
    """Resident memory of this process, bytes: VmRSS now, VmHWM at the highest."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return 1024 * int(line.split()[1])
    return 0


def options_of(verb):
    parameters = typer.main.get_command(app).commands[verb].params
    return [one for one in parameters if one.name not in LEFT_OUT and one.opts[0].startswith("-")]


def drawn(rng, folder):
    """A command, and the files that it reads, of which one is spoiled or an option strange."""
    weights = [weight for *_, weight in COMMANDS]
    line, reads, _ = rng.choices(COMMANDS, weights)[0]
    arguments = line.split()
    found = [path for pattern in reads.split() for path in sorted(folder.glob(pattern))]
    found = [path for path in found if path.is_file()]
    if rng.random() < 0.7 and found:
        spoil(rng.choice(found), rng)
    for _ in range(rng.choice([0, 1, 2]) if arguments[0] != "report" else 0):
        options = options_of(arguments[0])
        if options:
            option = rng.choice(options)
            arguments.append(rng.choice(option.opts))
            if not getattr(option, "is_flag", False):
                arguments += [rng.choice(OPTIONS) for _ in range(option.nargs)]
    if rng.random() < 0.05:
        place = rng.randrange(1, len(arguments))
        arguments[place] = rng.choice(OPTIONS)
    if arguments[0] not in ("report", "generate", "subsets", "audit"):
        arguments.append("--quiet" if "--quiet" in OPTIONS_OF[arguments[0]] else arguments.pop())
    return arguments


OPTIONS_OF = {
    name: {option for one in command.params for option in one.opts}
    for name, command in typer.main.get_command(app).commands.items()
}


def contents(folder):
    return {
        path: path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def owned(folder, arguments):
    """Where a command may write."""
    named = arguments[arguments.index("-o") + 1] if "-o" in arguments else arguments[1]
    return folder / named


def test_commands(files, tmp_path_factory, monkeypatch):
    base = tmp_path_factory.mktemp("fuzz")
    counts = Counter()

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(seed=st.integers(0, 2**40))
    def look(seed):
        rng = random.Random(seed)
        folder = base / "here"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(files, folder)
        monkeypatch.chdir(folder)
        arguments = drawn(rng, folder)
        note(f"{arguments}")
        before, at_start = contents(folder), memory("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # forget the highest so far
        code, said = run(arguments)
        counts[code] += 1
        assert code in (0, 2, None), f"{arguments}\n{said}"
        if code == 2:
            assert "atomplete: " in said
        target, after = owned(folder, arguments), contents(folder)
        for path, content in before.items():
            beside = path.parent == target.parent and path.name.startswith(target.name)
            if not beside and target not in path.parents:
                assert after.get(path) == content, f"{arguments}: {path} was written over"
        used = memory("VmHWM") - at_start
        assert used < SLACK * STATED, f"{arguments} takes {used / 1e9:.1f} GB"

    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (memory("VmSize") + 4 * STATED, limits[1]))
    try:
        look()
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
    print(dict(counts))
    assert counts[2] > EXAMPLES / 4  # most of it is refused
    assert counts[0] > EXAMPLES / 20  # and some is not
