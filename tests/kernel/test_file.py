"""Files of tables: what is in them, and one sentence on each that is not whole."""

import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from linear_potentials import linear_potential
from small_models import DESCRIPTORS, energy_model

from atomplete.checkpoint import save
from atomplete.descriptors.random_fourier.mixing import couplings
from atomplete.errors import InputError
from atomplete.kernel.file import content_of, write_tables
from atomplete.kernel.library import Kernel
from atomplete.kernel.tables import paths_of
from atomplete.potentials import TightBinding, TightBindingSpec

READER = """
#include "atomplete.hpp"
#include <iostream>
int main(int, char **names) {
  try {
    const atomplete::Potential potential(names[1]);
    std::cout << potential.cutoff() << " " << potential.species().size() << std::endl;
  } catch (const std::exception &error) {
    std::cout << error.what() << std::endl;
    return 3;
  }
}
"""


@pytest.fixture(scope="module")
def content():
    return content_of(linear_potential())


@pytest.fixture(scope="session")
def reader(compiler, compiled, tmp_path_factory):
    """A program of C++ that opens a file."""
    from atomplete.kernel import library

    folder = tmp_path_factory.mktemp("reader")
    (folder / "reader.cpp").write_text(READER)
    include = f"-I{Path(library.__file__).parent}"
    command = [*compiler, "-O0", include, folder / "reader.cpp", "-o", folder / "reader"]
    subprocess.run(command, check=True)
    return folder / "reader"


def damaged(content, name):
    first, header, arrays = content.split(b"\n", 2)
    flipped = bytearray(content)
    flipped[-100] ^= 1
    return {
        "empty": b"",
        "text": b"ITEM: TIMESTEP\n0\n",
        "checkpoint": b"PK\x03\x04" + bytes(100),
        "version": content.replace(b"version 1", b"version 12", 1),
        "header": first + b"\n" + header[:-20] + b"\n" + arrays,
        "no header": first + b"\n",
        "in header": content[: len(first) + 50],
        "cut": content[:-8],
        "long": content + b"\n",
        "array": bytes(flipped),
        "cutoff": content.replace(b'"cutoff": 2.5', b'"cutoff": 2.4', 1),
    }[name]


SENTENCES = {
    "empty": "not a file of tables",
    "text": "not a file of tables",
    "checkpoint": "not a file of tables",
    "version": "version 12 of the format, but version 1 is understood",
    "header": "its header is damaged",
    "no header": "cut short within its header",
    "in header": "cut short within its header",
    "cut": r"cut short: \d+ of \d+ bytes of arrays are there",
    "long": "SHA-256",
    "array": "SHA-256",
    "cutoff": "SHA-256",
}


@pytest.mark.parametrize("name", SENTENCES)
def test_a_file_that_is_not_whole(content, name, reader, tmp_path, built):
    file = tmp_path / "wrong.tables"
    file.write_bytes(damaged(content, name))
    done = subprocess.run([reader, file], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert re.fullmatch(f"{re.escape(str(file))}: .*{SENTENCES[name]}.*\n", done.stdout)
    with pytest.raises(InputError) as error:
        Kernel(file.read_bytes(), str(file))
    assert str(error.value) == done.stdout.strip()


def test_a_whole_file(content, reader, tmp_path):
    file = tmp_path / "model.tables"
    file.write_bytes(content)
    done = subprocess.run([reader, file], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2.5", "3"]
    done = subprocess.run([reader, tmp_path / "no"], capture_output=True, text=True, check=False)
    assert done.stdout == f"{tmp_path}/no: no such file, or it cannot be read\n"


def test_the_header_is_json_with_units_and_elements(content):
    first, header, arrays = content.split(b"\n", 2)
    assert first == b"atomplete potential, version 1"
    found = json.loads(header)
    assert found["units"] == {"energy": "eV", "length": "angstrom"}
    assert (found["species"], found["cutoff"], found["tag_cutoff"]) == ([1, 6, 8], 2.5, 2.0)
    assert found["bytes"] == len(arrays)
    place = found["arrays"]["reference"]
    reference = np.frombuffer(arrays, "<f8", place["shape"][0], place["offset"])
    assert reference.tolist() == [-2.5, -1.5, -0.5]


@pytest.mark.parametrize("n_tagged", [0, 1, 2])
def test_paths_hold_the_whole_forms(n_tagged):
    forms, _ = couplings(n_tagged, 24, 3, torch.Generator().manual_seed(0))
    forms = forms.numpy()
    bounds, entries, values, weights = paths_of(forms, 3)
    again = np.zeros_like(forms)
    for path, weight in enumerate(weights):
        some = slice(bounds[path], bounds[path + 1])
        x, y, z = entries[some].T
        again[:, x, y, z] += weight[:, None] * values[some]
    np.testing.assert_allclose(again, forms, rtol=0, atol=1e-14)
    # one path for each block of angular orders
    assert len(weights) <= 5**3


def test_forms_that_are_no_multiples_of_each_other_take_several_paths():
    forms = np.random.default_rng(0).normal(size=(3, 2, 2, 2))
    bounds, entries, values, weights = paths_of(forms, 0)
    assert len(weights) == 8
    again = np.zeros_like(forms)
    for (x, y, z), value, weight in zip(entries, values, weights, strict=True):
        again[:, x, y, z] += value * weight
    np.testing.assert_allclose(again, forms, rtol=1e-15)
    assert bounds.tolist() == list(range(9))


@pytest.mark.parametrize(
    ("potential", "says"),
    [
        (TightBinding(TightBindingSpec()), "not tight_binding"),
        (energy_model(DESCRIPTORS["density_correlations"]), "not descriptor_potential with dens"),
    ],
)
def test_other_potentials_are_refused(potential, says, atomplete, tmp_path):
    with pytest.raises(InputError, match=says):
        write_tables(tmp_path / "no.tables", potential)
    save(tmp_path / "model.pt", potential)
    outcome = atomplete("export", "model.pt", "--to", "lammps", "-o", "no.tables")
    assert outcome.code == 2
    assert outcome.err.startswith("atomplete: model.pt: the kernel computes potentials that are")
    assert outcome.err.count("\n") == 1
    assert not (tmp_path / "no.tables").exists()


def test_the_verb_writes_the_tables(atomplete, tmp_path, content):
    save(tmp_path / "model.pt", linear_potential())
    outcome = atomplete("export", "model.pt", "--to", "lammps", "-o", "out/model.tables")
    assert outcome.code == 0
    assert (tmp_path / "out/model.tables").read_bytes() == content
    assert "out/model.tables (0." in outcome.out
