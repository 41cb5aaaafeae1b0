from dataclasses import fields

import pytest
import torch
from ase import Atoms
from small_models import CUTOFF, DESCRIPTORS, energy_model, molecule

from atomplete.descriptors import concatenate, run, split
from atomplete.system import System
from atomplete.training import feature_table
from atomplete.training.feature_table import RowTable

#: Different numbers of neighbours and of centres; isolated atoms first, between and last.
STRUCTURES = [
    Atoms("C"),
    molecule(0, n=4),
    molecule(1, n=7),
    Atoms("HO", [(0, 0, 0), (0, 0, 30)]),
    Atoms("HCO", [(0, 0, 0), (0, 0, 1.1), (0, 0, 20)]),
    molecule(2, n=2),
    Atoms("O"),
]


@pytest.fixture(params=DESCRIPTORS)
def descriptor(request):
    return energy_model(DESCRIPTORS[request.param]).descriptor


def assert_same(found, expected):
    for field in fields(found):
        a, b = getattr(found, field.name), getattr(expected, field.name)
        if field.name == "rows":
            assert list(a) == list(b)
            assert all(torch.equal(a[name], b[name]) for name in a)
        elif a.is_floating_point():
            torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)
        else:
            assert torch.equal(a, b), field.name


@pytest.mark.parametrize(
    "chosen", [[2, 0, 5], [0, 1, 2, 3, 4, 5, 6], [6, 4, 3], [0], [6, 0, 3], [2, 2], []]
)
def test_a_batch_is_what_a_loop_over_structures_gives(descriptor, chosen):
    table = RowTable(descriptor(System.from_atoms(STRUCTURES, CUTOFF)), len(STRUCTURES))
    batch = table.batch(torch.tensor(chosen, dtype=torch.long))
    if not chosen:
        assert batch.values.shape == (0, len(descriptor.parity))
        return
    alone = [descriptor(System.from_atoms(STRUCTURES[index], CUTOFF)) for index in chosen]
    # rows keep the number that the structure has in the table, centres are numbered in the batch
    for position, (index, features) in enumerate(zip(chosen, alone, strict=True)):
        features.rows["structure"] = features.rows["structure"] + index
        features.center_structure.fill_(position)
    assert_same(batch, concatenate(alone))


def test_a_batch_with_chosen_centers(descriptor):
    structures = [molecule(seed) for seed in range(3)]
    table = RowTable(descriptor(System.from_atoms(structures, CUTOFF, centers=[4, 1])), 3)
    expected = descriptor(System.from_atoms(structures[2], CUTOFF, centers=[4, 1]))
    batch = table.batch(torch.tensor([2]))
    assert batch.center_atom.tolist() == [4, 1]
    torch.testing.assert_close(batch.values, expected.values)


def test_computed_rows_and_sums_are_those_of_all_structures_at_once(descriptor, monkeypatch):
    # many chunks: borders fall between the centres of one structure as well
    def in_chunks(descriptor, system, progress):
        return run(descriptor, system, 30_000, progress=progress)

    monkeypatch.setattr(feature_table, "run", in_chunks)
    system = System.from_atoms(STRUCTURES, CUTOFF)
    assert len(split(descriptor, system, chunk_bytes=30_000)) > 3
    rows, sums = RowTable.compute(descriptor, system, torch.float64)
    expected = descriptor(system)
    assert rows.n_structures == sums.n_structures == len(STRUCTURES)
    assert_same(rows.features, expected)
    assert_same(sums.features, expected.summed())
    by_hand = torch.zeros(len(system.centers), expected.values.shape[1], dtype=torch.float64)
    for center, row in zip(expected.center_of_row.tolist(), expected.values, strict=True):
        by_hand[center] += row
    torch.testing.assert_close(sums.features.values, by_hand)


def test_rows_are_stored_in_the_dtype_asked_for_and_sums_in_that_of_the_system(descriptor):
    system = System.from_atoms(STRUCTURES, CUTOFF)
    rows, sums = RowTable.compute(descriptor, system)
    assert rows.features.values.dtype == rows.features.weight.dtype == torch.float32
    assert sums.features.values.dtype == torch.float64
    expected = descriptor(system)
    assert torch.equal(rows.features.values, expected.values.float())
    assert not torch.equal(sums.features.values, sums.features.values.float().double())
