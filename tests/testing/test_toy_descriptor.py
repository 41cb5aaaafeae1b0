"""Ten lines register a descriptor; all that works for ours then works for it."""

from typing import Literal

import ase
import h5py
import numpy as np
import pytest
import torch

from atomplete.audit import Scope, audit, subject_of
from atomplete.audit.feature_map import FeatureMap
from atomplete.audit.search.search import Budget, search
from atomplete.audit.search.starts import Limits
from atomplete.checkpoint import load, save
from atomplete.cli import main
from atomplete.config import descriptor_of
from atomplete.data import write_structures
from atomplete.data.dataset import Dataset, Split
from atomplete.descriptors import Descriptor, DescriptorSpec, Features
from atomplete.errors import InputError
from atomplete.featurize import featurize
from atomplete.latents import EncoderSpec, Latent
from atomplete.latents.latent import LatentSpec
from atomplete.nn import DeepSetSpec
from atomplete.potentials import DescriptorPotential, DescriptorPotentialSpec
from atomplete.potentials.base import Potential
from atomplete.registry import build
from atomplete.system import System
from atomplete.testing import DESCRIPTOR_CHECKS, POTENTIAL_CHECKS
from atomplete.training.adam import AdamSpec
from atomplete.training.fit import fit
from atomplete.training.loss import Loss


class ToySpec(DescriptorSpec):
    type: Literal["toy"] = "toy"
    cutoff: float = 2.5


class Toy(Descriptor, spec=ToySpec):
    def __init__(self, spec):
        super().__init__()
        self.spec, self.parity = spec, torch.ones(4, dtype=torch.long)

    def forward(self, system):
        r = torch.linalg.vector_norm(system.r_ij, dim=1)
        terms = torch.sin(r[:, None] * torch.arange(1, 5)) * (1 - r / self.cutoff)[:, None] ** 3
        sums = terms.new_zeros(len(system.centers), 4).index_add(0, system.i, terms)
        return Features.of_centers(system, sums, self.parity)


@pytest.fixture
def structures():
    rng = np.random.default_rng(0)
    grid = np.array([(x, y, z) for x in range(2) for y in range(2) for z in range(2)])
    return [ase.Atoms("C4H4", 1.3 * grid + rng.normal(0, 0.1, (8, 3))) for _ in range(12)]


@pytest.mark.parametrize("name", DESCRIPTOR_CHECKS)
def test_the_battery(name):
    DESCRIPTOR_CHECKS[name](Toy(ToySpec()), [1, 6])


def test_plain_data_and_options_name_it(structures):
    found = descriptor_of({"type": "toy"}, structures=structures, cutoff=3.0)
    assert found.spec == ToySpec(cutoff=3.0)
    with pytest.raises(InputError, match="unknown option max_radial"):
        descriptor_of({"type": "toy"}, max_radial=3)


def test_it_is_featurized_by_the_library_and_by_the_verb(structures, tmp_path, capsys):
    featurize(structures, Toy(ToySpec()), tmp_path / "f.h5", progress=False)
    write_structures(tmp_path / "in.xyz", structures)
    (tmp_path / "toy.yaml").write_text("descriptor: {type: toy}\n")
    arguments = ["in.xyz", "-o", "out", "--config", "toy.yaml", "--quiet"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        patch.setattr("sys.argv", ["atomplete", "featurize", *arguments])
        with pytest.raises(SystemExit) as stop:
            main()
    assert stop.value.code in (0, None), capsys.readouterr().err
    with h5py.File(tmp_path / "f.h5") as one, h5py.File(tmp_path / "out" / "features.h5") as two:
        np.testing.assert_array_equal(one["values"], two["values"])
    assert load(tmp_path / "out" / "descriptor.pt", Descriptor).spec == ToySpec()


def test_latents_are_made_of_its_rows(structures, tmp_path):
    latent = Latent(LatentSpec(rows=ToySpec(), encoder=EncoderSpec(hidden=(8,), latent=(3, 1))))
    latent.feature_scale.fill_(1.0)  # as if it had been trained
    save(tmp_path / "latent.pt", latent)
    system = System.from_atoms(structures[:2], 2.5)
    found = load(tmp_path / "latent.pt", Descriptor)(system).values
    assert torch.equal(found, latent(system).values)
    assert found.shape == (16, 4)


def test_a_fitted_file_takes_no_more_options(structures, tmp_path):
    save(tmp_path / "toy.pt", build(ToySpec(cutoff=3.0)))
    assert descriptor_of(f"{tmp_path}/toy.pt", structures=structures).cutoff == 3.0
    with pytest.raises(InputError, match=r"toy\.pt: fitted already, and its cutoff cannot"):
        descriptor_of(tmp_path / "toy.pt", cutoff=4.0)


def test_it_goes_under_a_deep_set_and_is_trained_saved_and_loaded(structures, tmp_path):
    for atoms in structures:
        distances = atoms.get_all_distances()[np.triu_indices(8, 1)]
        atoms.info["energy"] = float(np.exp(-distances).sum())
    spec = DescriptorPotentialSpec(
        descriptor=ToySpec(), readout=DeepSetSpec(hidden=(8,), head=()), species=(1, 6)
    )
    potential, data = DescriptorPotential(spec), Dataset.from_structures(structures)
    one = torch.arange(12)[:, None]
    before = (potential.predict(structures).energy - data.energies).square().mean()
    solver, loss = AdamSpec(epochs=20, learning_rate=1e-2), Loss(energy=1.0)
    fit(potential, data, Split(one[:9], one[9:]), loss, solver, tmp_path, progress=False)
    found = potential.predict(structures, ("energy", "forces", "stress"))
    assert (found.energy - data.energies).square().mean() < 0.1 * before
    save(tmp_path / "model.pt", potential)
    again = load(tmp_path / "model.pt", Potential).predict(structures, ("energy", "forces"))
    assert torch.equal(again.energy, found.energy)
    assert torch.equal(again.forces, found.forces)
    for name in ("forces", "symmetries", "company"):
        POTENTIAL_CHECKS[name](potential, structures[:1])
    potential_subject = subject_of(f"{tmp_path}/model.pt")
    assert potential_subject.describe(structures[:1], Scope("structure", 2.5, (1, 6)))


def test_it_is_audited_and_searched_with():
    """Radial moments do not see angles: pairs of equal distances from the centre are equal."""
    subject = subject_of("toy")
    (row,) = audit([subject], ["polyhedra"], n=1, progress=False).rows
    assert row.verdict == "blind"
    bent = ase.Atoms("B3", [(0, 0, 0), (0, 1.3, 0.9), (0.2, -1.5, 0.6)])
    features = FeatureMap(subject, bent, "environment", 2.5)
    (pair,) = search(features, Limits(0.9, 1.8), budget=Budget(16, 1e3)).finds
    assert pair.correlation_order == 1
