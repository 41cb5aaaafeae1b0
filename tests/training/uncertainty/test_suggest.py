"""Suggested structures: they differ, and their labels help more than those of others."""

import numpy as np
import pytest
import torch
from alloys import alloy, fitted, fresh
from ase import Atoms
from ase.build import bulk

from atomplete.data import read_structures, write_structures
from atomplete.errors import InputError
from atomplete.nn import DeepSetSpec
from atomplete.training.loss import Loss
from atomplete.training.uncertainty.suggest import choose, suggest

LOSS = Loss(energy_per_atom=1.0, forces=1.0)


def seen(n, seed):
    """Pure copper."""
    return alloy(n, seed, symbols=("Cu",) * 4)


def unseen(n, seed):
    """Half gold."""
    return alloy(n, seed, symbols=("Au", "Cu", "Au", "Cu"))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return fitted(tmp_path_factory.mktemp("fit"), seen(24, 0), 18, LOSS)


def test_the_choice_is_a_pivoted_cholesky_decomposition_with_noise():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(12, 5)) * rng.uniform(0.5, 2, (12, 1))
    covariance = vectors @ vectors.T
    noise, expected = 0.01 * covariance.diagonal().max(), []
    for _ in range(8):
        known = covariance[np.ix_(expected, expected)] + noise * np.eye(len(expected))
        across = covariance[:, expected]
        left = covariance.diagonal() - np.einsum(
            "ak,kl,al->a", across, np.linalg.inv(known), across
        )
        left[expected] = -1
        expected.append(int(left.argmax()))
    assert choose(torch.from_numpy(vectors), 8) == expected


def test_duplicates_and_what_is_certain_are_not_chosen():
    vectors = torch.tensor([[1.0, 0], [0, 0], [0, 2], [1, 0], [0, 2.0 + 1e-9]]).double()
    assert choose(vectors, 5) in ([2, 0], [4, 0])


@pytest.mark.parametrize("by", ["forces", "energy"])
def test_turned_and_permuted_copies_are_not_chosen_both(model, by):
    pool = alloy(6, seed=3)
    for atoms in pool[:6]:
        turned = atoms[[2, 0, 3, 1]]
        turned.rotate(40, (1, 2, 3), rotate_cell=True)
        pool.append(turned)
    chosen = suggest(model, pool, 6, by)
    assert sorted(atoms.info["suggested_index"] % 6 for atoms in chosen) == list(range(6))
    with pytest.raises(InputError, match=r"only 6 of 12 structures .* and 7 are to be chosen"):
        suggest(model, pool, 7, by)


@pytest.mark.parametrize("by", ["forces", "energy"])
def test_the_first_is_the_most_uncertain_and_says_how_much(model, by):
    pool = [*alloy(4, seed=5), Atoms("Cu")]
    name = f"{by}_uncertainty"
    found = model.predict(pool, (name,))
    parts = [getattr(found[k], name).numpy() / (1 if by == "forces" else 4) for k in range(4)]
    expected = [np.sqrt(np.mean(part**2)) for part in parts]
    (first,) = suggest(model, pool, 1, by)
    assert first.info["suggested_index"] == np.argmax(expected)
    assert first.info["suggested_uncertainty"] == pytest.approx(max(expected))
    assert first.calc is None
    every = suggest(model, pool[:4], 4, by, memory=1000)
    assert {a.info["suggested_index"]: a.info["suggested_uncertainty"] for a in every} == (
        pytest.approx(dict(enumerate(expected)))
    )


def test_an_unseen_family_is_found_and_its_labels_help_more_than_others(model, tmp_path):
    pool, test = seen(30, 1) + unseen(6, 2), unseen(10, 3)
    chosen = [atoms.info["suggested_index"] for atoms in suggest(model, pool, 5)]
    assert sum(index >= 30 for index in chosen) >= 4

    def error(indices, name):
        more = [pool[index] for index in indices]
        refitted = fitted(tmp_path / name, more + seen(24, 0), 18 + len(more), LOSS)
        label = np.concatenate([atoms.get_forces() for atoms in test])
        return np.sqrt(np.mean((refitted.predict(test, ("forces",)).forces.numpy() - label) ** 2))

    rng = np.random.default_rng(0)
    by_chance = [error(rng.choice(36, 5, replace=False), str(k)) for k in range(5)]
    assert error(chosen, "chosen") < 0.8 * np.mean(by_chance)


def test_what_cannot_be_chosen_from_is_refused(model):
    pool = alloy(3)
    with pytest.raises(InputError, match="only 3 structures to choose 4 of"):
        suggest(model, pool, 4)
    with pytest.raises(InputError, match="structure 3: a center of atomic number 47"):
        suggest(model, [*pool, bulk("Ag")], 2)
    with pytest.raises(InputError, match="no fit in closed form"):
        suggest(fresh(DeepSetSpec(hidden=(4,), head=())), pool, 1)


def test_from_the_command_line_and_on_to_labels(atomplete, tmp_path):
    write_structures(tmp_path / "train.xyz", seen(20, 0))
    write_structures(tmp_path / "pool.xyz", seen(5, 1) + unseen(5, 2))
    options = "descriptor: {type: density_correlations, nu: [1], expansion: {max_radial: 2}}\n"
    (tmp_path / "train.yaml").write_text(options + "cutoff: 3.4\n")
    done = atomplete("train", "train.xyz", "--config", "train.yaml", "--quiet", "-o", "fit")
    assert done.code == 0, done.err
    # an element that training did not see is refused
    command = ("suggest", "fit/model.pt", "pool.xyz", "-n", 2, "--quiet", "-o", "chosen.xyz")
    outcome = atomplete(*command)
    assert (outcome.code, outcome.out) == (2, "")
    assert "pool.xyz, structure 5: a center of atomic number 79" in outcome.err
    write_structures(tmp_path / "pool.xyz", seen(5, 1) + alloy(5, 2, 0.4, symbols=("Cu",) * 4))
    for _ in range(2):  # over its own file, too
        outcome = atomplete(*command)
        assert (outcome.code, outcome.err) == (0, "")
        assert outcome.out.startswith("2 of 10 structures in chosen.xyz; standard deviation of ")
    chosen = read_structures(tmp_path / "chosen.xyz")
    assert all(atoms.info["suggested_index"] >= 5 for atoms in chosen)
    labelling = ("label", "chosen.xyz", "--method", "ase:emt", "--workers", 1, "--quiet")
    outcome = atomplete(*labelling, "-o", "labelled.xyz")
    assert outcome.code == 0, outcome.err
    labelled = read_structures(tmp_path / "labelled.xyz")
    assert [a.info["suggested_index"] for a in labelled] == [
        a.info["suggested_index"] for a in chosen
    ]
    # labels are not written over
    outcome = atomplete(*command[:-1], "labelled.xyz")
    assert outcome.code == 2
    assert "not from an earlier `atomplete suggest`" in outcome.err
    for arguments, says in (
        (("fit/model.pt", "pool.xyz", "-n", 11), "pool.xyz: only 10 structures to choose 11 of"),
        (("fit/model.pt", "absent.xyz"), "absent.xyz"),
        (("pool.xyz", "pool.xyz"), "pool.xyz: not a checkpoint"),
    ):
        outcome = atomplete("suggest", *arguments, "-o", "other.xyz")
        assert (outcome.code, outcome.out) == (2, "")
        assert says in outcome.err
        assert outcome.err.count("\n") == 1
