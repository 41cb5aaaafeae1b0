"""Features in HDF5: in bounded memory, complete or not at all."""

import json
from collections import namedtuple

import h5py
import numpy as np
import pytest
import torch
from ase import Atoms

from atomplete import featurize as module
from atomplete.degenerate.families.registry import generate
from atomplete.descriptors import (
    DensityCorrelationsSpec,
    ExpansionSpec,
    Kept,
    NiceSpec,
    TaggedCorrelationsSpec,
    ThreeCenterSpec,
    build,
    split,
)
from atomplete.descriptors.memory import center_bytes
from atomplete.errors import InputError
from atomplete.featurize import featurize
from atomplete.runs.fingerprint import content_hash
from atomplete.system import System

BASIS = ExpansionSpec(max_radial=2, max_angular=2)
SPECS = {
    "three_center": ThreeCenterSpec(expansion=BASIS),
    "contracted": ThreeCenterSpec(expansion=BASIS, radial_components=1, components=(6, 2)),
    "density_correlations": DensityCorrelationsSpec(expansion=BASIS),
    "tagged": TaggedCorrelationsSpec(n_tagged=1, nu=2, expansion=BASIS),
    "nice": NiceSpec(expansion=BASIS, max_nu=3),
}


@pytest.fixture(scope="module")
def structures():
    return [*generate("b8", 4), Atoms("B", info={"center": 0})]


