"""The verb export for engines in torch: refusals, and files that it may replace."""

import sys

import pytest
import torch
from alloys import fresh

from atomplete.checkpoint import save


def refused(outcome, *words):
    assert outcome.code == 2
    assert len(outcome.err.strip().splitlines()) == 1
    for word in words:
        assert word in outcome.err


@pytest.mark.parametrize("engine", ["lammps", "metatomic", "pt2"])
def test_other_potentials_are_refused(atomplete, tmp_path, engine):
    save(tmp_path / "model.pt", fresh())
    outcome = atomplete("export", "model.pt", "--to", engine, "-o", "out.pt2")
    refused(outcome, "model.pt", "linear in random Fourier features, not", "density_correlations")
    assert not (tmp_path / "out.pt2").exists()


def test_a_package_of_another_name_is_refused(atomplete, potential, tmp_path):
    save(tmp_path / "model.pt", potential)
    refused(atomplete("export", "model.pt", "--to", "pt2", "-o", "out.pt"), "out.pt", ".pt2")


def test_tables_in_single_precision_are_refused(atomplete, potential, tmp_path):
    save(tmp_path / "model.pt", potential)
    outcome = atomplete("export", "model.pt", "--to", "lammps", "--dtype", "float32", "-o", "x")
    refused(outcome, "dtype", "float64")


@pytest.mark.filterwarnings("ignore")
def test_only_its_own_files_are_replaced(atomplete, potential, tmp_path):
    pytest.importorskip("metatomic.torch")
    save(tmp_path / "model.pt", potential)
    command = "export", "model.pt", "--to", "metatomic", "-o"
    for _ in range(2):
        outcome = atomplete(*command, "out.pt")
        assert outcome.code == 0, outcome.err
    torch.save({}, tmp_path / "mine.pt")
    refused(atomplete(*command, "mine.pt"), "mine.pt", "not from an earlier")
    refused(atomplete(*command, "model.pt"), "it is an input")


def test_a_package_that_is_missing_is_named(atomplete, potential, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "metatensor.torch", None)
    save(tmp_path / "model.pt", potential)
    outcome = atomplete("export", "model.pt", "--to", "metatomic", "-o", "out.pt")
    assert outcome.code == 2
    assert "metatomic is not installed: pip install 'atomplete[metatomic]'" in outcome.err
