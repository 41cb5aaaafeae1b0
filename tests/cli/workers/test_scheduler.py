"""Training with a Dask scheduler from the command line."""

import os
import sys

import pytest
import torch
import yaml
from alloys import alloy

from atomplete.checkpoint import load
from atomplete.data import read_structures, write_structures

SMALL = {
    "descriptor": {"type": "density_correlations", "nu": [1, 2], "expansion": {"max_radial": 2}},
    "solver": {"type": "ridge", "penalty": "diagonal"},
    "cutoff": 3.4,
}


@pytest.fixture
def structures(tmp_path):
    write_structures(tmp_path / "in.xyz", alloy(20))
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(SMALL))
    return tmp_path / "in.xyz"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--slurm", "a", "--scheduler", "b"], "options scheduler and slurm exclude each other"),
        (["--slurm", "absent.yaml"], "absent.yaml: cannot be read"),
        (["--slurm", "slurm.yaml"], "slurm.yaml: option cores = 0 should be greater"),
        (["--scheduler", "here"], "no Dask scheduler answers at here"),
        (
            ["--scheduler", "here", "--readout", "deep_set"],
            "a Dask cluster can help a fit in closed form only, by ridge, not one by adam",
        ),
    ],
)
def test_one_sentence_for_what_cannot_be(atomplete, structures, tmp_path, arguments, sentence):
    pytest.importorskip("distributed")
    (tmp_path / "slurm.yaml").write_text("cores: 0\n")
    outcome = atomplete("train", structures, "-o", "fit", *arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert sentence in outcome.err
    assert outcome.err.count("\n") == 1
    assert not (tmp_path / "fit").exists()


@pytest.mark.slow
def test_a_potential_from_a_cluster(atomplete, structures, tmp_path):
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    command = ("train", structures, "--config", "small.yaml", "--quiet", "-o")
    paths = {"PYTHONPATH": os.pathsep.join(sys.path)}
    with distributed.LocalCluster(**options, env=paths) as cluster:
        there = atomplete(*command, "there", "--scheduler", cluster.scheduler_address)
    assert there.code == atomplete(*command, "here").code == 0
    asked = read_structures(structures), ("forces", "stress")
    one, other = (load(tmp_path / name / "model.pt").predict(*asked) for name in ("here", "there"))
    for name in ("energy", "forces", "stress"):
        values = getattr(one, name)
        torch.testing.assert_close(getattr(other, name), values, rtol=1e-9, atol=1e-12)