@pytest.mark.parametrize("name", SPECS)
def test_chunks_do_not_show(structures, tmp_path, monkeypatch, name):
    descriptor = build(SPECS[name])
    system = System.from_atoms(structures, BASIS.cutoff, centers="info")
    if descriptor.needs_fit:
        descriptor.fit([system])
    need = center_bytes(descriptor, system, descriptor.rows_per_center)
    monkeypatch.setattr("atomplete.descriptors.evaluate.CHUNK_BYTES", int(need.max()))
    assert len(split(descriptor, system, int(need.max()))) > 3
    featurize(structures, build(SPECS[name]), tmp_path / "small.h5", progress=False)
    monkeypatch.undo()
    featurize(structures, build(SPECS[name]), tmp_path / "large.h5", progress=False)
    with h5py.File(tmp_path / "small.h5") as small, h5py.File(tmp_path / "large.h5") as large:
        assert set(small) == set(large)
        for column in small:
            expected = large[column][()]
            np.testing.assert_allclose(small[column][()], expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", SPECS)
def test_the_fitted_descriptor_makes_the_rows_of_the_file(structures, tmp_path, name):
    descriptor = build(SPECS[name])
    featurize(structures, descriptor, tmp_path / "f.h5", progress=False)
    expected = descriptor(System.from_atoms(structures, BASIS.cutoff, centers="info"))
    with h5py.File(tmp_path / "f.h5") as file:
        np.testing.assert_allclose(file["values"], expected.values, rtol=0, atol=1e-10)
        np.testing.assert_array_equal(file["structure"], expected.rows["structure"])


def test_labels_of_features_say_which_is_which(structures, tmp_path):
    featurize(structures, build(SPECS["three_center"]), tmp_path / "f.h5", progress=False)
    with h5py.File(tmp_path / "f.h5") as file:
        labels, parity = file["labels"][()], file["parity"][()]
    assert len(labels) == len(parity) == len(np.unique(labels, axis=0))
    np.testing.assert_array_equal(parity, (-1) ** labels[:, 1::2].sum(1))
    featurize(structures, build(SPECS["tagged"]), tmp_path / "t.h5", progress=False)
    with h5py.File(tmp_path / "t.h5") as file:
        labels, parity = file["labels"][()], file["parity"][()]
    assert len(labels) == len(parity) == len(np.unique(labels, axis=0))
    np.testing.assert_array_equal(parity, (-1) ** labels[:, 1::3].sum(1))


def test_attributes_say_where_the_features_come_from(structures, tmp_path):
    featurize(structures, build(SPECS["contracted"]), tmp_path / "f.h5", progress=False)
    with h5py.File(tmp_path / "f.h5") as file:
        spec = ThreeCenterSpec.model_validate_json(file.attrs["descriptor"])
        assert spec == SPECS["contracted"]
        assert file.attrs["structures_sha256"] == content_hash(structures)


def test_what_was_kept_is_in_the_file(structures, tmp_path):
    descriptor = build(SPECS["contracted"])
    featurize(structures, descriptor, tmp_path / "f.h5", progress=False)
    with h5py.File(tmp_path / "f.h5") as file:
        kept = [Kept(**line) for line in json.loads(file.attrs["kept"])]
    assert tuple(kept) == descriptor.kept
    assert [line.what for line in kept[-2:]] == ["even rows", "odd rows"]
    assert all(0 < line.lost < 1 for line in kept)


def test_the_size_is_said_before_anything_is_computed(structures, tmp_path, monkeypatch, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_write", interrupt)
    with pytest.raises(KeyboardInterrupt):
        featurize(structures, build(SPECS["three_center"]), tmp_path / "f.h5")
    n_features = len(build(SPECS["three_center"]).parity)
    size = 8 * 49 * n_features * 8 / 1e6
    line = capsys.readouterr().err.splitlines()[0]
    assert line.startswith(f"392 rows × {n_features} features: {size:.3g} MB on disk, at most ")


def test_an_interrupted_run_leaves_nothing_and_keeps_the_old_file(
    structures, tmp_path, monkeypatch
):
    path = tmp_path / "f.h5"
    featurize(structures, build(SPECS["three_center"]), path, progress=False)
    before = path.read_bytes()

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_write", interrupt)
    with pytest.raises(KeyboardInterrupt):
        featurize(structures, build(SPECS["density_correlations"]), path, progress=False)
    assert [file.name for file in tmp_path.iterdir()] == ["f.h5"]
    assert path.read_bytes() == before


def test_the_disk_is_asked_before_anything_is_computed(structures, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    spec, dtype = SPECS["three_center"], torch.float32
    n_rows = 8 * 49
    size = n_rows * len(build(spec).parity) * 4
    asked = []

    def disk_usage(folder):
        asked.append(folder)
        return usage(10**12, 0, free)

    monkeypatch.setattr(module.shutil, "disk_usage", disk_usage)
    path = tmp_path / "new" / "folder" / "f.h5"
    free = int(size / 0.95) - 10
    with pytest.raises(InputError, match=rf"f\.h5: {n_rows} rows of .* GB are free"):
        featurize(structures, build(spec), path, dtype=dtype, progress=False)
    assert not (tmp_path / "new").exists()
    free = int(size / 0.95) + 10
    featurize(structures, build(spec), path, dtype=dtype, progress=False)
    assert path.exists()
    assert asked == [tmp_path, tmp_path]


def test_chosen_centers(tmp_path):
    atoms = generate("b8", 1)[0]
    spec = SPECS["density_correlations"]
    for centers, expected in (("all", list(range(8))), ("info", [0]), ("auto", [0])):
        featurize([atoms], build(spec), tmp_path / "f.h5", centers=centers, progress=False)
        with h5py.File(tmp_path / "f.h5") as file:
            assert file["center"][()].tolist() == expected


def test_what_does_not_fit_the_memory_is_refused(tmp_path):
    # three species: 27 times the features of the basis for one, 729 times the second moments
    spec = ThreeCenterSpec(expansion=ExpansionSpec(species=(1, 5, 6)), components=(600, 350))
    boron = Atoms("B2", [(0, 0, 0), (0, 0, 1.6)])
    with pytest.raises(InputError, match=r"take 3\.4 GB .* more than the 2 GB"):
        featurize([boron], build(spec), tmp_path / "f.h5", progress=False)
    spec = spec.model_copy(update={"components": None})
    with pytest.raises(InputError, match=r"structure 0: the rows of atom 0 with 1 neighbours take"):
        featurize([boron], build(spec), tmp_path / "f.h5", memory=101 * 10**6, progress=False)
    assert not list(tmp_path.iterdir())


def test_components_of_three_species_by_a_sketch(tmp_path):
    """198 288 features, whose second moments would take 90 GB."""
    spec = ThreeCenterSpec(expansion=ExpansionSpec(species=(1, 5, 6)), components=(4, 2))
    structures = [Atoms("B2", [(0, 0, 0), (0, 0, 1.5)]), Atoms("CBH", np.eye(3))]
    descriptor = build(spec)
    featurize(structures, descriptor, tmp_path / "f.h5", progress=False)
    assert [line.method for line in descriptor.kept] == ["sketch", "sketch"]
    rows = descriptor.rows(System.from_atoms(structures, 2.0))
    with h5py.File(tmp_path / "f.h5") as file:
        values = torch.from_numpy(file["values"][()])
    for part, found, n in ((rows.even, values[:, :4], 4), (rows.odd, values[:, 4:], 2)):
        singular = torch.linalg.svdvals(part)
        optimum = singular[:n].square().sum()
        assert found.square().sum() == pytest.approx(optimum.item(), rel=1e-3)
