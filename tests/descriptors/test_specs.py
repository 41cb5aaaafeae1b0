"""Specs: what they refuse before anything is computed or allocated."""

import json
import time

import pytest
import torch

from atomplete.checkpoint import load, read_tensors, save, write_tensors
from atomplete.descriptors import (
    DensityCorrelationsSpec,
    Descriptor,
    ExpansionSpec,
    NiceSpec,
    TaggedCorrelationsSpec,
    ThreeCenterSpec,
    build,
)
from atomplete.errors import InputError
from atomplete.latents import EncoderSpec, Latent, LatentSpec
from atomplete.nn import DeepSet, DeepSetSpec
from atomplete.nn.row_sum import refuse_large
from atomplete.potentials import DescriptorPotentialSpec
from atomplete.potentials.tight_binding.pair_features import PairBasisSpec

ONES = torch.ones(3, dtype=torch.long)
MANY = ExpansionSpec(species=tuple(range(1, 9)))


def spec_of_many(kind, **options):
    """A spec of sixty species."""
    return kind(expansion=ExpansionSpec(species=tuple(range(1, 61)), max_radial=12), **options)


@pytest.mark.parametrize(
    ("species", "message"),
    [
        ((6, 6), "different atomic numbers"),
        ((-1,), "different atomic numbers"),
        ((1, 119), "different atomic numbers"),
        ((), "at least 1 item"),
    ],
)
def test_species_are_different_elements(species, message):
    with pytest.raises(ValueError, match=message):
        ExpansionSpec(species=species)
    with pytest.raises(ValueError, match=message):
        DescriptorPotentialSpec(
            descriptor=ThreeCenterSpec(), readout={"type": "linear"}, species=species
        )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ExpansionSpec(max_radial=10**6), "no more than 40 radial functions"),
        (
            lambda: ExpansionSpec(max_radial=10**6, radial={"type": "laplacian"}),
            "no more than 200 radial functions",
        ),
        (lambda: ExpansionSpec(max_angular=10**6), "less than or equal to 16"),
        (lambda: NiceSpec(max_nu=10**6), "less than or equal to 20"),
        (lambda: spec_of_many(ThreeCenterSpec), "too many"),
        (lambda: spec_of_many(DensityCorrelationsSpec), "too many"),
        (lambda: spec_of_many(TaggedCorrelationsSpec, n_tagged=2), "too many"),
        (lambda: ThreeCenterSpec(components=(10**9, 1), expansion=MANY), "too many"),
        (lambda: refuse_large(100, 10**9, 1), "layers 100 → 1000000000 → 1 take 8.1e.02 GB"),
        (lambda: DeepSet(DeepSetSpec(hidden=(10**9,)), parity=ONES), "layers 3 → 1000000000"),
        (lambda: DeepSet(DeepSetSpec(head=(10**9,)), parity=ONES), "layers 128 → 1000000000"),
        (lambda: DeepSetSpec(hidden=(0,)), "greater than or equal to 1"),
        (lambda: DeepSetSpec(hidden=(6,), group_norm=4), "a width of 6 has no 4 equal groups"),
        (lambda: EncoderSpec(hidden=(-3,)), "greater than or equal to 1"),
        (
            lambda: Latent(LatentSpec(rows=ThreeCenterSpec(), encoder={"latent": (10**9, 0)})),
            "layers 256 → 1000000000",
        ),
        (lambda: PairBasisSpec(max_radial=10**6), "less than or equal to 100"),
    ],
)
def test_absurd_sizes_are_refused_before_anything_is_allocated(make, message):
    start = time.perf_counter()
    with pytest.raises(ValueError, match=message):
        make()
    assert time.perf_counter() - start < 2


def a_file_that_asks_for(path, spec, **absurd):
    """A checkpoint whose spec was changed after it was written."""
    save(path, build(spec))
    content = read_tensors(path)
    content["spec"] = json.dumps(json.loads(content["spec"]) | absurd)
    write_tensors(path, content)


@pytest.mark.parametrize(
    ("absurd", "message"),
    [
        ({"max_radial": 10**6}, "expansion: max_radial 1000000: a 'gto' basis has no more than 40"),
        ({"species": list(range(1, 99))}, "features of 588 channels and l up to 3 are too many"),
        ({"cutoff": 1e-9}, "expansion.cutoff: the cutoff 1e-09 Å is not a length"),
    ],
)
def test_a_file_of_absurd_sizes_is_refused(tmp_path, absurd, message):
    a_file_that_asks_for(tmp_path / "d.pt", ThreeCenterSpec(), expansion=absurd)
    with pytest.raises(InputError, match=rf"d\.pt: .* cannot read .{message}"):
        load(tmp_path / "d.pt", Descriptor)
