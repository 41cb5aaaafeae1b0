"""Strange structures, files, specs and options handed to the Python interface.

Whatever it is, it works or raises ``InputError`` (or ``MissingExtraError``), with a sentence.
``ATOMPLETE_FUZZ=2000`` makes it two thousand examples of each kind; by default they are few.
"""

import contextlib
import io
import os
import random
import warnings

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from mutations import HEADERS, JSON_TEXTS, VALUES, spoiled_bytes, spoiled_checkpoint, spoiled_xyz

from atomplete.audit import subject_of
from atomplete.checkpoint import load, save
from atomplete.config import descriptor_of, read_mapping
from atomplete.data import read_structures, write_structures
from atomplete.data.dataset import Dataset
from atomplete.descriptors import NAMED, DensityCorrelationsSpec, ExpansionSpec, build
from atomplete.errors import InputError, MissingExtraError
from atomplete.featurize import featurize
from atomplete.labels import Journal, Selection
from atomplete.system import System

pytestmark = pytest.mark.slow

EXAMPLES = int(os.environ.get("ATOMPLETE_FUZZ", "150"))

fuzz = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
)
SMALL = ExpansionSpec(max_radial=2, max_angular=1, species=(1, 6, 8))
DESCRIPTOR = build(DensityCorrelationsSpec(nu=(1, 2), expansion=SMALL))

numbers = st.floats(-3, 3) | st.sampled_from(
    [0.0, np.nan, np.inf, -np.inf, 1e5, 1e300, -1e300, 5e-324, 1e-9]
)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda part: (
        st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=5), part, max_size=3)
    ),
    max_leaves=6,
)


@st.composite
def structures(draw):
    n = draw(st.integers(0, 5))
    species = draw(st.lists(st.sampled_from([1, 6, 8, 0, 118]), min_size=n, max_size=n))
    positions = np.array(draw(st.lists(st.tuples(*[numbers] * 3), min_size=n, max_size=n)))
    cell = np.array(draw(st.lists(numbers, min_size=9, max_size=9))).reshape(3, 3)
    pbc = draw(st.tuples(*[st.booleans()] * 3))
    keys = st.sampled_from(
        ["center", "cutoff", "energy", "forces", "stress", "pair_id", "a b", "charge"]
    )
    info = draw(st.dictionaries(keys | st.text(max_size=4), plain, max_size=2))
    atoms = Atoms(species, positions.reshape(-1, 3), cell=cell, pbc=pbc, info=info)
    if draw(st.booleans()):
        shape = draw(st.sampled_from([(n, 3), (3, n), (n + 1, 3), (n,), ()]))
        label = draw(numbers)
        atoms.calc = SinglePointCalculator(atoms, energy=label, forces=np.full(shape, label))
    return atoms


@contextlib.contextmanager
def a_sentence():
    """Let pass what is refused as it should be."""
    try:
        with warnings.catch_warnings(action="ignore"), contextlib.redirect_stdout(io.StringIO()):
            yield
    except (InputError, MissingExtraError) as error:
        if not str(error).strip() or "\n" in str(error):
            raise AssertionError("no sentence") from error


@fuzz
@given(found=st.lists(structures(), max_size=3), centers=st.sampled_from(["all", "info", "auto"]))
def test_structures(found, centers, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp()
    with a_sentence():
        chosen = System.centers_of(found) if centers == "auto" else centers
        system = System.from_atoms(found, 2.0, centers=chosen)
        assert DESCRIPTOR(system).values.isfinite().all()
    with a_sentence():
        Dataset.from_structures(found)
    with a_sentence():
        featurize(found, DESCRIPTOR, folder / "fuzz.h5", centers=centers, progress=False)
    with a_sentence():
        write_structures(folder / "fuzz.xyz", found)
        assert len(read_structures(folder / "fuzz.xyz")) == len(found)


@fuzz
@given(
    cutoff=st.floats() | st.none(),
    options=st.dictionaries(st.sampled_from(["nu", "expansion", "type", "components"]), plain),
    name=st.sampled_from([*NAMED, "absent.pt", "x", ""]),
)
def test_specs(cutoff, options, name):
    with a_sentence():
        descriptor_of(name, cutoff=cutoff)
    with a_sentence():
        descriptor_of({"type": "density_correlations", **options})
    with a_sentence():
        descriptor_of(name, **{key: value for key, value in options.items() if key != "type"})


@fuzz
@given(seed=st.integers(0, 2**40))
def test_files(seed, tmp_path_factory):
    rng, folder = random.Random(seed), tmp_path_factory.getbasetemp()
    path = folder / f"fuzz-{os.getpid()}"
    water = Atoms("OH2", [(0, 0, 0), (0, 0.7, 0.6), (0, -0.8, 0.5)], info={"energy": -1.0})
    xyz, checkpoint, spec = (path.with_suffix(kind) for kind in (".xyz", ".pt", ".yaml"))
    write_structures(xyz, [water, water])
    text = xyz.read_bytes()
    for _ in range(rng.choice([1, 1, 3])):
        text = spoiled_xyz(text.decode("utf-8", "replace").encode(), rng)
    xyz.write_bytes(text)
    with a_sentence():
        read_structures(xyz)
    save(checkpoint, DESCRIPTOR)
    checkpoint.write_bytes(spoiled_checkpoint(checkpoint.read_bytes(), rng))
    with a_sentence():
        load(checkpoint)
    spec.write_text(
        f"type: {rng.choice(VALUES)}\nnu: {rng.choice(VALUES)}\n{rng.choice(HEADERS)}\n"
    )
    with a_sentence():
        read_mapping(spec, "a spec")
    with a_sentence():
        subject_of(str(spec))
    journal = path.with_suffix(".jsonl")
    journal.write_bytes(rng.choice(JSON_TEXTS).encode() + rng.choice([b"", b"\n"]))
    if rng.random() < 0.5:
        journal.write_bytes(spoiled_bytes(journal.read_bytes(), rng))
    with a_sentence():
        Journal(journal).close()
    with a_sentence():
        subject_of(spec.name + rng.choice(["?", "?a", "?a=", "?group=", "?=[", "?a=b=c", "?{"]))
    with a_sentence():
        Selection(rng.choice(["", ":", "a:b", "1:2:3", "-1:", ":" * 9, "1e9:"]))


@pytest.mark.parametrize("size", [10**12, 2**63 - 1, 10**30])
def test_sizes_beyond_all_memory_are_refused_before_anything_is_made(size, tmp_path):
    save(tmp_path / "a.pt", DESCRIPTOR)
    content = torch.load(tmp_path / "a.pt", weights_only=True)
    for name in ("max_radial", "max_angular"):
        spoiled = content | {"spec": content["spec"].replace(f'"{name}":', f'"{name}":{size},"x":')}
        torch.save(spoiled, tmp_path / "b.pt")
        with pytest.raises(InputError, match=r"b\.pt"):
            load(tmp_path / "b.pt")
