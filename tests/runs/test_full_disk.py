"""A disk that is really full: one sentence, what was there intact, and a rerun that ends it."""

import hashlib
import json
import os
import subprocess
import sys

import h5py
import numpy as np
import pytest
import yaml
from ase import Atoms
from labelled_pairs import SMALL, write_labelled

from atomplete.data import write_structures

pytestmark = pytest.mark.slow


@pytest.fixture
def run(tmp_path):
    def command(line):
        return subprocess.run(
            [sys.executable, "-m", "atomplete.cli", *line.split()],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONFAULTHANDLER": "1"},
        )

    return command


def refused(done):
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1
    assert "No space left on device" in done.stderr


def contents(folder):
    return {
        path.relative_to(folder): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_features(run, small_disk, tmp_path):
    rng = np.random.default_rng(0)
    positions = np.array([(1.5 * i, 0, 0) for i in range(40)])
    structures = [Atoms("B40", positions + rng.uniform(-0.1, 0.1, (40, 3))) for _ in range(4)]
    write_structures(tmp_path / "in.xyz", structures)
    line = "featurize in.xyz --descriptor bispectrum --quiet -o "
    assert run(line + "undisturbed").returncode == 0
    size = (tmp_path / "undisturbed" / "features.h5").stat().st_size
    disk = small_disk(f"{3 * size // 1024}k")
    assert run(line + "disk/first").returncode == 0
    before = contents(disk)
    # room enough when it begins, none when it goes on
    for left in (0.3, 0.9):
        script = (
            "import shutil, sys, collections\n"
            "free = collections.namedtuple('free', 'total used free')\n"
            "shutil.disk_usage = lambda _: free(10**12, 0, 10**12)\n"
            f"sys.argv = ['atomplete', *'{line}disk/second'.split()]\n"
            "from atomplete.cli import main\nmain()\n"
        )
        (disk / "ballast").write_bytes(bytes(int((2 - left) * size)))
        refused(
            subprocess.run(
                [sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path
            )
        )
        (disk / "ballast").unlink()
        assert contents(disk) == before
    assert run(line + "disk/second").returncode == 0
    with (
        h5py.File(tmp_path / "undisturbed" / "features.h5") as one,
        h5py.File(disk / "second" / "features.h5") as other,
    ):
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


FIT = {
    "descriptor": {"type": "density_correlations", "expansion": {"max_radial": 2}},
    "readout": "deep_set",
    "deep_set": {"hidden": [16], "head": []},
    "epochs": 3,
    "cutoff": 2.0,
}
TABLE = {"settings": SMALL, "rows": ["D_NL"], "pairs": 24, "labels": "in.xyz"}


@pytest.mark.parametrize(
    ("verb", "options", "result"),
    [("train in.xyz", FIT, "metrics.json"), ("reproduce", TABLE, "table.json")],
)
def test_a_run(atomplete, small_disk, tmp_path, verb, options, result):
    """The same command again and again, on a disk that grows from nothing."""
    write_labelled(tmp_path / "in.xyz", 24)
    (tmp_path / "o.yaml").write_text(yaml.safe_dump(options))
    line = f"{verb} --config o.yaml --quiet -o "
    done = atomplete(*f"{line} undisturbed".split())
    assert done.code == 0, done.err
    refusals = 0
    for size in (4, 24, 100, 9000):
        disk = small_disk(f"{size}k")
        done = atomplete(*f"{line} disk/run".split())
        if done.code == 0:
            break
        assert (done.code, done.err.count("\n")) == (2, 1), done.err
        assert "No space left on device" in done.err
        assert not list(disk.rglob("*.tmp*"))
        refusals += 1
    assert refusals > 2
    assert numbers(disk / "run" / result) == numbers(tmp_path / "undisturbed" / result)


def numbers(path):
    """Results, without the time that they took."""
    content = json.loads(path.read_text())
    if path.name == "table.json":
        return [{key: row[key] for key in row if key != "seconds"} for row in content]
    return content
