import numpy as np
import pytest
from ase import Atoms
from hypothesis import given
from hypothesis import strategies as st

from atomplete.data import pair_structures, split_pairs
from atomplete.errors import InputError


def member(pair_id, sign):
    return Atoms("B", info={"pair_id": pair_id, "sign": sign})


@given(st.permutations([(i, s) for i in (3, 7, 3600) for s in "+-"]))
def test_pairs_are_found_in_any_order(members):
    structures = [member(*m) for m in members]
    pairs = pair_structures(structures, "a.xyz")
    np.testing.assert_array_equal(pairs.ids, [3, 7, 3600])
    assert pairs.dropped == ()
    found = [[members[i] for i in row] for row in pairs.indices]
    assert found == [[(i, "+"), (i, "-")] for i in (3, 7, 3600)]


def test_a_pair_without_partner_is_reported():
    structures = [member(9, "+"), member(2, "-"), member(4, "-"), member(4, "+")]
    pairs = pair_structures(structures, "a.xyz")
    np.testing.assert_array_equal(pairs.indices, [[3, 2]])
    assert pairs.dropped == (2, 9)
    with pytest.raises(InputError, match=r"a\.xyz: none of its 2 pairs has both signs"):
        pair_structures(structures[:2], "a.xyz")


@pytest.mark.parametrize(
    ("info", "words"),
    [
        ({"sign": "+"}, "no pair_id"),
        ({"pair_id": 1}, "no sign"),
        ({"pair_id": 1.5, "sign": "+"}, "not 1.5"),
        ({"pair_id": True, "sign": "+"}, "not True"),
        ({"pair_id": -1, "sign": "+"}, "not -1"),
        ({"pair_id": 1, "sign": 1}, r"sign must be \+ or -, not 1"),
        ({"pair_id": 1, "sign": np.array([1, 2])}, "sign must be"),
        ({"pair_id": 0, "sign": "-"}, "pair_id 0 with sign - was structure 0 already"),
    ],
)
def test_structures_that_belong_to_no_pair(info, words):
    structures = [member(0, "-"), member(0, "+"), Atoms("B", info=info)]
    with pytest.raises(InputError, match=r"a\.xyz, structure 2: .*" + words):
        pair_structures(structures, "a.xyz")


def test_the_split_of_the_paper():
    split = split_pairs(np.arange(4000), seed=1)
    np.testing.assert_array_equal(split.test, np.arange(3500, 4000))
    assert len(split.validation) == 350
    np.testing.assert_array_equal(
        np.sort(np.concatenate([split.train, split.validation])), np.arange(3500)
    )
    again, other = split_pairs(np.arange(4000), seed=1), split_pairs(np.arange(4000), seed=2)
    np.testing.assert_array_equal(split.validation, again.validation)
    assert not np.array_equal(split.validation, other.validation)


@given(st.sets(st.integers(0, 3999), min_size=3, max_size=60), st.integers(0, 5))
def test_the_parts_never_share_a_pair(ids, seed):
    ids = np.array(sorted(ids))
    below = int((ids < 3500).sum())
    if below < 2:
        with pytest.raises(InputError, match="cannot be taken from"):
            split_pairs(ids, seed=seed)
        return
    split = split_pairs(ids, seed=seed)
    parts = [split.train, split.validation, split.test]
    assert all(len(part) for part in parts)
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(len(ids)))
    expected = (
        ids >= 3500 if below < len(ids) else np.arange(len(ids)) >= len(ids) - max(1, len(ids) // 8)
    )
    np.testing.assert_array_equal(split.test, np.flatnonzero(expected))


def test_smaller_training_sets_are_subsets():
    small, large = (split_pairs(np.arange(100), n, 5, seed=3) for n in (10, 40))
    assert len(small.train) == 10
    assert set(small.train) < set(large.train)
    np.testing.assert_array_equal(small.validation, large.validation)
    for sizes in ((90, 5), (0, 5), (5, 0)):
        with pytest.raises(InputError, match="cannot be taken from 88 pairs"):
            split_pairs(np.arange(100), *sizes)
