"""The verb ``reconstruct``: files in, structures out."""

import numpy as np
import pytest

from atomplete.cli.app import app
from atomplete.data import read_structures, write_structures
from atomplete.degenerate.congruence.congruence import congruence_distance
from atomplete.degenerate.random_structures import random_environment


@pytest.fixture
def given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    structures = [
        random_environment((5,) * 4, 1.8, np.random.default_rng(seed)) for seed in range(2)
    ]
    write_structures(tmp_path / "in.xyz", structures)
    return structures


def atomplete(*words):
    app(list(words), standalone_mode=False)


@pytest.mark.parametrize(
    ("descriptor", "says"),
    [("three_center", "the only environment"), ("power_spectrum", "populations")],
)
def test_features_in_a_folder_give_the_structure(given, descriptor, says, capsys):
    atomplete("featurize", "in.xyz", "--descriptor", descriptor, "-o", "features", "--quiet")
    more = () if descriptor == "three_center" else ("--composition", "B3", "--populations", "1")
    atomplete("reconstruct", "features", "--index", "1", "-o", "out.xyz", *more)
    (found,) = read_structures("out.xyz")
    assert congruence_distance(given[1], found) < 1e-6
    assert says in capsys.readouterr().out


def test_features_of_a_subject_give_the_structure(given, capsys):
    atomplete("reconstruct", "power_spectrum?max_angular=5", "in.xyz", "-o", "out.xyz")
    assert congruence_distance(given[0], read_structures("out.xyz")[0]) < 1e-6
    assert "B4: of 3 populations" in capsys.readouterr().out
